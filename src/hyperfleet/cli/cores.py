"""How many cores this process may use: what it is bound to, and what its container is given of them."""

import contextlib
import math
import os
from pathlib import Path
from typing import Final

CGROUP: Final = Path("/sys/fs/cgroup")


def available(cgroup: Path = CGROUP) -> int:
    """Cores, at least 1: all of them where the system does not tell; a limit such as 1.5 counts as 2.

    A container sees every core of its machine, and a worker for each of 64 would be far too many for a limit of 2.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = _limit(cgroup)
    return bound if limit is None else max(1, min(bound, math.ceil(limit)))


def _limit(cgroup: Path) -> float | None:
    """The cores that the control group may use (version 2, then 1); None where there is no limit, or none to read."""
    with contextlib.suppress(OSError, ValueError):
        quota, period = (cgroup / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    with contextlib.suppress(OSError, ValueError):
        quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text()
        period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text()
        return int(quota) / int(period) if int(quota) > 0 else None
    return None
