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


def judged(machine: str, number: int, *arguments: int, architecture: int | None = None) -> int:
    program = list(struct.iter_unpack("=HBBI", seccomp._program(machine, PID)))
    data = {0: number, 4: seccomp._MACHINES[machine][0] if architecture is None else architecture}
    data |= {16 + 8 * index: 0 for index in range(6)} | {16 + 8 * index: at for index, at in enumerate(arguments)}
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


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest) -> str:
    return request.param


def number(machine: str, name: str) -> int:
    column = seccomp._MACHINES[machine][1]
    numbers = {name: row[0] for table in (seccomp._REFUSED_WITH, seccomp._OF_ONESELF) for name, row in table.items()}
    found = (seccomp._REFUSED | numbers | {"clone": seccomp._CLONE})[name][column]
    assert found is not None
    return found


def test_every_refused_call_is_refused(machine: str) -> None:
    column = seccomp._MACHINES[machine][1]
    for numbers in seccomp._REFUSED.values():
        assert numbers[column] is None or judged(machine, numbers[column]) == EPERM
    assert [name for name, numbers in seccomp._REFUSED.items() if None in numbers] == ["fork", "vfork"]


def test_no_two_calls_have_one_number(machine: str) -> None:
    column = seccomp._MACHINES[machine][1]
    rows = seccomp._REFUSED | {name: row[0] for name, row in (seccomp._REFUSED_WITH | seccomp._OF_ONESELF).items()}
    numbers = [row[column] for row in rows.values() if row[column] is not None]
    assert len(numbers) == len({*numbers, seccomp._CLONE[column], seccomp._CLONE3}) - 2


def test_threads_start_and_processes_do_not(machine: str) -> None:
    clone = number(machine, "clone")
    assert judged(machine, clone, 0x1_0000) == ALLOW
    assert judged(machine, clone, 17) == EPERM
    assert judged(machine, 435) == ENOSYS


@pytest.mark.parametrize("name", seccomp._OF_ONESELF)
def test_a_process_signals_limits_and_schedules_itself_alone(machine: str, name: str) -> None:
    call, before = number(machine, name), [0] * seccomp._OF_ONESELF[name][1]
    assert [judged(machine, call, *before, pid) for pid in (0, PID, PID + 1)] == [ALLOW, ALLOW, EPERM]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("setpriority", (1, 0)),
        ("setpriority", (2, 0)),
        ("ioprio_set", (2, 0)),
        ("ioprio_set", (3, 0)),
        ("fcntl", (9, 8)),
        ("fcntl", (9, 10)),
        ("fcntl", (9, 15)),
        ("ioctl", (9, 0x8901)),
        ("ioctl", (9, 0x8902)),
        ("prctl", (1,)),
        ("prctl", (62,)),
    ],
)
def test_groups_users_and_who_is_signalled_later_are_not_named(
    machine: str, name: str, arguments: tuple[int, ...]
) -> None:
    assert judged(machine, number(machine, name), *arguments) == EPERM


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("fcntl", (8, 4)), ("ioctl", (9, 0x5401)), ("prctl", (15,)), ("prctl", (38,)), ("ioprio_set", (1, 0))],
)
def test_what_else_those_calls_do_is_allowed(machine: str, name: str, arguments: tuple[int, ...]) -> None:
    assert judged(machine, number(machine, name), *arguments) == ALLOW


@given(st.sampled_from(MACHINES), st.integers(0, 0xFFFF_FFFF), st.integers(0, 0xFFFF_FFFF))
def test_all_else_is_allowed_on_this_architecture_only(machine: str, number: int, argument: int) -> None:
    architecture, column = seccomp._MACHINES[machine]
    assert judged(machine, number, argument, architecture=architecture ^ 1) == KILL
    by_argument = [row[0] for row in (*seccomp._REFUSED_WITH.values(), *seccomp._OF_ONESELF.values())]
    known = {row[column] for row in (*seccomp._REFUSED.values(), *by_argument, seccomp._CLONE)}
    if number < 0x4000_0000 and number not in {*known, 435}:
        assert judged(machine, number, argument) == ALLOW
    assert number < 0x4000_0000 or judged(machine, number, argument) == EPERM
