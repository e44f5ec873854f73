"""Documents in YAML 1.2 and JSON: their meaning, and mistakes that are reported with their line."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperfleet.assembly.yaml_documents import BadFile, read


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "document"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("no", "no"),
        ("yes", "yes"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("2026-01-31", "2026-01-31"),
        ("1:30", "1:30"),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("-5", -5),
        ("9007199254740993", 2**53 + 1),
        ("1.50", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("'5'", "5"),
        ('"true"', "true"),
        ("!!str 5", "5"),
        ("!!int '5'", 5),
        ("! 5", "5"),
        ("|\n  a\n  b\n", "a\nb\n"),
        (">-\n  a\n  b\n", "a b"),
        ("[1, [2, {b: 3}]]", [1, [2, {"b": 3}]]),
        ('{"b": [1.0, null, "\\u00e9\\n"]}', {"b": [1.0, None, "é\n"]}),
        ("{}", {}),
        ("[]", []),
        ("&x {b: 1}\nc: *x", {"b": 1}),
    ],
    ids=repr,
)
def test_a_value_has_its_meaning_in_yaml_1_2(tmp_path: Path, text: str, value: Any) -> None:
    found = read(written(tmp_path, f"a: {text}"))["a"]
    assert (found, type(found)) == (value, type(value))


def test_names_are_strings_whatever_they_look_like(tmp_path: Path) -> None:
    found = read(written(tmp_path, "200: a\nno: b\nnull: c\n1.0: d\n'': e\n<<: {f: g}"))
    assert found == {"200": "a", "no": "b", "null": "c", "1.0": "d", "": "e", "<<": {"f": "g"}}


def test_an_empty_document_is_null_and_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    assert read(written(tmp_path, "")) is None
    assert read(written(tmp_path, "# nothing\n---\n")) is None
    assert read(written(tmp_path, b"\xef\xbb\xbfa: 1")) == {"a": 1}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: 'a' appears twice in the same mapping"),
        ("a: b: c", "line 1: mapping values are not allowed in this context"),
        ("a:\n\t- b", "line 2: found character "),
        ("a: [1", "line "),
        ("? [a]\n: b", "line 1: mapping keys must be strings"),
        ("? {a: b}\n: b", "line 1: mapping keys must be strings"),
        ("b: &x c\n*x : d", "line 2: mapping keys must be strings"),
        ("a: *gone", "line 1: "),
        ("a: &x [*x]", "line 1: "),
        ("a: !!binary aaaa", "line 1: the tag tag:yaml.org,2002:binary is not supported"),
        (
            "a: !!python/object:os.system {}",
            "line 1: the tag tag:yaml.org,2002:python/object:os.system is not supported",
        ),
        ("a: 1e999", "line 1: 1e999 cannot be represented in JSON"),
        ("a:\n  - .nan", "line 2: .nan cannot be represented in JSON"),
        ("a: -.inf", "line 1: -.inf cannot be represented in JSON"),
        ("a: 1\n---\nb: 2", "line 2: the file has a second document"),
        ("[" * 100_000, "line 1: "),
        ("- " * 100_000, "line 1: nesting is deeper than 200 levels"),
        ("{a: " * 300, "line 1: nesting is deeper than 200 levels"),
        (b"a: \xff", "the file is not UTF-8"),
        ("a: \x00", ""),
        (b"a" * ((10 << 20) + 1), "the file is larger than 10MiB"),
    ],
    ids=lambda part: repr(part)[:30],
)
def test_anything_but_yaml_or_json_is_reported_with_its_line(tmp_path: Path, text: str | bytes, sentence: str) -> None:
    with pytest.raises(BadFile) as caught:
        read(written(tmp_path, text))
    told = str(caught.value)
    assert told.startswith(sentence)
    assert "\n" not in told
    assert len(told) < 300


def test_a_missing_file_or_a_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="No such file or directory"):
        read(tmp_path / "gone")
    with pytest.raises(BadFile, match="Is a directory"):
        read(tmp_path)


def test_aliases_of_aliases_take_no_memory(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 150)]
    assert len(read(written(tmp_path, "\n".join(lines)))) == 150


# YAML allows no unescaped control characters, and breaks lines at some characters where JSON does not.
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn", "Zl", "Zp"), exclude_characters="\ufeff"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(TEXTS, below, max_size=3),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None)
@given(value=JSON)
def test_json_and_yaml_of_other_writers_is_read_back(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    folder = tmp_path_factory.mktemp("document")
    assert read(written(folder, msgspec.json.encode(value))) == value
    assert read(written(folder, yaml.safe_dump(value))) == value
