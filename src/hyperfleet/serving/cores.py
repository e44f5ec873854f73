"""What the container grants this process: cores, memory, and the number of workers that fits into both."""

import contextlib
import math
import os
from pathlib import Path
from typing import Final

CGROUP: Final = Path("/sys/fs/cgroup")
WORKER_BYTES: Final = 400 << 20
"""The memory budget of a worker: what it may need at worst, with large pages and slow readers."""

PARENT_BYTES: Final = 200 << 20
"""The memory budget of everything that is not a worker: the parent process and the HTTP server's main process."""

_UNLIMITED: Final = 1 << 60
"""Version 1 has no word for "no limit"; it shows the largest number of pages that it can count."""


def available(cgroup: Path = CGROUP) -> int:
    """Cores, at least 1; all cores of the machine where the container has no limit. A limit of 1.5 counts as 2.

    A container sees every core of its machine, and a worker for each of 64 would be far too many for a limit of 2.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = _cpu_limit(cgroup)
    return bound if limit is None else max(1, min(bound, math.ceil(limit)))


def memory(cgroup: Path = CGROUP) -> int | None:
    """The bytes that the control group may use (version 2, then 1); None without a limit."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            text = (cgroup / name).read_text().strip()
            return None if text == "max" or int(text) >= _UNLIMITED else int(text)
    return None


def workers(cgroup: Path = CGROUP) -> int:
    """One worker for each core, but no more than the memory limit holds; at least 1."""
    limit = memory(cgroup)
    cores = available(cgroup)
    return cores if limit is None else max(1, min(cores, (limit - PARENT_BYTES) // WORKER_BYTES))


def _cpu_limit(cgroup: Path) -> float | None:
    """The cores that the control group may use (version 2, then 1); None without a limit, or where it is unreadable."""
    with contextlib.suppress(OSError, ValueError):
        quota, period = (cgroup / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    with contextlib.suppress(OSError, ValueError):
        quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text()
        period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text()
        return int(quota) / int(period) if int(quota) > 0 else None
    return None
