"""The program as it is when the tree of settings has two more groups, one of them a listener's.

They join the tree before anything reads it. `page` prints the reference page instead of running a command.
"""

import sys
from dataclasses import dataclass
from typing import ClassVar, Final

from hyperfleet import settings
from hyperfleet.settings import DURATION, PORT, Tls
from hyperfleet.settings.forms import Secret, setting

_NO_TLS: Final = Tls()


@dataclass(frozen=True)
class Archive:
    """Where events go."""

    title: ClassVar = "The archive"

    folder: str = setting("/srv/archive", "Where the archive keeps its files.")
    delay: float = setting(2.0, "How long events wait for more.", DURATION)
    password: Secret = setting(Secret(""), "The password of the archive.")


@dataclass(frozen=True)
class Relay:
    """A further listener."""

    host: str = setting("localhost", "The address that the relay listens on.")
    port: int = setting(9100, "The port of the relay.", PORT)
    tls: Tls = _NO_TLS


@dataclass(frozen=True)
class More(settings.Settings):
    """The tree with the two."""

    archive: Archive = Archive()
    relay: Relay = Relay()


if __name__ == "__main__":
    settings.Settings = More  # type: ignore[misc]
    from hyperfleet.cli import commands, settings_reference

    if sys.argv[1:] == ["page"]:
        print(settings_reference.settings_page())
    else:
        commands.main()
