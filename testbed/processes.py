"""Reads the state of this machine's processes from /proc."""

import contextlib
import os
import re
import signal
from collections import defaultdict
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")


def descendants(pid: int) -> list[int]:
    """All descendants of a process, parents first.

    Found by each process's parent, because the kernel's lists of children may be incomplete.
    """
    children: dict[int, list[int]] = defaultdict(list)
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            children[int(_stat(int(place.name))[1])].append(int(place.name))
    found = list(children[pid])
    for each in found:
        found += children[each]
    return found


def command(pid: int) -> str:
    """The command line, each word ended by a NUL byte; empty when the process is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


def lives(pid: int) -> bool:
    """Whether the process is running; a zombie is not."""
    with contextlib.suppress(OSError):
        return _stat(pid)[0] != "Z"
    return False


def kill(pid: int) -> None:
    """Sends SIGKILL to the process, if it exists."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def megabytes(pid: int) -> float:
    """The process's resident memory in MiB; 0 when the process is gone."""
    return status(pid, "VmRSS") / 1024


def status(pid: int, name: str) -> int:
    """A number from the process's /proc status; 0 when the process is gone."""
    with contextlib.suppress(OSError):
        found = re.search(rf"^{name}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        return int(found[1]) if found else 0
    return 0


def cpu_seconds(pid: int) -> float:
    """The CPU seconds that the process has used; 0 when the process is gone."""
    with contextlib.suppress(OSError):
        fields = _stat(pid)
        return (int(fields[11]) + int(fields[12])) / _TICKS
    return 0.0


def cpu_seconds_of_the_gone(pid: int) -> float:
    """The CPU seconds that the process's terminated children used."""
    fields = _stat(pid)
    return (int(fields[13]) + int(fields[14])) / _TICKS


def _stat(pid: int) -> list[str]:
    """The fields of the process's /proc stat, starting with its state and its parent."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
