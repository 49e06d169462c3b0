"""Seccomp: the kernel refuses the system calls that open sockets, start processes or reach others.

It needs no namespace, so it also holds where containers forbid those; and it covers what they leave open: Unix
sockets of the host that lie in the file system. Numbers after the kernel's tables; the filter is classic BPF.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

from .kernel import call, drop_privileges

_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_ALLOW, _KILL, _FAIL = 0x7FFF_0000, 0x8000_0000, 0x0005_0000
_SET_SECCOMP, _FILTER = 22, 2
_CLONE_THREAD, _X32 = 0x1_0000, 0x4000_0000
_MACHINES = {"x86_64": (0xC000_003E, 0), "aarch64": (0xC000_00B7, 1)}  # architecture, column of the tables below
_CLONE, _CLONE3 = (56, 220), 435

_REFUSED: dict[str, tuple[int | None, int | None]] = {
    "socket": (41, 198),
    "connect": (42, 203),
    "bind": (49, 200),
    "io_uring_setup": (425, 425),
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "unshare": (272, 97),
    "setns": (308, 268),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "kill": (62, 129),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semop": (65, 193),
    "semctl": (66, 191),
    "semtimedop": (220, 192),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
}
_REFUSED_WITH = {  # number by machine, argument, refused values
    "fcntl": ((72, 25), 1, (8, 10, 15)),  # F_SETOWN, F_SETSIG, F_SETOWN_EX: a signal to whom one names
    "ioctl": ((16, 29), 1, (0x8901, 0x8902)),  # FIOSETOWN, SIOCSPGRP: the same of a pair of sockets
    "prctl": ((157, 167), 0, (1, 62)),  # PR_SET_PDEATHSIG: the supervisor's end stays one's own; PR_SCHED_CORE
    "setpriority": ((141, 140), 0, (1, 2)),  # a group, a user
    "ioprio_set": ((251, 30), 0, (2, 3)),
}
_OF_ONESELF = {  # number by machine, the argument that names a process: 0, or one's own number
    "tgkill": ((234, 131), 0),  # as `raise` and `abort` signal oneself
    "tkill": ((200, 130), 0),  # musl's; it names a thread, and only the first one has a number known here
    "prlimit64": ((302, 261), 0),
    "setpriority": ((141, 140), 1),
    "ioprio_set": ((251, 30), 1),
    "sched_setparam": ((142, 118), 0),
    "sched_setscheduler": ((144, 119), 0),
    "sched_setattr": ((314, 274), 0),
    "sched_setaffinity": ((203, 122), 0),
}


def restrict() -> None:  # pragma: no cover (in the caged process)
    """Threads may start, nothing else may. Raises OSError, and KeyError on a machine without a table."""
    program = _program(platform.machine(), os.getpid())
    code = ctypes.create_string_buffer(program, len(program))
    filter_ = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(code)))
    drop_privileges()  # no_new_privs, without which only root may filter
    call("prctl", _SET_SECCOMP, _FILTER, filter_, 0, 0)


def _program(machine: str, pid: int) -> bytes:
    architecture, column = _MACHINES[machine]
    deny, allow = (_RETURN, 0, 0, _FAIL | errno.EPERM), (_RETURN, 0, 0, _ALLOW)
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_IF_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_IF_AT_LEAST, 0, 1, _X32),  # the same calls by other numbers
        deny,
    ]
    for numbers in _REFUSED.values():
        if (number := numbers[column]) is not None:
            steps += [(_IF_EQUAL, 0, 1, number), deny]
    steps += [
        (_IF_EQUAL, 0, 1, _CLONE3),  # its flags lie in memory, out of sight: libc then falls back to clone
        (_RETURN, 0, 0, _FAIL | errno.ENOSYS),
        (_IF_EQUAL, 0, 4, _CLONE[column]),
        (_LOAD, 0, 0, _ARGUMENTS),
        (_IF_SET, 0, 1, _CLONE_THREAD),
        allow,
        deny,
    ]
    for numbers, argument, values in _REFUSED_WITH.values():
        refused = [step for value in values for step in ((_IF_EQUAL, 0, 1, value), deny)]
        steps += [(_IF_EQUAL, 0, len(refused) + 2, numbers[column]), (_LOAD, 0, 0, _ARGUMENTS + 8 * argument)]
        steps += [*refused, (_LOAD, 0, 0, _NUMBER)]
    for numbers, argument in _OF_ONESELF.values():
        steps += [(_IF_EQUAL, 0, 5, numbers[column]), (_LOAD, 0, 0, _ARGUMENTS + 8 * argument)]
        steps += [(_IF_EQUAL, 1, 0, 0), (_IF_EQUAL, 0, 1, pid), allow, deny]
    steps.append(allow)
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
