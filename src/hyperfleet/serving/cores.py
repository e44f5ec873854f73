"""The resources of the container: cores, memory, and the number of workers that fit into both."""

import contextlib
import math
import os
from pathlib import Path
from typing import Final

CGROUP: Final = Path("/sys/fs/cgroup")
WORKER_BYTES: Final = 400 << 20
"""The memory budget of a worker: its peak with large pages and slow readers."""

PARENT_BYTES: Final = 200 << 20
"""The memory budget of everything except the workers: the parent process and the HTTP server's main process."""

_UNLIMITED: Final = 1 << 60
"""Without a limit, cgroup version 1 reports the largest number of pages that it can count."""


def available(cgroup: Path = CGROUP) -> int:
    """The number of cores, at least 1; all cores of the machine without a limit. A limit of 1.5 counts as 2.

    A container sees every core of its machine: on 64 cores with a limit of 2, one worker for each core is far too many.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = _cpu_limit(cgroup)
    return bound if limit is None else max(1, min(bound, math.ceil(limit)))


def memory(cgroup: Path = CGROUP) -> int | None:
    """The memory limit of the control group in bytes (version 2, then 1); None without a limit."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            text = (cgroup / name).read_text().strip()
            return None if text == "max" or int(text) >= _UNLIMITED else int(text)
    return None


def workers(cgroup: Path = CGROUP) -> int:
    """One worker for each core, limited by what fits into memory; at least 1."""
    limit = memory(cgroup)
    cores = available(cgroup)
    return cores if limit is None else max(1, min(cores, (limit - PARENT_BYTES) // WORKER_BYTES))


def _cpu_limit(cgroup: Path) -> float | None:
    """The CPU limit of the control group in cores (version 2, then 1); None without a limit or a readable file."""
    with contextlib.suppress(OSError, ValueError):
        quota, period = (cgroup / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    with contextlib.suppress(OSError, ValueError):
        quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text()
        period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text()
        return int(quota) / int(period) if int(quota) > 0 else None
    return None
