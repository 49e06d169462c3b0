"""The innermost layer, Python's audit hooks: clear words for what the kernel refuses anyway.

By itself it is no wall: code that sets out to can get round it, as it lives in the same process.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

_CHANGES = {
    "os.chmod": (0,),
    "os.chown": (0,),
    "os.link": (0, 1),
    "os.mkdir": (0,),
    "os.remove": (0,),
    "os.rename": (0, 1),
    "os.rmdir": (0,),
    "os.symlink": (1,),
    "os.truncate": (0,),
    "os.utime": (0,),
}
"""Which arguments of an event are paths that must be one's own."""

_LOOKS = {"os.listdir": (0,), "os.scandir": (0,)}
_PROCESS = ("subprocess.", "os.exec", "os.fork", "os.kill", "os.posix_spawn", "os.spawn", "os.startfile", "os.system")
_REFUSED = {
    "socket.": "there is no network here",
    "ctypes.": "ctypes is closed here",
    **dict.fromkeys(_PROCESS, "other processes cannot be started or signalled here"),
}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def watch(read: Sequence[str], folder: str) -> None:  # pragma: no cover (in the caged process)
    """Refuse sockets, processes, ctypes, and files but those below `read` (to read) and `folder` (to write too)."""
    for name in [name for name in sys.modules if name.lstrip("_").startswith("ctypes")]:
        del sys.modules[name]  # importing it again is refused
    sys.addaudithook(hook(read, folder))


def hook(read: Sequence[str], folder: str) -> Callable[[str, tuple[object, ...]], None]:
    """The hook itself; it raises PermissionError."""
    own = os.path.realpath(folder)
    readable = (own, *map(os.path.realpath, read))

    def check(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            _check_path(arguments[0], (own, os.devnull) if _writes(arguments) else readable)
        elif event in _CHANGES:
            for index in _CHANGES[event]:
                _check_path(arguments[index], (own,))
        elif event in _LOOKS:
            _check_path(arguments[0], readable)
        elif not _pair(event, arguments):
            _check_event(event)

    return check


def _writes(arguments: tuple[object, ...]) -> bool:
    flags = arguments[2]
    return isinstance(flags, int) and bool(flags & _WRITING)


def _check_path(path: object, allowed: Sequence[str]) -> None:
    if not isinstance(path, str | bytes):  # a descriptor, opened before; or None, the folder one is in
        return
    real = os.path.realpath(os.fsdecode(path))
    if not any(real == one or real.startswith(one.rstrip("/") + "/") for one in allowed):
        raise PermissionError(f"{os.fsdecode(path)!r} lies outside the sandbox; only the working folder is open")


def _pair(event: str, arguments: tuple[object, ...]) -> bool:
    """An event loop talks to itself through a pair of Unix sockets, which lead nowhere else."""
    return event == "socket.__new__" and arguments[1] == 1  # AF_UNIX


def _check_event(event: str) -> None:
    for start, reason in _REFUSED.items():
        if event.startswith(start):
            raise PermissionError(f"{event}: {reason}")
