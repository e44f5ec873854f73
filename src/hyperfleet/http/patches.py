"""Bodies of PATCH to the change that a caller wants: members replaced whole, or merged (contract: Change; RFC 7396).

What the body alone tells is told at once; a merge is checked once more where it is applied, on what comes of it.
"""

from typing import Any, Final
from uuid import UUID

import msgspec

from hyperfleet.errors import FieldError, InvalidInput
from hyperfleet.http import references
from hyperfleet.http.bodies import Members, Wrong, check_known, labels_of, mistyped
from hyperfleet.http.limits import too_large
from hyperfleet.http.media_types import is_merge_patch
from hyperfleet.model.kind import Kind
from hyperfleet.model.resource import Desired, Patch

CHANGEABLE: Final = ("spec", "labels", "references")

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode


def change(members: Members, kind: Kind, content_type: bytes | None, *, largest: int) -> Patch:
    """What a body changes; raises InvalidInput, and so does the Patch where its result is wrong.

    A merge makes a spec of `largest` bytes at most, for else many small ones would make it larger than a body may be;
    the Patch raises BadRequest (413).
    """
    if content_type is not None and is_merge_patch(content_type):
        return _merge(members, kind, largest)
    return _replacement(members, kind)


def _replacement(members: Members, kind: Kind) -> Patch:
    wrong: Wrong = []
    _check(members, wrong)
    given = {name: members[name] for name in CHANGEABLE if members.get(name) is not None}
    if not given and not wrong:
        message = f"the body must have at least one of {', '.join(CHANGEABLE)}"
        raise InvalidInput(FieldError("VAL-001", "body", message, ", ".join(CHANGEABLE)))
    spec = given.get("spec")
    if isinstance(spec, dict) and kind.spec_schema is not None:
        wrong += kind.spec_schema.faults(spec)
    labels = labels_of(given, wrong) if isinstance(given.get("labels"), dict) else {}
    named: dict[str, tuple[UUID, ...]] = {}
    if isinstance(given.get("references"), dict):
        named = references.targets(given["references"], kind, wrong)
        references.check_numbers(named, kind, wrong)
    if wrong:
        raise InvalidInput(*wrong)
    encoded = None if spec is None else _encode(spec)

    def replaced(old: Desired) -> Desired:
        return Desired(
            old.spec if encoded is None else encoded,
            labels if "labels" in given else old.labels,
            named if "references" in given else old.references,
        )

    return replaced


def _merge(members: Members, kind: Kind, largest: int) -> Patch:
    wrong: Wrong = []
    _check(members, wrong)
    if isinstance(members.get("labels"), dict):
        # What is null goes, whatever it is called.
        labels_of({"labels": {key: value for key, value in members["labels"].items() if value is not None}}, wrong)
    if isinstance(members.get("references"), dict):
        # Lists of targets are replaced whole, so what they hold shows now.
        references.targets(members["references"], kind, wrong)
    if wrong:
        raise InvalidInput(*wrong)

    def merged(old: Desired) -> Desired:
        wrong: Wrong = []
        spec, labels, named = old.spec, old.labels, old.references
        # An empty merge changes nothing, so what was stored under another schema is not held against this one.
        if members.get("spec"):
            value = merge(_decode(old.spec), members["spec"])
            spec = _encode(value)
            # It is nested no deeper than the deeper of the two, so that needs no look.
            if len(spec) > max(largest, len(old.spec)):
                raise too_large(largest, "`spec`, with what the body merges into it,")
            if kind.spec_schema is not None:
                wrong += kind.spec_schema.faults(value)
        if "labels" in members:
            labels = {} if members["labels"] is None else merge(old.labels, members["labels"])
            labels_of({"labels": labels}, wrong)
        if "references" in members:
            named = {} if members["references"] is None else _merged_references(old, members["references"], kind)
            references.check_numbers(named, kind, wrong)
        if wrong:
            raise InvalidInput(*wrong)
        return Desired(spec, labels, named)

    return merged


def merge(target: Any, patch: Any) -> Any:
    """A value with a merge patch applied (RFC 7396, section 2): null removes a member, what is no object replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


def _merged_references(old: Desired, given: Members, kind: Kind) -> dict[str, tuple[UUID, ...]]:
    named = references.targets(given, kind, [])
    merged = old.references | named
    return {type: targets for type, targets in merged.items() if targets and (type in named or type not in given)}


def _check(members: Members, wrong: Wrong) -> None:
    """What both forms have in common: the members that may be there, and their types."""
    check_known(members, CHANGEABLE, (), "", wrong)
    if "spec" in members and not isinstance(members["spec"], dict):
        wrong.append(mistyped("spec", "an object", members["spec"]))
    for name in ("labels", "references"):
        if members.get(name) is not None and not isinstance(members[name], dict):
            wrong.append(mistyped(name, "an object", members[name]))
