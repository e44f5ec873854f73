"""The running service under requests that schemathesis makes from the document, good and bad ones.

Nothing may be answered with a 5xx, with a status that the document does not have, or other than its models say.
`make fuzz` sends more of them, and others each time.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, Final
from zlib import crc32

import httpx2
import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi import checks

from hyperfleet.http.description.document import document
from testbed.fleet import CATALOG
from testbed.serving import Service, folder
from tests.contract.story import CLUSTER, NODE_POOL

WANTED: Final = int(os.environ.get("FUZZ_EXAMPLES", "0"))
"""How many requests to make up for each operation; 0 is a few, the same each time."""

# It reads YAML before it looks at it, and the document calls that answer a text.
SCHEMA: Final = schemathesis.openapi.from_dict(document(CATALOG)).exclude(path="/openapi.yaml")
# What the models cannot say, such as that a name is free or what a search means, is refused with 400, 404 or 409.
LEFT_OUT: Final = [checks.positive_data_acceptance]
NAMES: Final = count(1)
# The HTTP server refuses an address or headers of more than 64 KiB before the service sees them.
TOO_LONG: Final = (414, 431)


@dataclass(frozen=True, slots=True)
class Running:
    """The service's address, and the ids of what is there."""

    url: str
    ids: dict[str, str]


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """A service of its own, with a cluster and a node pool in it."""
    with folder() as place:
        service = Service(place).start()
        try:
            service.ready()
            url = f"http://127.0.0.1:{service.api}"
            clusters = f"{url}/api/hyperfleet/v1/clusters"
            cluster = httpx2.post(clusters, json=CLUSTER).json()["id"]
            pool = httpx2.post(f"{clusters}/{cluster}/nodepools", json=NODE_POOL).json()["id"]
            yield Running(url, {"cluster_id": cluster, "nodepool_id": pool, "resource_id": cluster})
        finally:
            service.stop()


def _is_proper(case: Any, location: ParameterLocation) -> bool:
    """Whether that part of a request is there and as the document wants it."""
    part = case.meta.components.get(location)
    return part is not None and bool(part.mode.is_positive)


@SCHEMA.parametrize()
@hypothesis.settings(
    max_examples=WANTED or 15,
    derandomize=not WANTED,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_whatever_is_sent_is_answered_as_the_document_says(case: Any, running: Running) -> None:
    # Ids that are made up are nobody's: every other request is about what is there.
    if _is_proper(case, ParameterLocation.PATH) and crc32(repr((case.body, case.query)).encode("utf-8", "replace")) % 2:
        case.path_parameters = {name: running.ids[name] for name in case.path_parameters}
    # The names in examples are taken after the first request.
    if _is_proper(case, ParameterLocation.BODY) and isinstance(case.body, dict) and "name" in case.body:
        case.body = case.body | {"name": f"fuzz-{next(NAMES)}"}
    response = case.call(base_url=running.url)
    if response.status_code not in TOO_LONG:
        case.validate_response(response, excluded_checks=LEFT_OUT)
