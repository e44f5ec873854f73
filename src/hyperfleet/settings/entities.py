"""An entry of `entities`: the configuration of a kind.

A member is None if the entry does not set it: an entry for a built-in kind changes only the members that it sets. This
module defines how each member is written; model/catalog.py checks whether the kinds fit together.
"""

from dataclasses import dataclass
from typing import Any, Final

from hyperfleet.settings.forms import (
    BOOLEAN,
    EXPRESSION,
    TEXTS,
    TEXTS_OR_ANY,
    Form,
    choice,
    entries,
    member,
    required,
    whole,
)


def _or_nothing(form: Form) -> Form:
    """The form, but with 0 for an unset member, as the original HyperFleet API writes it."""

    def read(text: str) -> Any:
        return None if text == "0" else form.read(text)

    return Form(f"{form.description}; 0: unset", read, lambda value: "0" if value is None else form.write(value))


LONGEST_NAME: Final = 253
MOST_REFERENCES: Final = 1000
_NAME_LENGTH: Final = _or_nothing(whole(0, LONGEST_NAME))
_REFERENCES: Final = whole(0, MOST_REFERENCES)
_MOST_REFERENCES: Final = _or_nothing(whole(0, MOST_REFERENCES))
_POLICY: Final[Form] = choice("restrict", "cascade")


@dataclass(frozen=True)
class Reference:
    """References of one type."""

    ref_type: str | None = required("The reference type, as used in bodies: `version`, `identity-config`.")
    target_kind: str | None = required("The kind of the targets.")
    min: int | None = member("The minimum number of targets.", _REFERENCES, absent="`0`")
    max: int | None = member("The maximum number of targets.", _MOST_REFERENCES, absent="no limit")


@dataclass(frozen=True)
class When:
    """Whether a condition exists."""

    expression: str | None = required("True if the condition exists.", EXPRESSION)


@dataclass(frozen=True)
class Status:
    """The status of a condition."""

    expression: str | None = required("Its status: `True` or `False`.", EXPRESSION)


@dataclass(frozen=True)
class Reason:
    """The reason of a condition."""

    expression: str | None = required("Its reason.", EXPRESSION)


@dataclass(frozen=True)
class Message:
    """The message of a condition."""

    expression: str | None = required("Its message.", EXPRESSION)


@dataclass(frozen=True)
class Output:
    """The content of a condition."""

    status: Status = Status()
    reason: Reason = Reason()
    message: Message = Message()


@dataclass(frozen=True)
class Condition:
    """A condition that is computed from reports and the resource."""

    type: str | None = required("The type of the condition.")
    when: When = When()
    output: Output = Output()


@dataclass(frozen=True)
class Entity:
    """A kind: a new one, or the changes to a built-in one."""

    kind: str | None = required("The name of the kind: letters and digits, starting with a capital.")
    plural: str | None = member(
        "The name in paths: lower-case letters and digits, with single hyphens in between. Required "
        "for a new kind, fixed for a built-in one.",
        absent="the built-in kind's",
    )
    parent_kind: str | None = member(
        "The kind of its owners. Fixed for a built-in kind.", absent="none: a top-level kind"
    )
    on_parent_delete: str | None = member(
        "What happens when an owner of such resources is deleted: `restrict` rejects the deletion, "
        "`cascade` deletes them, too.",
        _POLICY,
        absent="`restrict`",
    )
    required_adapters: tuple[str, ...] | str | None = member(
        "The adapters whose reports determine phase and conditions, and which a deletion awaits: a "
        "list of names, or `any` for every adapter that reports.",
        TEXTS_OR_ANY,
        absent="`any` for the built-in kinds, else `[]`",
    )
    mandatory_conditions: tuple[str, ...] | None = member(
        "Condition types that every report must include.", TEXTS, absent="none"
    )
    name_min_len: int | None = member("The minimum length of a name.", _NAME_LENGTH, absent="`1`")
    name_max_len: int | None = member("The maximum length of a name.", _NAME_LENGTH, absent="`100`")
    spec_schema_name: str | None = member(
        "The component of the OpenAPI document that describes the kind's `spec`.",
        absent="the kind with the suffix `Spec`",
    )
    require_spec_schema: bool | None = member(
        "Whether the service refuses to start without that component.", BOOLEAN, absent="`false`"
    )
    references: tuple[Reference, ...] = entries(Reference, "The reference types of the kind's resources.")
    conditions: tuple[Condition, ...] = entries(
        Condition, "Mapped conditions, computed by expressions from reports and the resource."
    )
