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
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
_ALLOW, _KILL, _FAIL = 0x7FFF_0000, 0x8000_0000, 0x0005_0000
_SET_SECCOMP, _FILTER = 22, 2
_CLONE3, _CLONE_THREAD, _X32 = 435, 0x1_0000, 0x4000_0000
_EVERYWHERE = (425, 438, 424)  # io_uring_setup, pidfd_getfd, pidfd_send_signal
# socket connect bind, execve execveat, ptrace process_vm_readv process_vm_writev, unshare setns,
# bpf perf_event_open userfaultfd, add_key request_key keyctl, kill tkill rt_sigqueueinfo rt_tgsigqueueinfo,
# shmget shmat shmctl, semget semop semctl, msgget msgsnd msgrcv msgctl, mq_open; last: fork vfork
_X86 = (
    *(41, 42, 49, 59, 322, 101, 310, 311, 272, 308, 321, 298, 323, 248, 249, 250, 62, 200, 129, 297),
    *(29, 30, 31, 64, 65, 66, 68, 69, 70, 71, 240, 57, 58),
)
_ARM = (
    *(198, 203, 200, 221, 281, 117, 270, 271, 97, 268, 280, 241, 282, 217, 218, 219, 129, 130, 138, 240),
    *(194, 196, 195, 190, 193, 191, 186, 189, 188, 187, 180),
)
_MACHINES = {"x86_64": (0xC000_003E, 56, _X86), "aarch64": (0xC000_00B7, 220, _ARM)}  # architecture, clone, refused
_BY_ARGUMENT = {"x86_64": (234, 302, 157), "aarch64": (131, 261, 167)}  # tgkill, prlimit64, prctl
_SET_DEATH_SIGNAL = 1


def restrict() -> None:  # pragma: no cover (in the caged process)
    """Threads may start, nothing else may. Raises OSError, and KeyError on a machine without a table."""
    program = _program(platform.machine(), os.getpid())
    code = ctypes.create_string_buffer(program, len(program))
    filter_ = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(code)))
    drop_privileges()  # no_new_privs, without which only root may filter
    call("prctl", _SET_SECCOMP, _FILTER, filter_, 0, 0)


def _program(machine: str, pid: int) -> bytes:
    architecture, clone, refused = _MACHINES[machine]
    tgkill, prlimit, prctl = _BY_ARGUMENT[machine]
    deny = (_RETURN, 0, 0, _FAIL | errno.EPERM)
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_IF_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_IF_AT_LEAST, 0, 1, _X32),  # the same calls by other numbers
        deny,
    ]
    for number in (*_EVERYWHERE, *refused):
        steps += [(_IF_EQUAL, 0, 1, number), deny]
    steps += [
        (_IF_EQUAL, 0, 1, _CLONE3),  # its flags lie in memory, out of sight: libc then falls back to clone
        (_RETURN, 0, 0, _FAIL | errno.ENOSYS),
    ]
    for number, only in (
        (clone, (_IF_SET, 1, 0, _CLONE_THREAD)),
        (tgkill, (_IF_EQUAL, 1, 0, pid)),  # as `raise` and `abort` signal oneself
        (prlimit, (_IF_EQUAL, 1, 0, 0)),  # oneself
        (prctl, (_IF_EQUAL, 0, 1, _SET_DEATH_SIGNAL)),  # the supervisor's end stays one's own
    ):
        steps += [(_IF_EQUAL, 0, 4, number), (_LOAD, 0, 0, _FIRST_ARGUMENT), only, deny, (_RETURN, 0, 0, _ALLOW)]
    steps.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
