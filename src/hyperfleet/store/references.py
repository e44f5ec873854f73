"""References in a write: the parts of its statement that lock and check their targets.

The statement that stores references locks their targets FOR KEY SHARE. Marking and removing lock FOR UPDATE, so a
target cannot be deleted while a reference to it is stored; after a wait, a statement sees the row as it is then.
Targets are locked in the order of their ids.
"""

from typing import Final

import msgspec

from hyperfleet.errors import FieldError, InvalidInput, WrongState
from hyperfleet.model.kind import Kind
from hyperfleet.model.rendering import Envelope
from hyperfleet.model.resource import Desired


def targets(tenancy: str) -> str:
    """The WITH expressions `wanted`, `target` and `unfit`, from three parallel arrays.

    A target must have the source's `tenancy`, so that every caller that sees the source sees the target. Rows of other
    tenants are not even locked.
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
"""The targets that do not exist or are being deleted; NULL when there are none."""

COMPOSITION: Final = """(
    SELECT string_agg(part.text || coalesce(to_json(named.href)::text, ''), '' ORDER BY part.position)
    FROM unnest(:texts::text[], :named::uuid[]) WITH ORDINALITY AS part (text, id, position)
    LEFT JOIN named ON named.id = part.id
)::json"""
"""An envelope: its texts, with the addresses of the resources that it names between them, from `named` (id, href)."""


def composed(envelope: Envelope) -> dict[str, object]:
    """The values of COMPOSITION."""
    return {"texts": [text.decode() for text in envelope.texts], "named": envelope.named}


def wanted(kind: Kind, desired: Desired) -> dict[str, object]:
    """The values of `targets`: for each reference its type, and its target's kind and id."""
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
    """Raises for a value of UNFIT that is not None: InvalidInput when some targets do not exist, else WrongState."""
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
