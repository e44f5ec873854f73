"""Lists keep one plan for every caller, however uneven the fleet is: planning again costs as much as the page."""

from typing import Any, Final

import pytest

from hyperfleet.model.resource import Scope
from hyperfleet.store.database import Database, Statement
from hyperfleet.store.lists import pages
from testbed.fleet import CLUSTERS, create, listing

# PostgreSQL decides after five custom plans. It keeps a generic plan if that costs no more than their mean, planning
# included. So the values are as uneven as possible: few clusters among node pools, a large and a small tenant, one
# status in fifty.
_FLEET: Final = """
    INSERT INTO resources (id, created_time, updated_time, last_updated_time, last_transition_time, generation,
        observed_generation, kind, name, href, created_by, updated_by, phase, rules, labels, condition_status,
        conditions, status, spec, envelope, tenancy)
    SELECT gen_random_uuid(), now() + make_interval(secs => n), now(), now(), now(), 1, 1, $1::text, 'copy-' || n, href,
        created_by, updated_by, phase, rules, jsonb_build_object('shard', 's' || n % 50, 'only', 'n' || n),
        condition_status || jsonb_build_object('Reconciled', CASE WHEN n % 50 = 3 THEN 'False' ELSE 'True' END,
            'Odd', CASE WHEN n % 100 = 3 THEN 'True' ELSE 'False' END),
        conditions, status, spec, envelope, $2::jsonb
    FROM resources CROSS JOIN generate_series(1, $3::int) AS n
    WHERE name = 'sample'
"""
_PLANS: Final = Statement(
    "PLANS", "SELECT sum(custom_plans)::int AS made FROM pg_prepared_statements WHERE statement LIKE '%AS has_owner%'"
)
_BEFORE_DECIDING: Final = 5

CONDITION: Final = "status.conditions.Reconciled = 'False'"
LABEL: Final = "labels.shard = 's7'"
RARE: Final = "labels.only = 'n7'"
OTHER: Final = "status.conditions.Odd = 'True'"
SHAPES: Final[dict[str, dict[str, Any]]] = {
    "first page": {"size": 20},
    "third page": {"size": 20, "page": 3},
    "a middle page": {"size": 100, "page": 5},
    "the indexed condition": {"size": 20, "search": CONDITION},
    "its second page": {"size": 20, "page": 2, "search": CONDITION},
    "a label": {"size": 20, "search": LABEL},
    "a rare label": {"size": 20, "search": RARE},
    "another condition": {"size": 20, "search": OTHER},
    "a label and the condition": {"size": 20, "search": f"{LABEL} and {CONDITION}"},
}
CALLERS: Final = {
    "anybody": CLUSTERS,
    "a large tenant": Scope(CLUSTERS.kind, tenancy=(("org", "large"),)),
    "a small tenant": Scope(CLUSTERS.kind, tenancy=(("org", "small"),)),
}


async def plans(db: Database) -> int:
    """The number of custom plans of lists so far, on the connection that is reused."""
    [row] = await db.fetch(_PLANS)
    return int(row["made"] or 0)


@pytest.mark.parametrize("caller", CALLERS)
async def test_a_list_is_planned_only_a_few_times(db: Database, caller: str) -> None:
    await create(db, "sample")
    fleet = [("NodePool", "{}", 9000), ("Cluster", "{}", 100)]
    fleet += [("Cluster", '{"org": "large"}', 3000), ("Cluster", '{"org": "small"}', 300)]
    for kind, tenancy, amount in fleet:
        await db.fetch(Statement("FLEET", _FLEET), kind, tenancy.encode(), amount)
    await db.fetch(Statement("ANALYZE", "ANALYZE resources, resource_counts"))
    made = {}
    for shape, parts in SHAPES.items():
        before = await plans(db)
        for _ in range(3 * _BEFORE_DECIDING):
            await pages.page(db, CALLERS[caller], listing(**parts))
        made[shape] = await plans(db) - before
    assert made == {shape: pytest.approx(0, abs=_BEFORE_DECIDING) for shape in SHAPES}
