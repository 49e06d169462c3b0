"""Linux calls that Python does not wrap: namespaces, capabilities, prctl."""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path

_NEW_USER, _NEW_PID, _NEW_NET, _NEW_IPC = 0x1000_0000, 0x2000_0000, 0x4000_0000, 0x0800_0000
_SET_DEATH_SIGNAL, _ADOPT_ORPHANS, _NO_NEW_PRIVILEGES = 1, 36, 38
_CAPABILITIES_V3 = 0x2008_0522


def enter_namespaces() -> None:  # pragma: no cover (in the caged process)
    """An own user, network (nothing in it, not even loopback), IPC and, for children, process namespace."""
    call("unshare", _NEW_USER | _NEW_NET | _NEW_IPC | _NEW_PID)


def die_with_supervisor() -> None:  # pragma: no cover (in the caged process)
    """Be killed when the parent process ends; in a process namespace that takes everything in it along."""
    call("prctl", _SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


def adopt_orphans() -> None:  # pragma: no cover (in the caged process)
    """Become the parent of every descendant whose own parent has ended, so that none gets away."""
    call("prctl", _ADOPT_ORPHANS, 1, 0, 0, 0)


def end_descendants() -> None:  # pragma: no cover (in the caged process)
    """Kill children until none is left: whoever stepped out of the process group is one by then."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    while pids := children.read_text().split():
        for pid in map(int, pids):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def drop_privileges() -> None:  # pragma: no cover (in the caged process)
    """No capability, now or by executing a file; root keeps its number, and loses what it stands for."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_V3, 0)
    call("capset", header, (ctypes.c_uint32 * 6)())
    call("prctl", _NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def call(name: str, *arguments: object) -> int:
    """A function of libc. Raises OSError where it returns below 0."""
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc[name](*(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), name)
    return int(result)
