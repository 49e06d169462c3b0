"""Runs code, and tests of it, in the caged process, and sees to it that nothing of it stays."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from orchestra.toolbox.faults import ToolFailed
from orchestra.toolbox.sandbox.kind import command, layers
from orchestra.toolbox.sandbox.scratch import remove, scratch

_FIRST, _LAST = 3_000, 6_000
_REPORT = 100_000  # bytes: ten failures with their lines fit
_GRACE = 2.0
_FORGED = "the code wrote into the report of its tests: write to stdout only; they count as failed"


@dataclass(frozen=True, slots=True)
class Ran:
    """How code ended: `exit` is None where it was stopped at its time; counts and texts of its tests; its output."""

    exit: int | None
    output: str
    passed: int | None = None
    failed: int = 0
    failures: tuple[str, ...] = ()


async def run_python(code: str, tests: str = "", *, seconds: float = 10.0, walls: Sequence[str] | None = None) -> Ran:
    """Run Python source in a sandbox for at most `seconds`; what it prints, on both streams, is cut in the middle.

    `walls` are the layers to enter, as `layers()` names them; None: all that this system grants. Raises ToolFailed
    where the sandbox itself cannot be set up. When this is cancelled, the code ends too.
    """
    walls = await asyncio.to_thread(layers) if walls is None else walls
    folder = scratch()
    try:
        (folder / "solution.py").write_text(code, encoding="utf-8", errors="replace")
        if tests.strip():
            (folder / "tests.py").write_text(tests, encoding="utf-8", errors="replace")
        job = json.dumps({"layers": list(walls), "folder": str(folder), "seconds": seconds})
        return await _run(job, folder, seconds)
    finally:
        await asyncio.to_thread(remove, folder)  # a thread: it may hold a million files, and it goes on when cancelled


async def _run(job: str, folder: Path, seconds: float) -> Ran:
    transport, watch = await asyncio.get_running_loop().subprocess_exec(
        _Watch, *command("cage.main(sys.argv[2])"), job, cwd=folder, env=_environment(folder)
    )
    try:
        await asyncio.wait({watch.ended}, timeout=seconds)
        in_time = watch.ended.done()
    finally:
        lifeline = transport.get_pipe_transport(0)
        assert lifeline
        lifeline.close()  # the supervisor kills its group when this closes
        await asyncio.wait({watch.ended}, timeout=_GRACE)
        transport.close()  # kills the supervisor where it did not end
    return _ran(watch.report.text(), watch.output.text(), in_time=in_time)


def _environment(folder: Path) -> dict[str, str]:
    return {"HOME": os.fspath(folder), "TMPDIR": os.fspath(folder), "LANG": "C.UTF-8", "TZ": "UTC"}


def _ran(report: str, output: str, *, in_time: bool) -> Ran:
    """What the report says, whose last line is the supervisor's; a line under another nonce was forged by the code."""
    lines = [_read(line) for line in report.splitlines() if line.strip()]
    if not in_time:
        return Ran(None, output)
    if not lines:
        return Ran(-9, output)  # the supervisor was killed too
    if "exit" not in lines[-1]:
        raise ToolFailed(f"the sandbox could not be set up: {report.strip().splitlines()[-1]}")
    if any(line.get("nonce") != lines[-1]["nonce"] for line in lines):
        return Ran(lines[-1]["exit"], output, 0, 1, (_FORGED,))
    told = {key: value for line in lines for key, value in line.items()}
    if "fault" in told:
        raise ToolFailed(f"the sandbox could not be set up: {told['fault']}")
    return Ran(told["exit"], output, told.get("passed"), told.get("failed", 0), tuple(told.get("failures", ())))


def _read(line: str) -> dict[str, Any]:
    """A line of the report; nothing where it is none."""
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", told) if isinstance(told, dict) else {}


class _Watch(asyncio.SubprocessProtocol):
    """Takes in what the process writes; `ended` when it has ended and everything is read."""

    def __init__(self) -> None:
        self.output, self.report = _Kept(_LAST), _Kept(_REPORT)
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        (self.output if fd == 1 else self.report).add(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the seam's
        self.ended.set_result(None)


class _Kept:
    """The first and the last bytes of a stream."""

    def __init__(self, last: int) -> None:
        self._most = last
        self._first = b""
        self._last = b""
        self._size = 0

    def add(self, data: bytes) -> None:
        self._size += len(data)
        room = _FIRST - len(self._first)
        self._first += data[:room]
        self._last = (self._last + data[room:])[-self._most :]

    def text(self) -> str:
        left = self._size - len(self._first) - len(self._last)
        middle = f"\n[{left:,} bytes left out]\n".encode() if left else b""
        return (self._first + middle + self._last).decode(errors="replace")
