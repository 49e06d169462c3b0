"""Many calls at a time: a line in, requests per second and microseconds of CPU per call out.

Each round begins with calls that do not count: another side has had the machine meanwhile.

The line `bytecodes` asks for something else: how many bytecodes the interpreter executes in one call, and in how many
functions. Of aiohttp and us that is the same at every hour; httpx looks through all connections that are open.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from types import CodeType, FrameType
from typing import Any

AT_A_TIME = 64
CALLS = 256  # a round's
TRACED = 16

Call = Callable[[], Awaitable[object]]


async def calls(call: Call, number: int) -> None:
    """So many calls, AT_A_TIME of them at a time."""
    left = iter(range(number))

    async def caller() -> None:
        for _ in left:
            await call()

    await asyncio.gather(*(caller() for _ in range(AT_A_TIME)))


async def rounds(call: Call) -> None:
    """A round for every line that comes in."""
    await calls(call, CALLS)
    print("ready", flush=True)
    for line in sys.stdin:
        if line.strip() == "bytecodes":
            print(*await bytecodes(call), flush=True)
            continue
        await calls(call, CALLS)
        wall, cpu = time.perf_counter(), time.process_time()
        await calls(call, CALLS)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(CALLS / wall, cpu / CALLS * 1e6, flush=True)


async def bytecodes(call: Call) -> tuple[float, int]:
    """How many bytecodes a call executes in this thread, and of how many functions."""
    executed: Counter[CodeType] = Counter()

    def trace(frame: FrameType, event: str, _: object) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        executed[frame.f_code] += event == "opcode"
        return trace

    sys.settrace(trace)
    for _ in range(TRACED):
        await call()
    sys.settrace(None)
    return executed.total() / TRACED, len(executed)
