"""Many calls at a time: a line in, requests per second and microseconds of CPU per call out."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

AT_A_TIME = 64
CALLS = 256  # a round's

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
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        await calls(call, CALLS)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(CALLS / wall, cpu / CALLS * 1e6, flush=True)
