"""Single requests to the service, each over its own connection."""

import contextlib
import http.client
import json
import urllib.error
import urllib.request
from typing import Any, Final

from testbed.waiting import SECONDS

CLUSTERS: Final = "/api/hyperfleet/v1/clusters"


def fetched(port: int, path: str) -> tuple[int, bytes]:
    """The status and body of a GET; 0 and an empty body without an answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as failure:
        with failure:
            return failure.code, failure.read()
    except (OSError, http.client.HTTPException):
        return 0, b""


def create(port: int, name: str) -> int:
    """Creates a cluster and returns the status; raises OSError or HTTPException without an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    with contextlib.closing(connection):
        body = json.dumps({"kind": "Cluster", "name": name, "spec": {"nodes": 3}})
        connection.request("POST", CLUSTERS, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        return answer.status


def names(port: int) -> set[str]:
    """The names of all clusters."""
    found: set[str] = set()
    page = 1
    while True:
        status, body = fetched(port, f"{CLUSTERS}?pageSize=100&page={page}&fields=name")
        assert status == 200, body
        items = json.loads(body)["items"]
        found |= {item["name"] for item in items}
        if len(items) < 100:
            return found
        page += 1


def asked(port: int, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
    """The status and the decoded answer; 0 and an empty object without an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        text = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        connection.request(method, path, text, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        return answer.status, json.loads(content) if content else {}
    return 0, {}
