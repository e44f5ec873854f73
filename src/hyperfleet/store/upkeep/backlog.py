"""The fleet in numbers: resources by kind and phase, and the pending ones, counted by one statement.

Counting every row would read the whole table. The rows that wait have indexes, and are few; their phase is read.
Triggers keep the totals (`resource_counts`), so the rest follows by subtraction. A resource of a kind that counts
adapters is Ready unless it waits. Most resources of a kind that requires nobody have no conditions and are NotReady, so
of such a kind the reconciled rows are read too.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

from hyperfleet import settings
from hyperfleet.model.kind import Kind
from hyperfleet.model.status.condition import PHASES
from hyperfleet.store.connections import connect

# Every term has an index. A live resource waits since its Reconciled became False, one that is being deleted since it
# was asked to go.
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
# Whoever wrote a resource since then has computed its status by the rules of now.
SET_ASIDE: Final = """
    SELECT kind, count(*) FROM recomputations
    JOIN resources ON id = resource_id AND resources.resource_version = recomputations.resource_version
    WHERE set_aside AND kind = ANY ($1::text[]) GROUP BY kind
"""
_APPLICATION_NAME: Final = "hyperfleet-api metrics"


class Waiting(NamedTuple):
    """How many resources of a kind wait, how many of them too long, and the longest of these, in seconds."""

    kind: str
    is_delete: bool
    pending: int
    stuck: int
    longest: float


class Backlog(NamedTuple):
    """What waits, without kinds where nothing does; how many of each kind are in each phase, and how many set aside."""

    waiting: list[Waiting]
    phases: dict[tuple[str, str], int]
    set_aside: dict[str, int]


class _Group(NamedTuple):
    """Resources that are alike; `phase` is None in the row with the total of a kind."""

    kind: str
    phase: str | None
    is_delete: bool
    resources: int
    pending: int
    stuck: int
    longest: float


def requiring_nobody(kinds: Sequence[Kind]) -> list[str]:
    """The kinds whose resources have no conditions before somebody reports."""
    return [kind.name for kind in kinds if kind.required_adapters == ()]


async def read(configured: settings.Database, kinds: Sequence[Kind], *, threshold: float, timeout: float) -> Backlog:
    """The present numbers; `threshold` is the seconds after which a resource is stuck.

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
            # A farewell to a database that has gone silent is never answered; after one that was, this is nothing.
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
    """The number of resources of a kind by phase, zeros included; what was not read has the phase of the rest."""
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
