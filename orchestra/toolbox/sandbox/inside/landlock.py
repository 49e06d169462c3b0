"""Landlock (Linux 5.13): the kernel refuses files outside the named folders, and TCP from its version 4 on.

Numbers after include/uapi/linux/landlock.h; the system calls have the same numbers on every architecture in use.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Sequence

from .kernel import call, drop_privileges

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_ASK_VERSION, _PATH_BENEATH = 1, 1
_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_ON_A_FILE = 0b111 | 1 << 14  # execute, write, read, truncate: what may be said of a file
_FIRST = (1 << 13) - 1  # all rights of version 1
_ADDED = {2: 1 << 13, 3: 1 << 14, 5: 1 << 15}  # refer, truncate, ioctl on devices
_NOT_OURS = 1 << 0 | 1 << 6 | 1 << 11 | 1 << 15  # execute, make devices, ioctl: not even in one's own folder


def restrict(read: Sequence[str], folder: str) -> None:  # pragma: no cover (in the caged process)
    """From now on this process reads below `read`, and reads and writes below `folder`. Raises OSError."""
    drop_privileges()  # no_new_privs is what allows an ordinary process to restrict itself
    version = call("syscall", _CREATE, None, 0, _ASK_VERSION)
    handled = _FIRST | sum(right for since, right in _ADDED.items() if version >= since)
    fields = [handled, *([0b11] if version >= 4 else []), *([0b11] if version >= 6 else [])]  # TCP; signals, sockets
    rules = ctypes.create_string_buffer(struct.pack(f"={len(fields)}Q", *fields), 8 * len(fields))
    ruleset = call("syscall", _CREATE, rules, len(rules), 0)
    for path in read:
        _allow(ruleset, path, _READ_FILE | _READ_DIR | (_WRITE_FILE if path == os.devnull else 0))
    _allow(ruleset, folder, handled & ~_NOT_OURS)
    call("syscall", _RESTRICT, ruleset, 0)
    os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:  # pragma: no cover (in the caged process)
    descriptor = os.open(path, os.O_PATH)
    if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
        rights &= _ON_A_FILE
    rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, descriptor))
    call("syscall", _ADD, ruleset, _PATH_BENEATH, rule, 0)
    os.close(descriptor)
