"""Upper bounds on what the process may use."""

from __future__ import annotations

import math
import resource
import sys

MEMORY = 512 * 2**20
FILE = 10 * 2**20
FILES = 64


def limit(seconds: float, processes: int | None) -> None:  # pragma: no cover (in the caged process)
    """Bound processor time, memory, file size, open files and, where that counts only this cage, processes."""
    bounds = {
        resource.RLIMIT_CPU: math.ceil(seconds) + 1,
        resource.RLIMIT_FSIZE: FILE,
        resource.RLIMIT_NOFILE: FILES,
        resource.RLIMIT_CORE: 0,
    }
    if sys.platform == "linux":  # elsewhere it is not kept, or cannot be set
        bounds[resource.RLIMIT_AS] = MEMORY
    if processes is not None:
        bounds[resource.RLIMIT_NPROC] = processes
    for kind, bound in bounds.items():
        hard = resource.getrlimit(kind)[1]
        least = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
        resource.setrlimit(kind, (least, least))
