"""What is wrong with a configuration: collected, not thrown, so that one start tells of everything.

A command that needs a part of the settings only is not stopped by what is wrong elsewhere.
"""

import re
from collections import defaultdict
from collections.abc import Mapping

from hyperfleet.model.spelling import did_you_mean, nearest_name
from hyperfleet.settings import PREFIX


class Mistakes:
    """Collects what is wrong, as far as it concerns the caller's command, which needs the settings at these paths."""

    def __init__(self, needed: tuple[str, ...]) -> None:
        self.texts: list[str] = []
        self._needed = needed

    def concerns(self, path: str) -> bool:
        """Whether the command needs the setting, or the group, at this path; `entities[0].kind` is of `entities`."""
        setting = path.partition("[")[0]
        return any(not name or setting == name or setting.startswith(name + ".") for name in self._needed)

    def needs_group(self, group: str) -> bool:
        """Whether the command needs anything in this group."""
        return any(not name or name.split(".", 1)[0] == group for name in self._needed)

    def add(self, path: str, text: str) -> None:
        """A mistake in the setting at `path`."""
        if self.concerns(path):
            self.texts.append(text)


def nearest(name: str, known: Mapping[str, str]) -> str:
    """The end of a sentence about an unknown flag, variable or path; `known` has those that exist, and their paths.

    The setting's own name must be near, not only its groups; what all names of a sort share makes no two of them alike.
    """
    core = _core(name)
    # A name without its group, such as `--port`, is nearer to the one that ends with it than to any that looks like it.
    ending = re.compile(rf"[-._]{re.escape(core)}$", re.IGNORECASE)
    whole_words = next((each for each in known if ending.search(_core(each))), None)
    return did_you_mean(whole_words or _misspelt(core, known))


def _misspelt(core: str, known: Mapping[str, str]) -> str | None:
    """The known name that a mistyped one means.

    Where the words of a group end cannot be seen in a flag or a variable: it is tried at each depth that groups have.
    """
    words = _words(core)
    by_depth: defaultdict[int, dict[str, str]] = defaultdict(dict)
    for each, path in known.items():
        *groups, own = path.split(".")
        before = [word for group in groups for word in _words(group)]
        by_depth[len(before)][f"{''.join(before)}.{own}"] = each
    found: dict[str, str] = {}
    for depth, candidates in sorted(by_depth.items()):
        given = f"{''.join(words[:depth])}.{'_'.join(words[depth:])}"
        near = nearest_name(given, candidates, most=len(candidates))
        if near is not None:
            found["".join(_words(_core(candidates[near])))] = candidates[near]
    nearest = nearest_name("".join(words), found)
    return None if nearest is None else found[nearest]


def _words(text: str) -> list[str]:
    return re.split(r"[-._]", text.lower())


def _core(name: str) -> str:
    return name.removeprefix(PREFIX).removeprefix("--")
