"""Callers that write during a failure, and record what they sent, what was acknowledged and how it was answered.

Each writer creates one cluster after another, and increments a counter in the spec of its first one. A create without
an answer is retried under the same name: 409 then means that the first attempt was stored.
"""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Container
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final

CLUSTERS: Final = "/api/hyperfleet/v1/clusters"
PATIENCE_SECONDS: Final = 40.0
HEADERS: Final = {"Content-Type": "application/json"}


@dataclass
class Book:
    """One writer's record; `counted` is the last acknowledged count, `counting` the last one sent."""

    prefix: str
    sent: int = 0
    created: list[str] = field(default_factory=list)
    duplicates: int = 0
    counted: int = 0
    counting: int = 0
    counter_id: str = ""
    answers: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    longest_silence: float = 0.0
    succeeded_at: float = 0.0

    def succeed(self) -> None:
        """Records that a write was acknowledged."""
        now = time.monotonic()
        if self.succeeded_at:
            self.longest_silence = max(self.longest_silence, now - self.succeeded_at)
        self.succeeded_at = now


class Writers:
    """Writers that write until `stop`; `pause` is the seconds between the rounds of one writer."""

    def __init__(self, port: int, count: int, *, name: str = "drill", pause: float = 0.005) -> None:
        self.port = port
        self.pause = pause
        self.books = [Book(f"{name}-{number}") for number in range(count)]
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(book,), daemon=True) for book in self.books]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stops the writers, each after its current write, so that every outcome is known."""
        self._over.set()
        for thread in self._threads:
            thread.join(120)

    @property
    def acknowledged(self) -> int:
        """The number of acknowledged writes so far."""
        return sum(len(book.created) + book.counted for book in self.books)

    def answers(self) -> Counter[str]:
        """The number of answers of each sort."""
        return sum((book.answers for book in self.books), Counter())

    def _write(self, book: Book) -> None:
        connection = self._connection()
        while not self._over.is_set():
            name = f"{book.prefix}-{len(book.created)}"
            self._create(connection, book, name)
            if book.counter_id:
                self._count(connection, book)
            time.sleep(self.pause)
        connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)

    def _create(self, connection: http.client.HTTPConnection, book: Book, name: str) -> None:
        unknown = False
        body = {"name": name, "spec": {"n": 0}}
        while True:
            status, content = self._ask(connection, book, "POST", CLUSTERS, body)
            if status == 201:
                book.counter_id = book.counter_id or content["id"]
            elif status == 409:
                # If an earlier attempt's answer was lost, that attempt may have been stored.
                book.duplicates += not unknown
            elif 400 <= status < 500:
                raise AssertionError(f"a create was answered with {status}: {content}")
            else:
                unknown = unknown or status in (0, 504) or "connection" in content.get("detail", "")
                time.sleep(0.1)
                continue
            book.created.append(name)
            book.succeed()
            return

    def _count(self, connection: http.client.HTTPConnection, book: Book) -> None:
        book.counting += 1
        status, _ = self._ask(
            connection, book, "PATCH", f"{CLUSTERS}/{book.counter_id}", {"spec": {"n": book.counting}}
        )
        if status == 200:
            book.counted = book.counting
            book.succeed()

    def _ask(
        self, connection: http.client.HTTPConnection, book: Book, method: str, path: str, body: Any
    ) -> tuple[int, dict[str, Any]]:
        """The status and content of the answer; 0 and an empty object without one."""
        book.sent += 1
        began = time.monotonic()
        try:
            connection.request(method, path, json.dumps(body), HEADERS)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as failure:
            connection.close()
            book.answers[f"no answer ({type(failure).__name__})"] += 1
            return 0, {}
        book.slowest = max(book.slowest, time.monotonic() - began)
        told = f"{answer.status}"
        if answer.status == 503:
            told += " with Retry-After" if answer.headers.get("Retry-After") else " without Retry-After"
        book.answers[told] += 1
        return answer.status, json.loads(text) if text.startswith(b"{") else {}


SEEN_HEAD: Final = ("sent", "acknowledged", "answers", "lost", "duplicates", "no write for s", "slowest answer s")


@dataclass(frozen=True)
class Found:
    """The result of `check`: missing acknowledged creates, duplicates, and counters below their acknowledged count."""

    lost: int
    duplicates: int
    counts_lost: int


def check(port: int, writers: Writers) -> Found:
    """Reads everything back, and compares it with the writers' records."""
    stored: Counter[str] = Counter()
    counts: dict[str, int] = {}
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)) as connection:
        token = ""
        while True:
            path = f"{CLUSTERS}?pageSize=500&fields=id,name,spec" + (f"&page_token={token}" if token else "")
            connection.request("GET", path)
            answer = connection.getresponse()
            page = json.loads(answer.read())
            if answer.status != 200:
                raise RuntimeError(f"the list cannot be read: {page}")
            for item in page["items"]:
                stored[item["name"]] += 1
                counts[item["id"]] = item["spec"]["n"]
            token = page.get("next_page_token") or ""
            if not token:
                break
    return Found(
        lost=sum(stored[name] == 0 for book in writers.books for name in book.created),
        duplicates=sum(many - 1 for many in stored.values()) + sum(book.duplicates for book in writers.books),
        counts_lost=sum(counts.get(book.counter_id, 0) < book.counted for book in writers.books),
    )


def seen(port: int, writers: Writers, *, expected: Container[str] = ()) -> list[str]:
    """The cells under SEEN_HEAD, after the writers have stopped.

    Raises AssertionError for a missing or duplicate write, and for an answer that is neither a success nor expected.
    """
    found = check(port, writers)
    answers = writers.answers()
    wrong = {told: many for told, many in answers.items() if told[0] != "2" and told not in expected}
    assert (found.lost, found.duplicates, found.counts_lost, wrong) == (0, 0, 0, {}), (found, answers)
    return [
        f"{sum(book.sent for book in writers.books):,}",
        f"{writers.acknowledged:,}",
        ", ".join(f"{many:,} × {told}" for told, many in answers.most_common()),
        str(found.lost + found.counts_lost),
        str(found.duplicates),
        f"{max(book.longest_silence for book in writers.books):.1f}",
        f"{max(book.slowest for book in writers.books):.1f}",
    ]
