"""The backlog: resources by kind and phase, and the pending ones, counted by one statement.

Counting every row would read the whole table. Pending rows have indexes and are few, so their phases are read. Triggers
keep the totals (`resource_counts`), so the rest follows by subtraction. A resource of a kind that counts adapters is
Ready unless it is pending. Most resources of a kind that requires no adapter have no conditions and are NotReady, so
the reconciled rows of such a kind are read too.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

from hyperfleet import settings
from hyperfleet.model.kind import Kind
from hyperfleet.model.status.condition import PHASES
from hyperfleet.store.connections import connect

# Every term has an index. A resource has been pending since its Reconciled became False, or since its deletion was
# requested.
GROUPS: Final = """
    SELECT kind, phase, is_delete, count(*) AS resources, count(*) FILTER (WHERE waits) AS pending,
           count(*) FILTER (WHERE waits AND seconds > $3) AS stuck,
           coalesce(max(seconds) FILTER (WHERE waits AND seconds > $3), 0)::float8 AS longest
    FROM (
        SELECT kind, phase, deleted_time IS NOT NULL AS is_delete,
               deleted_time IS NOT NULL OR condition_status ->> 'Reconciled' = 'False' AS waits,
               extract(epoch FROM now() - coalesce(deleted_time, (conditions -> 'Reconciled' ->> 't')::timestamptz))
                   AS seconds
        FROM resources
        WHERE (kind = ANY ($1::text[]) AND condition_status ->> 'Reconciled' = 'False')
            OR (kind = ANY ($1::text[]) AND deleted_time IS NOT NULL)
            OR (kind = ANY ($2::text[]) AND condition_status ->> 'Reconciled' = 'True')
    ) AS seen
    GROUP BY kind, phase, is_delete
    UNION ALL
    SELECT kind, NULL, false, sum(resources)::bigint, 0, 0, 0
    FROM resource_counts WHERE tenancy = '*' AND kind = ANY ($1::text[]) GROUP BY kind
"""
# A resource that was written since it was set aside has a status by the current rules.
SET_ASIDE: Final = """
    SELECT kind, count(*) FROM recomputations
    JOIN resources ON id = resource_id AND resources.resource_version = recomputations.resource_version
    WHERE set_aside AND kind = ANY ($1::text[]) GROUP BY kind
"""
_APPLICATION_NAME: Final = "hyperfleet-api metrics"


class Waiting(NamedTuple):
    """How many resources of a kind are pending, how many of these are stuck, and their longest wait in seconds."""

    kind: str
    is_delete: bool
    pending: int
    stuck: int
    longest: float


class Backlog(NamedTuple):
    """The pending resources of kinds that have any, the number of resources by kind and phase, and those set aside."""

    waiting: list[Waiting]
    phases: dict[tuple[str, str], int]
    set_aside: dict[str, int]


class _Group(NamedTuple):
    """Resources of one kind, phase and deletion state; `phase` is None in the row with the total of a kind."""

    kind: str
    phase: str | None
    is_delete: bool
    resources: int
    pending: int
    stuck: int
    longest: float


def requiring_nobody(kinds: Sequence[Kind]) -> list[str]:
    """The names of the kinds that require no adapter: their resources have no conditions before the first report."""
    return [kind.name for kind in kinds if kind.required_adapters == ()]


async def read(configured: settings.Database, kinds: Sequence[Kind], *, threshold: float, timeout: float) -> Backlog:
    """The current backlog; a resource is stuck when it has been pending for more than `threshold` seconds.

    Raises TimeoutError, and what the driver raises.
    """
    names, passive = [kind.name for kind in kinds], requiring_nobody(kinds)
    async with asyncio.timeout(timeout):
        connection = await connect(configured, application_name=_APPLICATION_NAME, timeout=timeout)
        try:
            rows = await connection.fetch(GROUPS, names, passive, threshold)
            aside = await connection.fetch(SET_ASIDE, names)
            await connection.close()
        finally:
            # A database that does not respond never answers a close; after an answered close, this does nothing.
            connection.terminate()
    groups = [_Group(*row) for row in rows]
    phases = {key: n for name in names for key, n in _phases(name, groups, passive).items()}
    return Backlog(_waiting(groups), phases, {str(row[0]): int(row[1]) for row in aside})


def _waiting(groups: list[_Group]) -> list[Waiting]:
    found: dict[tuple[str, bool], Waiting] = {}
    for group in groups:
        if group.pending:
            before = found.get((group.kind, group.is_delete), Waiting(group.kind, group.is_delete, 0, 0, 0.0))
            found[group.kind, group.is_delete] = before._replace(
                pending=before.pending + group.pending,
                stuck=before.stuck + group.stuck,
                longest=max(before.longest, group.longest),
            )
    return list(found.values())


def _phases(kind: str, groups: list[_Group], passive: list[str]) -> dict[tuple[str, str], int]:
    """The number of resources of a kind by phase, zeros included; rows that were not read have the default phase."""
    found = {(kind, phase): 0 for phase in PHASES}
    total = read = 0
    for group in groups:
        if group.kind == kind and group.phase is None:
            total = group.resources
        elif group.kind == kind and group.phase is not None:
            found[kind, group.phase] += group.resources
            read += group.resources
    found[kind, "NotReady" if kind in passive else "Ready"] += max(0, total - read)
    return found
