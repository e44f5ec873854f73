"""Helpers for drills with readers: a fleet of resources of a given size, the workers' memory, and walks over lists."""

import contextlib
import http.client
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from testbed.calls import CLUSTERS
from testbed.processes import megabytes
from testbed.serving import Service

CREATORS: Final = 4
SAMPLE_SECONDS: Final = 0.1
PATIENCE_SECONDS: Final = 60.0


def fill(port: int, count: int, size: int, *, name: str = "row") -> list[str]:
    """Creates `count` clusters with specs of about `size` bytes, and returns their ids."""

    def create(numbers: range) -> list[str]:
        spec = {"blob": "x" * size}
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)) as connection:
            return [_created(connection, f"{name}-{number}", spec) for number in numbers]

    with ThreadPoolExecutor(CREATORS) as pool:
        return [id for ids in pool.map(create, (range(n, count, CREATORS) for n in range(CREATORS))) for id in ids]


def _created(connection: http.client.HTTPConnection, name: str, spec: dict[str, Any]) -> str:
    connection.request("POST", CLUSTERS, json.dumps({"name": name, "spec": spec}), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    body = json.loads(answer.read())
    if answer.status != 201:
        raise RuntimeError(f"a cluster was not created: {body}")
    return str(body["id"])


class Memory:
    """Records the largest memory of any worker, in MB, until `end`."""

    def __init__(self, service: Service) -> None:
        self.most = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(service.worker_pids(),), daemon=True)
        self._thread.start()

    def _watch(self, pids: list[int]) -> None:
        is_over = False
        while not is_over:
            is_over = self._over.wait(SAMPLE_SECONDS)
            for pid in pids:
                self.most = max(self.most, megabytes(pid))

    def end(self) -> float:
        """Stops recording, and returns the largest memory."""
        self._over.set()
        self._thread.join()
        return self.most


@dataclass
class Walk:
    """The result of a walk over a list; `largest` is the bytes of the largest page."""

    names: list[str] = field(default_factory=list)
    pages: int = 0
    largest: int = 0
    seconds: float = 0.0


def page(connection: http.client.HTTPConnection, query: str, *, gzip: bool = False) -> tuple[int, bytes]:
    """The status and the undecoded body of a list."""
    connection.request("GET", f"{CLUSTERS}?{query}", headers={"Accept-Encoding": "gzip"} if gzip else {})
    answer = connection.getresponse()
    return answer.status, answer.read()


def by_token(port: int, query: str) -> Walk:
    """Walks a list by page tokens."""
    walk, began, token = Walk(), time.monotonic(), ""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)) as connection:
        while True:
            status, body = page(connection, query + (f"&page_token={token}" if token else ""))
            token = _seen(walk, status, body).get("next_page_token", "")
            if not token:
                walk.seconds = time.monotonic() - began
                return walk


def by_number(port: int, query: str) -> Walk:
    """Walks a list by page numbers, up to the first empty page."""
    walk, began = Walk(), time.monotonic()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)) as connection:
        while True:
            status, body = page(connection, f"{query}&page={walk.pages + 1}")
            if not _seen(walk, status, body)["items"]:
                walk.seconds = time.monotonic() - began
                return walk


def _seen(walk: Walk, status: int, body: bytes) -> dict[str, Any]:
    listed: dict[str, Any] = json.loads(body)
    assert status == 200, listed
    walk.pages += 1
    walk.largest = max(walk.largest, len(body))
    walk.names += [item["name"] for item in listed["items"]]
    return listed
