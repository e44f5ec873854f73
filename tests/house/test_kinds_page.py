"""The page about kinds says what the code does: its example, its mistakes, its numbers and its reserved words."""

import re
from pathlib import Path

import pytest

from hyperfleet.assembly import kinds
from hyperfleet.cli import commands
from hyperfleet.cli.configuration import load
from hyperfleet.model import catalog
from hyperfleet.model.kind import ADAPTERS_PER_RESOURCE, MOST_CONDITIONS, success_type
from hyperfleet.settings import BadSettings
from tests.house.pages import DOCS

PAGE = (DOCS / "kinds.md").read_text(encoding="utf-8")
WRONG = """\
entities:
  - kind: Channel
    plural: channels
    parent: Cluster
  - kind: Version
    plural: versions
    parent_kind: Chanel
    references:
      - {ref_type: peer, target_kind: Version, max: one}
"""


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def test_the_pages_example_declares_its_kinds(tmp_path: Path) -> None:
    (tmp_path / "kinds.yaml").write_text(block("yaml"))
    entities = load({}, {}, files=[tmp_path / "kinds.yaml"]).settings.entities
    cluster, _, channel, version = kinds.declared(entities)
    assert (channel.plural, version.parent, version.required_adapters) == ("channels", "Channel", ("image-mirror",))
    assert [(rule.type, rule.target, rule.least, rule.most) for rule in cluster.references] == [
        ("version", "Version", 0, 1)
    ]


def test_the_pages_mistakes_are_those_that_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kinds.yaml").write_text(WRONG)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadSettings) as refused:
        load({}, {}, files=[Path("kinds.yaml")])
    lines = re.findall("^hyperfleet-api: (.*)$", PAGE, re.MULTILINE)
    assert lines == list(commands.explained(refused.value.mistakes))


def test_every_number_and_reserved_word_of_the_page_is_the_codes() -> None:
    page = " ".join(PAGE.split())
    for sentence in (
        f"Name and plural have at most {catalog.LONGEST_WORD} characters",
        f"a list of at most {ADAPTERS_PER_RESOURCE} valid adapter names",
        f"at most {MOST_CONDITIONS} mandatory conditions",
        f"has at most {catalog.LONGEST_CONDITION_TYPE} such characters",
        f"`{' '.join(sorted(catalog.RESERVED_PLURALS))}` are reserved",
        "`dns-adapter` and `DnsAdapter` would both be `DnsAdapterSuccessful`",
        *(f"`{name}`" for name in catalog.RESERVED_NAMES | catalog.RESERVED_CONDITIONS),
    ):
        assert sentence in page, sentence
    assert success_type("dns-adapter") == success_type("DnsAdapter") == "DnsAdapterSuccessful"


def test_the_page_leads_to_every_example() -> None:
    assert set(re.findall(r"\(\.\./configs/([^)]+)\)", PAGE)) == {
        path.name for path in (DOCS.parent / "configs").iterdir()
    }
