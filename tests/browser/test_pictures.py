"""Each picture of the documentation can be drawn and read, and its names are those of the code."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import pytest

from hyperfleet.model.kind import success_type
from hyperfleet.model.status.aggregation import LAST_KNOWN_RECONCILED, RECONCILED
from hyperfleet.model.status.condition import PHASES, ReportedCondition
from hyperfleet.model.status.report import deciding_condition, is_finalized
from hyperfleet.settings import Settings
from tests.browser.pictures import BACKGROUNDS, Drawing, Easel, easel, sources
from tests.browser.visits import NEEDS_CHROMIUM
from tests.chart.manifests import Manifest, container, one, rendered
from tests.chart.values import MATRIX
from tests.contract.conformity import DOCUMENT, OPERATIONS
from typespec.generate import NoNode

pytestmark = NEEDS_CHROMIUM

SOURCES: Final = sources()
WIDEST, HIGHEST = 1012, 900
"""Pixels: a wider picture than GitHub's column is made smaller there, a higher one does not fit on a screen."""

PLAIN: Final = {"HyperFleet", "API", "PostgreSQL", "Prometheus"}
"""Words with capitals that are not names of the code."""

NAME: Final = re.compile(r"[A-Z_/={]|^:\d")


def of_document() -> set[str]:
    """Methods, last parts of paths, members and fixed values of the API's document."""
    paths = {part for operation in OPERATIONS for part in operation.path.split("/")}
    found = {operation.method for operation in OPERATIONS} | paths

    def walk(value: Any) -> None:
        if isinstance(value, list):
            for item in value:
                walk(item)
        elif isinstance(value, dict):
            found.update(value.get("properties", {}))
            found.update(choice for choice in value.get("enum", ()) if isinstance(choice, str))
            for item in value.values():
                walk(item)

    walk(DOCUMENT)
    return found


def of_conditions() -> set[str]:
    """Types of conditions: those that the service makes, and those that it reads in reports."""
    deciding = {
        type
        for type in ("Failed", "Available", "Ready")
        if deciding_condition([ReportedCondition(type=type, status="True")]) is not None
    }
    finalized = {"Finalized"} if is_finalized([ReportedCondition(type="Finalized", status="True")]) else set()
    return {RECONCILED, LAST_KNOWN_RECONCILED, success_type("dns-adapter")} | deciding | finalized


@cache
def installations() -> list[list[Manifest]]:
    """What the chart installs, the defaults first; not the pod of `helm test`, which goes again."""
    everything = [rendered({}), *map(rendered, MATRIX.values())]
    return [
        [each for each in manifests if "helm.sh/hook" not in each["metadata"].get("annotations", {})]
        for manifests in everything
    ]


def of_chart() -> set[str]:
    """The kinds of all objects that the chart can install."""
    return {manifest["kind"] for manifests in installations() for manifest in manifests}


def of_settings() -> set[str]:
    """Ports, as addresses show them."""
    defaults = Settings()
    return {f":{group.port}" for group in (defaults.server, defaults.health, defaults.metrics)}


@pytest.fixture(scope="module")
def known() -> set[str]:
    return of_document() | of_conditions() | of_chart() | of_settings() | set(PHASES) | PLAIN


def names(drawing: Drawing) -> set[str]:
    """The words of a picture that look like names: with a capital, an underscore, a slash, an equals sign, a port."""
    words = (word.strip(".,;()[]?") for label in drawing.labels for word in label.split())
    return {
        part.removesuffix(":") for word in words if NAME.search(word) for part in word.split("=") if NAME.search(part)
    }


@pytest.fixture(scope="module")
def stand() -> Iterator[Easel]:
    try:
        with easel() as stand:
            yield stand
    except NoNode as missing:
        pytest.skip(f"no picture is drawn: {missing}")


def faults(drawing: Drawing) -> list[str]:
    """What is wrong with a picture."""
    if drawing.mistake:
        return [drawing.mistake]
    found = []
    if len(drawing.labels) < 4:
        found.append(f"it is empty: {drawing.labels}")
    if drawing.width > WIDEST or drawing.height > HIGHEST:
        found.append(f"it is too large: {drawing.width:.0f} × {drawing.height:.0f}")
    if not drawing.title:
        found.append("it has no accTitle for people who cannot see it")
    return found


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("theme", BACKGROUNDS)
def test_a_picture_can_be_drawn(stand: Easel, name: str, theme: str) -> None:
    assert faults(stand.draw(SOURCES[name], theme)) == []


@pytest.mark.parametrize("name", SOURCES)
def test_a_picture_leaves_its_colors_to_the_theme(name: str) -> None:
    assert re.findall(r"\b(?:fill|color|background|theme)\w*\s*:|#[0-9a-fA-F]{3,8}\b", SOURCES[name]) == []


@pytest.mark.parametrize("name", SOURCES)
def test_every_name_in_a_picture_is_one_of_the_code(stand: Easel, known: set[str], name: str) -> None:
    assert names(stand.draw(SOURCES[name])) - known == set()


def test_the_pages_that_people_would_rather_look_at_have_pictures() -> None:
    assert set(SOURCES) == {
        "README.md:1",
        "docs/adapters.md:1",
        "docs/installing.md:1",
        "docs/operating.md:1",
        "docs/resources.md:1",
        "docs/resources.md:2",
    }


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("flowchart LR\n  accTitle: broken\n  a --> ", "error"),
        ("flowchat LR\n  a --> b", "No diagram type detected"),
        ("flowchart LR\n  accTitle: nothing in it\n", "it is empty"),
        ("flowchart LR\n  one[first] --> two[second] --> three[third] --> four[fourth]", "no accTitle"),
    ],
)
def test_a_picture_with_a_mistake_is_found(stand: Easel, source: str, fault: str) -> None:
    assert fault in "\n".join(faults(stand.draw(source)))


def test_a_name_that_the_code_does_not_have_is_found(stand: Easel, known: set[str]) -> None:
    drawing = stand.draw(
        "flowchart LR\n  a[phase Ready] -- deleted_at --> b[Reconcilled=True]\n  b -- :8001 --> c[PATCH]"
    )
    assert names(drawing) - known == {"deleted_at", "Reconcilled", ":8001"}


def test_the_picture_of_phases_has_all_of_them(stand: Easel) -> None:
    labels = stand.draw(SOURCES["docs/resources.md:2"]).labels
    assert {label.split()[1] for label in labels if label.startswith("phase ")} == set(PHASES)


def test_the_picture_of_the_chart_has_every_kind_and_dashes_what_is_off_by_default() -> None:
    kinds = of_chart()
    always = {manifest["kind"] for manifest in installations()[0]}
    drawn: dict[bool, set[str]] = {True: set(), False: set()}
    for text, optional in re.findall(r"\[([^\]]+)\](:::optional)?", SOURCES["docs/installing.md:1"]):
        drawn[bool(optional)] |= set(re.findall(r"[A-Z]\w+", text)) & kinds
    assert drawn[False] == always
    assert drawn[True] - {"ConfigMap"} == kinds - always


def test_the_picture_of_the_chart_names_the_containers_in_their_order() -> None:
    manifests = installations()[0]
    pod = one(manifests, "Deployment")["spec"]["template"]["spec"]
    order = [each["name"] for each in (*pod["initContainers"], *pod["containers"])]
    assert f"Deployment<br/>{', then '.join(order)}" in SOURCES["docs/installing.md:1"]
    assert container(manifests, order[-1])["ports"][0]["containerPort"] == Settings().server.port
