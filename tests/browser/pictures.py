"""The Mermaid pictures of the documentation, drawn in headless Chromium.

    python -m tests.browser.pictures FOLDER

writes each as PNG, in GitHub's light and dark, for people to look at. Mermaid comes from npm, pinned by a lock file; it
is the part without the rarer kinds of picture, one file and no dependencies.
"""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from playwright.sync_api import Page, sync_playwright

from tests.browser.visits import CHROMIUM
from typespec import generate

ROOT: Final = Path(__file__).parents[2]
MERMAID: Final = Path(__file__).parent / "mermaid"
BACKGROUNDS: Final = {"default": "#ffffff", "dark": "#0d1117"}
"""The themes of Mermaid that GitHub chooses, on GitHub's backgrounds."""

_BLOCK: Final = re.compile(r"^```mermaid\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_DRAW: Final = """
async ([source, theme, background]) => {
  document.body.style.background = background;
  mermaid.initialize({ startOnLoad: false, theme, securityLevel: "strict", suppressErrorRendering: true });
  document.body.innerHTML = "";
  try {
    document.body.innerHTML = (await mermaid.render("picture", source)).svg;
  } catch (failure) {
    return { mistake: String(failure.message ?? failure), width: 0, height: 0, title: "", labels: [] };
  }
  const picture = document.querySelector("svg");
  const box = picture.viewBox.baseVal;
  const parts = (element) => [...element.childNodes].map((each) => each.textContent).join(" ");
  const words = (each) => (each.firstElementChild?.innerText ?? parts(each)).replace(/\\s+/g, " ").trim();
  const labels = [...picture.querySelectorAll("foreignObject, text")].filter((each) => words(each) !== "");
  return {
    mistake: "",
    width: box.width,
    height: box.height,
    title: picture.querySelector("title")?.textContent ?? "",
    labels: labels.filter((each) => each.getBoundingClientRect().width > 0).map(words),
  };
}
"""


class Drawing(msgspec.Struct, frozen=True):
    """A picture as it came out; `mistake` is Mermaid's message when it could not be drawn, else empty."""

    mistake: str
    width: float
    height: float
    title: str
    labels: list[str]


def sources() -> dict[str, str]:
    """The text of every picture by its page and number, such as `docs/adapters.md:1`."""
    return {
        f"{page.relative_to(ROOT)}:{number}": block
        for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
        for number, block in enumerate(_BLOCK.findall(page.read_text(encoding="utf-8")), 1)
    }


class Easel:
    """A page in which pictures are drawn, one after another."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def draw(self, source: str, theme: str = "default") -> Drawing:
        """Draws a picture."""
        drawn = self._page.evaluate(_DRAW, [source, theme, BACKGROUNDS[theme]])
        return msgspec.convert(drawn, Drawing, strict=False)

    def photograph(self, file: Path) -> None:
        """Writes what was drawn last as PNG."""
        self._page.locator("body").screenshot(path=file)


@contextmanager
def easel() -> Iterator[Easel]:
    """An empty page with Mermaid in it; raises generate.NoNode when that cannot be installed."""
    script = generate.packages(generate.node(), MERMAID) / "@mermaid-js" / "tiny" / "dist" / "mermaid.tiny.js"
    with sync_playwright() as driver, driver.chromium.launch(executable_path=CHROMIUM) as browser:
        page = browser.new_page(viewport={"width": 1012, "height": 800}, device_scale_factor=1)
        page.set_content("<!doctype html><meta charset=utf-8><body style='margin: 16px'>")
        page.add_script_tag(path=script)
        yield Easel(page)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with easel() as stand:
        for name, source in sources().items():
            for theme in BACKGROUNDS:
                drawing = stand.draw(source, theme)
                file = folder / f"{name.replace('/', '-').replace(':', '-')}-{theme}.png"
                stand.photograph(file)
                print(f"{file}: {drawing.mistake or f'{drawing.width:.0f} × {drawing.height:.0f}'}")
