"""Processes: which one this is, and whether another one still lives, as far as that can be told from here."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Process:
    """A process among all that may open one ledger. `host` is where its `pid` means it, `node` that host's name.

    `started` tells it from others that had its pid: clock ticks from boot to its start, "" where the system is mute.
    """

    host: str
    pid: int
    started: str
    node: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.node}"


def here() -> Process:
    """This process."""
    return _describe(os.getpid())  # after a fork another one


def lives(process: Process) -> bool | None:
    """Whether it does; None where that cannot be told from here, as of a process on another host."""
    if not _POSIX or process.host != here().host:
        return None
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's; what else is known of it may be hidden
        return True
    return not process.started or _started(process.pid) == process.started


_POSIX = os.name == "posix"  # elsewhere os.kill with 0 does more than ask


@lru_cache(maxsize=1)
def _describe(pid: int) -> Process:
    import platform

    return Process(_host(), pid, _started(pid), platform.node())


def _host() -> str:
    """A boot of a machine and the namespace that gives process ids their meaning; else its name."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        import platform

        return platform.node()


def _started(pid: int) -> str:
    """See proc(5), stat: after the name in brackets the 3rd field is the state, the 22nd the start. "" for a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="latin-1")
    except OSError:
        return ""
    state, *fields = text.rpartition(")")[2].split()
    return "" if state in "ZX" else fields[18]
