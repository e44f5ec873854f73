"""Unknown words in a search: a list refuses them instead of staying empty forever."""

import httpx2
import pytest

from hyperfleet.model.kind import AnyAdapter
from testbed import fleet


@pytest.mark.parametrize(
    ("path", "search", "nearest"),
    [
        ("/clusters", "status.phase = 'ready'", "Ready"),
        ("/clusters", "status.conditions.Reconciled = 'false'", "False"),
        ("/clusters", "status.conditions.Reconcilled = 'False'", "Reconciled"),
        ("/nodepools", "status.conditions.LastknownReconciled is null", "LastKnownReconciled"),
        ("/resources", "status.conditions.Reconcilled != 'True'", "Reconciled"),
        ("/resources", "kind = 'Clutser'", "Cluster"),
        ("/clusters", "kind = 'cluster'", "Cluster"),
    ],
)
async def test_a_mistyped_word_is_refused_with_the_nearest(
    client: httpx2.AsyncClient, path: str, search: str, nearest: str
) -> None:
    answer = await client.get(path, params={"search": search})
    assert (answer.status_code, answer.json()["code"]) == (400, "HYPERFLEET-VAL-007")
    assert f"the nearest is `{nearest}`" in answer.json()["detail"]


@pytest.mark.parametrize(
    "search",
    [
        "status.conditions.AnybodySuccessful is null",
        "status.conditions.LastKnownReconciled = 'False'",
        "status.phase in ('NotReady', 'Ready', 'Failed')",
        "kind = 'NodePool' or kind = 'Cluster'",
    ],
)
async def test_known_words_find_their_resources(client: httpx2.AsyncClient, search: str) -> None:
    assert fleet.CLUSTER.required_adapters is AnyAdapter.ANY
    await client.post("/clusters", json={"name": "alpha", "spec": {}})
    for path in ("/clusters", "/resources"):
        answer = await client.get(path, params={"search": search})
        assert (answer.status_code, answer.json()["total"]) == (200, 1), answer.text
