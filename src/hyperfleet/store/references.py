"""What a write says of the resources it references: the parts of its statement that lock and check the targets.

Targets are locked FOR KEY SHARE by the statement that names them. Marking and removing lock FOR UPDATE, so a target
cannot go while a reference to it comes; whoever waits sees the row as it is after the wait. Ids are locked in order.
"""

from typing import Final

import msgspec

from hyperfleet.errors import FieldError, InvalidInput, WrongState
from hyperfleet.model.kind import Kind
from hyperfleet.model.rendering import Envelope
from hyperfleet.model.resource import Desired


def targets(*, types: str, kinds: str, ids: str, tenancy: str) -> str:
    """The expressions `wanted`, `target` and `unfit` of a WITH, from placeholders of three arrays side by side.

    A target must have the source's `tenancy`, so that whoever sees the source sees the target. Another tenant's row is
    not even locked.
    """
    return f"""
    wanted AS (
        SELECT * FROM unnest({types}::text[], {kinds}::text[], {ids}::uuid[]) AS wanted (type, kind, id)
    ), target AS (
        SELECT id, kind, href, deleted_time IS NOT NULL AS is_deleting
        FROM resources WHERE id = ANY ({ids}::uuid[]) AND tenancy @> {tenancy} ORDER BY id FOR KEY SHARE
    ), unfit AS (
        SELECT wanted.type, wanted.kind, wanted.id, target.id IS NOT NULL AS is_deleting
        FROM wanted LEFT JOIN target ON target.id = wanted.id AND target.kind = wanted.kind
        WHERE target.id IS NULL OR target.is_deleting
    )
    """


UNFIT: Final = "(SELECT json_agg(unfit ORDER BY unfit.type, unfit.id) FROM unfit)"
"""The targets that are not there, or are being deleted; NULL when all are fit."""


def composition(texts: str, ids: str) -> str:
    """The envelope of these texts with the addresses of the resources `ids` between them, from `named` (id, href)."""
    return f"""(
        SELECT string_agg(part.text || coalesce(to_json(named.href)::text, ''), '' ORDER BY part.position)
        FROM unnest({texts}::text[], {ids}::uuid[]) WITH ORDINALITY AS part (text, id, position)
        LEFT JOIN named ON named.id = part.id
    )::json"""


def composed(envelope: Envelope) -> tuple[object, ...]:
    """The values of `composition`."""
    return [text.decode() for text in envelope.texts], envelope.named


def wanted(kind: Kind, desired: Desired) -> tuple[object, ...]:
    """The values of `targets`: for each reference its type, the kind and the id of its target."""
    rows = [(rule.type, rule.target, id) for rule in kind.references for id in desired.references.get(rule.type, ())]
    return [type for type, _, _ in rows], [target for _, target, _ in rows], [id for _, _, id in rows]


class _Unfit(msgspec.Struct):
    type: str
    kind: str
    id: str
    is_deleting: bool


_unfit: Final = msgspec.json.Decoder(list[_Unfit])


def require_fit(unfit: bytes | None) -> None:
    """Raises for the value of UNFIT: InvalidInput for targets that are not there, else WrongState."""
    if unfit is None:
        return
    found = _unfit.decode(unfit)
    missing = [target for target in found if not target.is_deleting]
    if missing:
        raise InvalidInput(
            *(
                FieldError(
                    "VAL-002", f"references.{target.type}", f"there is no {target.kind} {target.id}", value=target.id
                )
                for target in missing
            )
        )
    first = found[0]
    raise WrongState(f"The {first.kind} {first.id} is being deleted; nothing can reference it.")
