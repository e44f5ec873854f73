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


def targets(tenancy: str) -> str:
    """The expressions `wanted`, `target` and `unfit` of a WITH, from three arrays side by side.

    A target must have the source's `tenancy`, so that whoever sees the source sees the target. Another tenant's row is
    not even locked.
    """
    return f"""
    wanted AS (
        SELECT * FROM unnest(:ref_types::text[], :target_kinds::text[], :target_ids::uuid[]) AS wanted (type, kind, id)
    ), target AS (
        SELECT id, kind, href, deleted_time IS NOT NULL AS is_deleting
        FROM resources WHERE id = ANY (:target_ids::uuid[]) AND tenancy @> {tenancy} ORDER BY id FOR KEY SHARE
    ), unfit AS (
        SELECT wanted.type, wanted.kind, wanted.id, target.id IS NOT NULL AS is_deleting
        FROM wanted LEFT JOIN target ON target.id = wanted.id AND target.kind = wanted.kind
        WHERE target.id IS NULL OR target.is_deleting
    )
    """


UNFIT: Final = "(SELECT json_agg(unfit ORDER BY unfit.type, unfit.id) FROM unfit)"
"""The targets that are not there, or are being deleted; NULL when all are fit."""

COMPOSITION: Final = """(
    SELECT string_agg(part.text || coalesce(to_json(named.href)::text, ''), '' ORDER BY part.position)
    FROM unnest(:texts::text[], :named::uuid[]) WITH ORDINALITY AS part (text, id, position)
    LEFT JOIN named ON named.id = part.id
)::json"""
"""An envelope with the addresses of the resources that it names between its texts, from `named` (id, href)."""


def composed(envelope: Envelope) -> dict[str, object]:
    """The values of COMPOSITION."""
    return {"texts": [text.decode() for text in envelope.texts], "named": envelope.named}


def wanted(kind: Kind, desired: Desired) -> dict[str, object]:
    """The values of `targets`: for each reference its type, the kind and the id of its target."""
    rows = [(rule.type, rule.target, id) for rule in kind.references for id in desired.references.get(rule.type, ())]
    types, kinds, ids = zip(*rows, strict=True) if rows else ((), (), ())
    return {"ref_types": types, "target_kinds": kinds, "target_ids": ids}


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
                    "VAL-002", f"references.{target.type}", f"{target.kind} {target.id} does not exist", value=target.id
                )
                for target in missing
            )
        )
    first = found[0]
    raise WrongState(f"{first.kind} {first.id} is being deleted and cannot be referenced.")
