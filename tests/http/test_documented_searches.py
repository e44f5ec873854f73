"""Runs every search in the guide and the alerts, and checks that each finds something."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

import httpx2
import pytest
import yaml

from hyperfleet.store.database import Database
from testbed.fleet import NOON, below, change, create, delete, report, send
from tests.house.test_search_docs import EXAMPLES

ALERTS: Final = Path(__file__).parents[2] / "charts" / "files" / "alerts.yaml"
GIVEN: Final = re.compile(r"search=(.+?)(?: \((.+?) for deletions\))?, oldest first")
AN_ID: Final = "019abcde-0000-7000-8000-000000000000"
JANUARY: Final = (datetime(2026, 1, 15, tzinfo=UTC) - NOON).total_seconds()


def of_alerts() -> list[str]:
    """The searches in annotations of alerts."""
    alerts = yaml.safe_load(ALERTS.read_text())
    texts = [rule["annotations"]["description"] for group in alerts["groups"] for rule in group["rules"]]
    return [search for text in texts for found in GIVEN.finditer(text) for search in found.groups() if search]


@pytest.fixture
async def cluster(db: Database) -> str:
    """The id of a cluster that matches nearly every search of the guide; other clusters match the rest."""
    labels = {"environment": "prod", "app.kubernetes.io/name": "web"}
    spec = {"region": "eu-west-1", "replicas": 3, "machineType": "n1", "network": {"pod cidr": "10.0.0.0/16"}}
    id = str((await create(db, "production-cluster", labels=labels, spec=spec, at=JANUARY))["id"])
    failed = report("dns.v2", at=JANUARY + 1, reason="Done", Failed="True")
    await send(db, id, failed, now=JANUARY + 1)
    await create(db, "workers", below(UUID(id)))
    going = (await create(db, "going", at=JANUARY))["id"]
    await change(db, going, spec={"a": 1}, at=JANUARY + 1)
    await send(db, going, report("dns-adapter", at=JANUARY + 2), now=JANUARY + 2)
    await delete(db, going, at=JANUARY + 3)
    return id


def test_the_alerts_contain_searches() -> None:
    assert of_alerts() == ["status.conditions.Reconciled = 'False'", "deleted_time is not null"]


async def test_each_search_finds_something(client: httpx2.AsyncClient, cluster: str, subtests: pytest.Subtests) -> None:
    for search in [*of_alerts(), *(example for kind, example in EXAMPLES if kind == "search")]:
        with subtests.test(search):
            answer = await client.get("/resources", params={"search": search.replace(AN_ID, cluster)})
            assert answer.status_code == 200, answer.text
            assert answer.json()["total"] > 0
