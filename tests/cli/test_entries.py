"""Lists of entries in a configuration file: what is read, what is refused with its position, how it is printed."""

from pathlib import Path

import pytest

from hyperfleet.cli import settings_reference
from hyperfleet.cli.configuration import load
from hyperfleet.settings import BadSettings, Entity, Loaded, table
from hyperfleet.settings.entities import Reference

FULL = """\
entities:
  - kind: Channel
    plural: channels
  - kind: Version
    plural: versions
    parent_kind: Channel
    on_parent_delete: cascade
    required_adapters: [image-mirror, "010"]
    mandatory_conditions: []
    name_min_len: 3
    name_max_len: 30
    spec_schema_name: Release
    require_spec_schema: no
    references:
      - ref_type: cluster
        target_kind: Cluster
        min: 0
        max: 2
      - {ref_type: parent, target_kind: NodePool}
    conditions:
      - type: Mirrored
        when: {expression: "true"}
        output:
          status: {expression: "statuses.size() > 0"}
          reason:
            expression: |
              "two" +
                "lines"
          message: {expression: '"it''s #1: done"'}
"""


def file_with(folder: Path, text: str) -> Path:
    path = folder / "kinds.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def loaded(folder: Path, text: str) -> Loaded:
    return load({}, {}, files=[file_with(folder, text)])


def mistakes(folder: Path, text: str, *needed: str) -> tuple[str, ...]:
    """The mistakes in the file, without its path; empty when it is accepted."""
    file = file_with(folder, text)
    try:
        load({}, {}, files=[file], needed=needed or ("",))
    except BadSettings as refused:
        return tuple(mistake.replace(f"{file} ", "") for mistake in refused.mistakes)
    return ()


def test_an_entry_sets_only_the_members_that_are_written(tmp_path: Path) -> None:
    channel, version = loaded(tmp_path, FULL).settings.entities
    assert channel == Entity(kind="Channel", plural="channels")
    assert (channel.required_adapters, channel.name_max_len, channel.references) == (None, None, ())
    assert version.required_adapters == ("image-mirror", "010")
    assert version.mandatory_conditions == ()
    assert (version.name_min_len, version.name_max_len, version.require_spec_schema) == (3, 30, False)
    assert version.references == (Reference("cluster", "Cluster", 0, 2), Reference("parent", "NodePool"))
    (condition,) = version.conditions
    assert (condition.type, condition.when.expression) == ("Mirrored", "true")
    assert condition.output.status.expression == "statuses.size() > 0"
    assert condition.output.reason.expression == '"two" +\n  "lines"\n'
    assert condition.output.message.expression == '"it\'s #1: done"'


def test_each_member_has_its_line_as_its_source(tmp_path: Path) -> None:
    sources = loaded(tmp_path, FULL).sources
    assert sources["entities"].endswith("kinds.yaml line 1")
    assert sources["entities[1].references[0].max"].endswith("kinds.yaml line 18")
    assert sources["entities[1].conditions[0].output.reason.expression"].endswith("kinds.yaml line 26")
    assert "entities[0].parent_kind" not in sources


def test_printed_entries_are_read_back_unchanged(tmp_path: Path) -> None:
    first = loaded(tmp_path, FULL)
    printed = "\n".join(settings_reference.effective(first))
    assert "    required_adapters: [image-mirror, " in printed
    assert loaded(tmp_path, printed).settings == first.settings
    assert "entities: []" in "\n".join(settings_reference.effective(load({}, {}, files=[])))
    assert loaded(tmp_path, "entities: []").settings.entities == ()


@pytest.mark.parametrize("text", ["entities:", "entities: ~", "entities: ''", "entities: []"])
def test_without_entries_the_built_in_kinds_remain(text: str, tmp_path: Path) -> None:
    assert loaded(tmp_path, text).settings.entities == ()


KIND = "kind: Channel, plural: channels"


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("entities: Channel", "entities (line 1): must be a list of entries."),
        (f"entities: {{{KIND}}}", "entities (line 1): must be a list of entries."),
        (f"entities: [{{{KIND}, plurl: x}}]", "line 1: setting entities[0].plurl is unknown; did you mean plural?"),
        (f"entities: [{{{KIND}, qqq: x}}]", "line 1: setting entities[0].qqq is unknown."),
        (
            f"entities: [{{{KIND}, ? [a] : x}}]",
            "The configuration file cannot be read: line 1: mapping keys must be strings.",
        ),
        (f"entities: [{{{KIND}, plural: x}}]", "entities[0].plural (line 1): appears twice in the same mapping."),
        ("entities:\n  - plural: channels", "entities[0].kind (line 2): is missing."),
        ("entities: [{kind: ''}]", "entities[0].kind (line 1): is missing."),
        ("entities: [{kind: [Channel]}]", "entities[0].kind (line 1): must be a single value, not ('Channel',)."),
        (
            f"entities: [{{{KIND}, on_parent_delete: restrct}}]",
            "entities[0].on_parent_delete (line 1): must be one of restrict, cascade, not 'restrct'.",
        ),
        (
            f"entities: [{{{KIND}, name_max_len: 254}}]",
            "entities[0].name_max_len (line 1): must be a whole number from 0 to 253, not '254'.",
        ),
        (
            f"entities: [{{{KIND}, required_adapters: dns}}]",
            "entities[0].required_adapters (line 1): must be a list of strings, or any, not 'dns'.",
        ),
        (
            f"entities: [{{{KIND}, references: {{}}}}]",
            "entities[0].references (line 1): must be a list of entries.",
        ),
        (
            f"entities: [{{{KIND}, references: [5]}}]",
            "entities[0].references[0] (line 1): must be a mapping with ref_type, target_kind, min, max.",
        ),
        (
            f"entities: [{{{KIND}, references: [{{ref_type: a, target_kind: Cluster, max: many}}]}}]",
            "entities[0].references[0].max (line 1): must be a whole number from 0 to 1000, not 'many'.",
        ),
        (
            f"entities: [{{{KIND}, references: [{{target_kind: Cluster}}]}}]",
            "entities[0].references[0].ref_type (line 1): is missing.",
        ),
    ],
)
def test_a_mistake_in_an_entry_names_its_path_and_line(text: str, mistake: str, tmp_path: Path) -> None:
    assert mistakes(tmp_path, text) == (mistake,)


def test_a_bound_of_zero_counts_as_absent_and_is_printed_as_written(tmp_path: Path) -> None:
    references = "references: [{ref_type: a, target_kind: Cluster, max: 0}]"
    text = f"entities: [{{{KIND}, name_min_len: 0, name_max_len: 0, {references}}}]"
    first = loaded(tmp_path, text)
    (channel,) = first.settings.entities
    assert (channel.name_min_len, channel.name_max_len, channel.references[0].max) == (None, None, None)
    printed = "\n".join(settings_reference.effective(first))
    assert "name_min_len: 0 " in printed
    assert loaded(tmp_path, printed).settings == first.settings


def test_each_missing_part_of_a_condition_is_reported(tmp_path: Path) -> None:
    rule = "{type: A, when: {expresion: x}, output: {reason: 5}}"
    assert mistakes(tmp_path, f"entities: [{{{KIND}, conditions: [{rule}]}}]") == (
        "line 1: setting entities[0].conditions[0].when.expresion is unknown; did you mean expression?",
        "entities[0].conditions[0].when.expression (line 1): is missing.",
        "entities[0].conditions[0].output.status.expression (line 1): is missing.",
        "entities[0].conditions[0].output.reason (line 1): must be a mapping with expression.",
        "entities[0].conditions[0].output.message.expression (line 1): is missing.",
    )


def test_mistakes_in_entries_are_reported_with_all_others(tmp_path: Path) -> None:
    text = (
        "server: {prot: 1}\nentities:\n  - {kind: A, plural: as, nme_min_len: 1}\n"
        "  - {kind: B, plural: bs, name_min_len: -1}\nhealth: {port: x}"
    )
    found = mistakes(tmp_path, text)
    assert len(found) == 4
    for words in ("server.prot", "entities[0].nme_min_len", "entities[1].name_min_len", "health.port"):
        assert any(words in mistake for mistake in found), words


def test_a_command_that_needs_no_kinds_is_not_stopped_by_their_mistakes(tmp_path: Path) -> None:
    text = "entities: [{kind: 5, qqq: 1}, x]"
    assert mistakes(tmp_path, text, "database") == ()
    assert mistakes(tmp_path, text, "server", "entities") != ()


def test_every_member_has_a_description() -> None:
    listed = [row.path for row in table.rows(Entity)]
    assert len(listed) == len(set(listed)) == 12
    assert all(row.help.endswith(".") for row in table.rows(Entity))


@pytest.mark.parametrize(("written", "held"), [("any", "any"), ("[]", ()), ("'any'", "any")])
def test_required_adapters_are_any_or_a_list(written: str, held: object, tmp_path: Path) -> None:
    (entity,) = loaded(tmp_path, f"entities: [{{{KIND}, required_adapters: {written}}}]").settings.entities
    assert entity.required_adapters == held


def test_a_printed_any_is_read_back_as_any(tmp_path: Path) -> None:
    first = loaded(tmp_path, f"entities: [{{{KIND}, required_adapters: any}}]")
    printed = "\n".join(settings_reference.effective(first))
    assert "    required_adapters: any " in printed
    assert loaded(tmp_path, printed).settings == first.settings
