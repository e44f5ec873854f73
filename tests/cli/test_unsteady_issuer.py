"""A service of several workers whose issuer rotates, hangs, lies and dies while requests flow over real HTTP."""

import http.client
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import yaml

from hyperfleet.http.access.issuer_keys import COOLDOWN_SECONDS
from testbed.calls import CLUSTERS
from testbed.serving import Service, folder
from testbed.waiting import eventually
from tests.http.issuing import ISSUER, LocalIssuer, Request, key_set, local_issuer, token

WORKERS = 2
CALLERS = 4
SECONDS_A_TURN = 2.0


class Flow:
    """Requests that continue until `over`, each with a new token, signed with the key named by `key`."""

    def __init__(self, port: int, key: str) -> None:
        self.key = key
        self.over = threading.Event()
        self.statuses: Counter[tuple[str, int]] = Counter()
        self._threads = [threading.Thread(target=self._ask, args=(port, each)) for each in range(CALLERS)]
        for thread in self._threads:
            thread.start()

    def _ask(self, port: int, caller: int) -> None:
        number = 0
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
            while not self.over.is_set():
                number += 1
                key = self.key
                headers = {"Authorization": f"Bearer {token(key, sub=f'caller-{caller}-{number}').decode()}"}
                connection.request("GET", f"{CLUSTERS}?pageSize=1", headers=headers)
                answer = connection.getresponse()
                answer.read()
                self.statuses[key, answer.status] += 1
                time.sleep(0.01)

    def passed(self, key: str) -> int:
        return self.statuses[key, 200]

    def end(self) -> None:
        self.over.set()
        for thread in self._threads:
            thread.join()


def trusting(issuer: LocalIssuer, place: Path) -> Service:
    """A service that fetches its keys from this issuer."""
    entry = {"issuer_url": ISSUER, "jwk_cert_url": issuer.url}
    configuration = place / "config.yaml"
    configuration.write_text(yaml.safe_dump({"server": {"jwt": {"enabled": True, "configs": [entry]}}}))
    return Service(
        place,
        HYPERFLEET_CONFIG=str(configuration),
        HYPERFLEET_SERVER_JWT_ENABLED="",
        HYPERFLEET_SERVER_WORKERS=str(WORKERS),
    )


def test_no_request_with_a_valid_token_fails_whatever_its_issuer_does() -> None:
    with folder() as place, local_issuer("ES256-one") as issuer:
        service = trusting(issuer, place).start()
        try:
            service.ready()
            began = time.monotonic()
            flow = Flow(service.api, "ES256-one")
            try:
                eventually(lambda: flow.passed("ES256-one") > 50, "requests flow")
                issuer.publishes = key_set("ES256-one", "ES256-two")
                flow.key = "ES256-two"
                eventually(lambda: flow.passed("ES256-two") > 50, "a rotation is followed")
                issuer.page = Request.hang
                time.sleep(SECONDS_A_TURN)
                issuer.release.set()
                issuer.page = lambda asked: asked.answer(b"<html>This is no set of keys.</html>")
                time.sleep(SECONDS_A_TURN)
                issuer.stop()
                time.sleep(SECONDS_A_TURN)
                issuer.page = None
                issuer.publishes = key_set("ES256-three")
                issuer.start()
                flow.key = "ES256-three"
                eventually(lambda: flow.passed("ES256-three") > 50, "another rotation is followed")
            finally:
                flow.end()
            assert {status for _, status in flow.statuses} == {200}
            # Each worker fetches once in advance, and then at most once per cooldown.
            assert issuer.requests <= WORKERS * (2 + (time.monotonic() - began) / COOLDOWN_SECONDS)
        finally:
            service.stop()
