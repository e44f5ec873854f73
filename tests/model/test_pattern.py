"""The cost of a pattern follows from its text; a pattern that could take minutes stops the start."""

import pytest

from hyperfleet.model.schemas import pattern
from hyperfleet.model.schemas.json_schema import BadSchema
from hyperfleet.model.schemas.spec_schema import SpecSchema
from tests.schemas import document

COSTLY = [r"\p{L}{1,200}\d", "([a-z]{1,500}){1,8}x", "(.{0,100}){0,10}x", r"(\w{1,100}\s?){1,20}$"]
USUAL = [
    "^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$",
    r"^(([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9\-]*[a-zA-Z0-9])\.)*([A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9\-]*[A-Za-z0-9])$",
    r"^([a-z0-9]{1,63}\.){0,30}[a-z]{2,}$",
    "^arn:aws[a-z-]*:kms:[a-z0-9-]*:[0-9]{12}:key/[a-zA-Z0-9-]{1,36}$",
    "^.{0,4096}$",
    r"^\S{1,253}$",
    "[a-z]{1,500}x",
    r"\d{12}",
    "^(a|b)*$",
    ".{1,2048}",
]


@pytest.mark.parametrize("text", COSTLY)
def test_a_costly_pattern_is_refused_with_its_path_and_what_to_write(text: str) -> None:
    with pytest.raises(BadSchema) as caught:
        SpecSchema(document(Spec={"type": "object", "properties": {"a": {"type": "string", "pattern": text}}}), "Spec")
    [mistake] = caught.value.mistakes
    assert mistake.startswith(f"#/components/schemas/Spec/properties/a/pattern: the pattern {text} could take minutes")
    assert "start it with `^`, use fewer repetitions, or set `maxLength`" in mistake


@pytest.mark.parametrize("text", USUAL)
def test_usual_patterns_are_accepted(text: str) -> None:
    schema = SpecSchema(
        document(Spec={"type": "object", "properties": {"a": {"type": "string", "pattern": text}}}), "Spec"
    )
    assert schema.faults({}) == []


def test_a_max_length_beside_a_pattern_makes_it_cheap() -> None:
    most = pattern.MOST_STEPS // 4001
    for longest, is_refused in ((most, False), (most + 1, True)):
        assert (pattern.refusal("([a-z]{1,500}){1,8}x", longest) is not None) is is_refused
    SpecSchema(document(Spec={"type": "string", "pattern": COSTLY[0], "maxLength": 1000}), "Spec")


@pytest.mark.parametrize(
    ("text", "states"),
    [
        ("", 0),
        ("abc", 3),
        ("a{3}", 3),
        ("a{2,}", 2),
        ("a{,3}", 3),
        ("a*b+c?", 3),
        ("(ab){2,4}", 8),
        ("(?:a|bc){3}", 9),
        ("((a{2}){3}){4}", 24),
        (r"[a-z\]]{5}[]x]", 6),
        (r"\p{L}{2}\x41{3}\u0041\.", 7),
        ("(?i)(?P<name>a)(?<other>b)", 2),
        (r"^\ba$", 1),
        ("a{x}", 4),
    ],
)
def test_states_are_counted_with_their_repetitions(text: str, states: int) -> None:
    assert pattern.states(text) == states


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("abc", 3 * 1000),
        ("ab{1,50}", 2 * 1000),
        ("ab{1,50}$", 51 * 1000),
        ("^abc", 1 + 2 + 3),
        ("^a{0,50}$", 50),
        ("^a*b$", 1000 + 1000),
        ("^a|b", 1 + 1000),
        # The start of the second repetition is open, so all its states may be alive.
        ("^a{0,10}b{5}", 10 + 5 * 15),
        ("^(a{1,3}){1,4}", 12 * 12),
    ],
)
def test_steps_on_a_text_of_a_thousand_characters(text: str, steps: int) -> None:
    assert pattern.steps(text, 1000) == steps
