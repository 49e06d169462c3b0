"""The seccomp program, run step by step as the kernel would."""

from __future__ import annotations

import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.toolbox.sandbox.inside import seccomp

ALLOW, KILL = 0x7FFF_0000, 0x8000_0000
EPERM, ENOSYS = 0x0005_0000 | errno.EPERM, 0x0005_0000 | errno.ENOSYS
MACHINES = list(seccomp._MACHINES)
PID = 77


def judged(machine: str, number: int, argument: int = 0, architecture: int | None = None) -> int:
    program = list(struct.iter_unpack("=HBBI", seccomp._program(machine, PID)))
    data = {0: number, 4: seccomp._MACHINES[machine][0] if architecture is None else architecture, 16: argument}
    at, loaded = 0, 0
    while True:
        code, yes, no, k = program[at]
        at += 1
        match code:
            case 0x20:
                loaded = data[k]
            case 0x06:
                return k
            case 0x15:
                at += yes if loaded == k else no
            case 0x35:
                at += yes if loaded >= k else no
            case 0x45:
                at += yes if loaded & k else no


@pytest.mark.parametrize("machine", MACHINES)
def test_every_refused_call_is_refused(machine: str) -> None:
    for number in (*seccomp._MACHINES[machine][2], *seccomp._EVERYWHERE):
        assert judged(machine, number) == EPERM


@pytest.mark.parametrize("machine", MACHINES)
def test_threads_start_and_processes_do_not(machine: str) -> None:
    clone = seccomp._MACHINES[machine][1]
    assert judged(machine, clone, 0x1_0000) == ALLOW
    assert judged(machine, clone, 17) == EPERM
    assert judged(machine, 435) == ENOSYS


@pytest.mark.parametrize("machine", MACHINES)
def test_a_process_signals_and_limits_itself_alone_and_keeps_its_death_signal(machine: str) -> None:
    tgkill, prlimit, prctl = seccomp._BY_ARGUMENT[machine]
    assert [judged(machine, tgkill, pid) for pid in (PID, PID + 1, 0)] == [ALLOW, EPERM, EPERM]
    assert [judged(machine, prlimit, pid) for pid in (0, PID + 1)] == [ALLOW, EPERM]
    assert [judged(machine, prctl, option) for option in (1, 15, 38)] == [EPERM, ALLOW, ALLOW]


@given(st.sampled_from(MACHINES), st.integers(0, 0xFFFF_FFFF), st.integers(0, 0xFFFF_FFFF))
def test_all_else_is_allowed_on_this_architecture_only(machine: str, number: int, argument: int) -> None:
    architecture, clone, refused = seccomp._MACHINES[machine]
    assert judged(machine, number, argument, architecture ^ 1) == KILL
    if number < 0x4000_0000 and number not in {
        *(*refused, *seccomp._EVERYWHERE, clone, 435),
        *seccomp._BY_ARGUMENT[machine],
    }:
        assert judged(machine, number, argument) == ALLOW
    assert number < 0x4000_0000 or judged(machine, number, argument) == EPERM
