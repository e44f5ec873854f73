"""Fills a service with a large fleet within seconds: creates one cluster over the API and copies it in the database."""

import asyncio
from typing import Final
from uuid import UUID

from hyperfleet.postgres import embedded
from testbed.calls import CLUSTERS, asked
from testbed.serving import Service
from testbed.sessions import session

COPIED: Final = """
    INSERT INTO resources
    SELECT (jsonb_populate_record(one, jsonb_build_object(
        'id', fresh.id, 'name', fresh.name, 'href', replace(one.href, one.id::text, fresh.id::text),
        'created_time', one.created_time + number * interval '1 millisecond'
    ))).*
    FROM resources AS one
    CROSS JOIN LATERAL (
        SELECT number, 'copy-' || number AS name,
               overlay(one.id::text placing lpad(to_hex(number), 12, '0') from 25)::uuid AS id
        FROM generate_series(1, $2) AS number
    ) AS fresh
    WHERE one.id = $1
"""
ADDRESSED: Final = """
    UPDATE resources SET envelope = replace(replace(envelope::text, $1::text, id::text), $2, name)::json
    WHERE id <> $1::uuid AND name LIKE 'copy-%'
"""


def filled(service: Service, count: int, spec: object) -> list[str]:
    """Fills the service with `count` clusters of one spec; returns the ids of a hundred of them."""
    status, first = asked(service.api, "POST", CLUSTERS, {"name": "first", "spec": spec})
    assert status == 201, first
    asyncio.run(_copied(service, UUID(first["id"]), count - 1))
    _, page = asked(service.api, "GET", f"{CLUSTERS}?pageSize=100&fields=name")
    assert page["total"] == count
    return [item["id"] for item in page["items"]]


async def _copied(service: Service, id: UUID, count: int) -> None:
    server = embedded.status(service.data)
    assert server is not None
    async with session(server.settings(), "drill") as connection:
        await connection.execute("SET statement_timeout = 0")
        await connection.execute(COPIED, id, count)
        await connection.execute(ADDRESSED, str(id), "first")
        await connection.execute("VACUUM ANALYZE resources")
