"""Mistakes in a configuration: collected rather than raised, so that one start reports all of them.

A command that needs only some of the settings is not stopped by mistakes in the others.
"""


class Complaints:
    """Collects the mistakes that concern a command; `needed` lists the paths of the settings that the command uses."""

    def __init__(self, needed: tuple[str, ...]) -> None:
        self.texts: list[str] = []
        self._needed = needed

    def concerns(self, path: str) -> bool:
        """Whether the command needs the setting or group at this path; `entities[0].kind` belongs to `entities`."""
        setting = path.partition("[")[0]
        return any(not name or setting == name or setting.startswith(name + ".") for name in self._needed)

    def needs_group(self, group: str) -> bool:
        """Whether the command needs anything in this group."""
        return any(not name or name.split(".", 1)[0] == group for name in self._needed)

    def add(self, path: str, text: str) -> None:
        """Adds a mistake in the setting at `path`, if the command needs that setting."""
        if self.concerns(path):
            self.texts.append(text)
