"""The output for a person at a terminal, and for a log collector."""

import os
import pty
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from hyperfleet.serving.banner import banner
from hyperfleet.settings import Health, Jwt, Metrics, Server, Settings, Tls
from testbed.serving import Service, folder
from testbed.waiting import eventually


def on_terminal(service: Service, seen: bytearray) -> Thread:
    """Starts the service with a terminal for its output, which is collected in `seen`."""
    ours, theirs = pty.openpty()
    service.process = subprocess.Popen(
        [sys.executable, "-m", "hyperfleet", "serve"],
        env=service.environment | {"TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)

    def read() -> None:
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:
                break
            if not part:
                break
            seen.extend(part)
        os.close(ours)

    reader = Thread(target=read)
    reader.start()
    return reader


@pytest.fixture(scope="module")
def shown() -> Iterator[tuple[Service, str]]:
    """A service that ran on a terminal, and its output there."""
    with folder() as place:
        service, seen = Service(place), bytearray()
        reader = on_terminal(service, seen)
        try:
            service.ready()
            eventually(lambda: b"Press Ctrl-C to stop" in seen, "the banner")
            with urllib.request.urlopen(f"http://127.0.0.1:{service.api}/", timeout=20) as answer:
                assert answer.headers["server"] == "hyperfleet-api"
            service.signal(signal.SIGINT)
            assert service.wait() == 0
        finally:
            service.stop()
            reader.join(20)
        yield service, seen.decode()


def test_a_terminal_shows_urls_that_can_be_opened(shown: tuple[Service, str]) -> None:
    service, text = shown
    for address in (
        f"http://127.0.0.1:{service.api}/",
        f"http://127.0.0.1:{service.api}/api/hyperfleet/v1/",
        f"http://127.0.0.1:{service.api}/openapi-ui",
        f"http://localhost:{service.health}/healthcheck",
        f"http://localhost:{service.metrics}/metrics",
        f"embedded PostgreSQL in {service.data}",
    ):
        assert re.search(rf"^  [A-Z].* {re.escape(address)}\r?$", text, re.MULTILINE), address


def test_a_terminal_shows_text_with_colors_and_only_other_callers_requests(shown: tuple[Service, str]) -> None:
    _, text = shown
    assert "{" not in text.partition("is ready.")[0]
    assert "\x1b[2m" in text
    requests = [line for line in text.splitlines() if "http: request" in line]
    assert len(requests) == 1
    assert 'route="/"' in requests[0]


def test_a_file_gets_json_without_a_banner() -> None:
    with folder() as place:
        service = Service(place).start()
        try:
            service.ready()
        finally:
            service.stop()
        assert all(line.startswith("{") for line in service.text().splitlines())
        assert service.lines("ready")
        assert service.lines("request") == []


def test_the_banner_names_what_a_browser_on_this_machine_can_open() -> None:
    configured = Settings(
        server=Server(host="0.0.0.0", port=8443, tls=Tls(enabled=True), jwt=Jwt(enabled=False)),
        health=Health(host="::1"),
        metrics=Metrics(host="10.0.0.7", port=9090),
    )
    text = banner(configured, version="1.1.0", database="db.example.com")
    assert "https://localhost:8443/" in text
    assert "http://[::1]:8083/healthcheck" in text
    assert "http://10.0.0.7:9090/metrics" in text
    assert "Requests require no token." in text
    assert "Requests require a token." in banner(Settings(), version="1.1.0", database="db.example.com")


def test_the_development_issuer_prints_commands_for_the_requested_port(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-m", "dev.issuer", tmp_path / "run", "--server-port=18765"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "http://localhost:18765/api/hyperfleet/v1/clusters" in said
    assert "--url=http://localhost:18765" in said
    assert ":8000" not in said
