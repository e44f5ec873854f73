"""Mistakes in a configuration: collected, not raised, so that one start reports all of them.

A command that needs a part of the settings only is not stopped by what is wrong elsewhere.
"""


class Complaints:
    """Collects the mistakes that concern a command, which needs the settings at these paths."""

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
