"""How many threads pay off: the cores this process may use, not those the machine has."""

from __future__ import annotations

import math
import os
from pathlib import Path

_ENOUGH = 8  # small models are bound by memory bandwidth well before this many threads


def usable_cores(quota: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Cores by CPU affinity and container quota (cgroup v2), at least 1 and at most 8."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, _quota(quota), _ENOUGH))


def _quota(file: Path) -> int:
    try:
        allowed, period = file.read_text(encoding="ascii").split()
        return math.ceil(int(allowed) / int(period))
    except (OSError, ValueError):  # no cgroup v2, or "max": no limit
        return _ENOUGH
