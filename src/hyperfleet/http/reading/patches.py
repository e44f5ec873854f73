"""Parses PATCH bodies: each replaces whole members, or is a merge patch (contract: Change; RFC 7396).

Faults of the body itself are reported at once. The result of a merge is checked again where the merge is applied.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from hyperfleet.errors import FieldError, InvalidInput
from hyperfleet.http.media_types import is_merge_patch
from hyperfleet.http.reading import label_keys, reference_bodies, request_schemas
from hyperfleet.http.reading.limits import too_large
from hyperfleet.model.kind import Kind
from hyperfleet.model.resource import Desired, Patch
from hyperfleet.services import checking

CHANGEABLE: Final = ("spec", "labels", "references")

_encode: Final = msgspec.json.Encoder().encode
Members = dict[str, Any]
Wrong = list[FieldError]


def change(
    members: Members,
    kind: Kind,
    content_type: bytes | None,
    *,
    largest: int,
    spec_faults: Iterable[FieldError] = (),
) -> Patch:
    """The change that a body describes. Raises InvalidInput; so does the Patch when its result is invalid.

    `spec_faults` are the faults of a replacing `spec` by its own schema (services/checking.py).

    A merged spec may have at most `largest` bytes; the Patch raises BadRequest (413) for a larger one. Otherwise many
    small merges could make a spec larger than any body may be.
    """
    if content_type is not None and is_merge_patch(content_type):
        return _merge(members, kind, largest)
    return _replacement(members, kind, spec_faults)


def _replacement(members: Members, kind: Kind, spec_faults: Iterable[FieldError]) -> Patch:
    schema = request_schemas.replacement(kind)
    wrong = schema.faults(members)
    given = {name: members[name] for name in CHANGEABLE if members.get(name) is not None}
    if not given and not wrong:
        message = f"`body` must contain at least one of {', '.join(CHANGEABLE)}"
        raise InvalidInput(FieldError("VAL-001", "body", message, ", ".join(CHANGEABLE)))
    spec = given.get("spec")
    wrong += spec_faults
    named = given.get("labels")
    if isinstance(named, dict) and len(named) <= label_keys.MOST:
        label_keys.check_keys(named, wrong)
    referenced = reference_bodies.targets(given.get("references"), kind, wrong)
    if "references" in given:
        reference_bodies.check_numbers(referenced, kind, wrong)
    if wrong:
        raise InvalidInput(*schema.in_order(wrong))
    encoded = None if spec is None else _encode(spec)

    async def replaced(old: Desired) -> Desired:
        return Desired(
            old.spec if encoded is None else encoded,
            old.labels if named is None else named,
            referenced if "references" in given else old.references,
        )

    return replaced


def _merge(members: Members, kind: Kind, largest: int) -> Patch:
    schema = request_schemas.merge(kind)
    wrong = schema.faults(members)
    named = members.get("labels")
    if isinstance(named, dict):
        # A null removes a label, so its key need not be valid.
        keys = [key for key, value in named.items() if value is not None]
        if len(keys) <= label_keys.MOST:
            label_keys.check_keys(keys, wrong)
        else:
            wrong.append(label_keys.too_many(len(keys)))
    referenced = reference_bodies.targets(members.get("references"), kind, wrong)
    if wrong:
        raise InvalidInput(*schema.in_order(wrong))

    async def merged(old: Desired) -> Desired:
        wrong: Wrong = []
        # An empty merge leaves the spec unchanged, so a spec stored under an older schema is not checked again.
        spec = await _merged_spec(old, members["spec"], kind, largest, wrong) if members.get("spec") else old.spec
        after = old.labels
        if "labels" in members:
            after = {} if named is None else merge(old.labels, named)
            if len(after) > label_keys.MOST:
                wrong.append(label_keys.too_many(len(after)))
        targets = old.references
        if "references" in members:
            targets = _merged_references(old, members["references"], referenced)
            reference_bodies.check_numbers(targets, kind, wrong)
        if wrong:
            raise InvalidInput(*wrong)
        return Desired(spec, after, targets)

    return merged


async def _merged_spec(old: Desired, given: Members, kind: Kind, largest: int, wrong: Wrong) -> bytes:
    value = merge(old.spec_value, given)
    spec = _encode(value)
    # The result is nested no deeper than the deeper of the two, so its depth needs no check.
    if len(spec) > max(largest, len(old.spec)):
        raise too_large(largest, "`spec` after the merge")
    wrong += await checking.faults(kind, value, size=len(spec))
    return spec


def _merged_references(
    old: Desired, given: Members | None, named: reference_bodies.Targets
) -> reference_bodies.Targets:
    """The references after a merge, which replaces the types that it names and removes those without targets."""
    return {} if given is None else {type: ids for type, ids in old.references.items() if type not in given} | named


def merge(target: Any, patch: Any) -> Any:
    """Applies a merge patch (RFC 7396, section 2): objects merge, null removes a member, any other value replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged
