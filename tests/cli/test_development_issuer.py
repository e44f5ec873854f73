"""The issuer of `make run`: the service that trusts it accepts its token, and its private key is not kept."""

import json
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from dev import issuer
from testbed.calls import CLUSTERS
from testbed.serving import Service, folder

ROOT = Path(__file__).parents[2]


def ask(service: Service, method: str, path: str, token: str, body: Any = None) -> int:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    sent = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{service.api}{path}", sent, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as failure:
        with failure:
            return failure.code


def test_the_service_accepts_the_token_of_the_last_run_and_not_an_earlier_one() -> None:
    with folder() as place:
        made = place / "run"
        tokens = []
        for _ in range(2):
            said = subprocess.run(
                [sys.executable, "-m", "dev.issuer", made], cwd=ROOT, capture_output=True, text=True, check=True
            ).stdout
            tokens.append((made / issuer.TOKEN).read_text())
        assert f'curl -H "Authorization: Bearer $(cat {made / issuer.TOKEN})"' in said
        assert f'ocm login --token="$(cat {made / issuer.TOKEN})" --url=http://localhost:8000' in said
        configuration = str(made / issuer.CONFIGURATION)
        service = Service(place, HYPERFLEET_CONFIG=configuration, HYPERFLEET_SERVER_JWT_ENABLED="").start()
        try:
            service.ready()
            assert [ask(service, "GET", CLUSTERS, token) for token in ("", *tokens)] == [401, 401, 200]
            assert ask(service, "POST", CLUSTERS, tokens[1], {"name": "mine", "spec": {}}) == 201
            missing = f"{CLUSTERS}/no-id/force-delete"
            assert ask(service, "POST", missing, tokens[1], {"reason": "test"}) == 404
        finally:
            service.stop()


def test_only_the_owner_can_read_its_files_and_they_contain_no_private_key(tmp_path: Path) -> None:
    issuer.write(tmp_path / "run")
    files = list((tmp_path / "run").iterdir())
    assert {file.name for file in files} == {issuer.KEYS, issuer.CONFIGURATION, issuer.TOKEN}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700
    [key] = json.loads((tmp_path / "run" / issuer.KEYS).read_text())["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
