"""A place within a key's rate limits: waited for in fair order, for as long as it can still be of use."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress

from orchestra.dispatch.line import Line
from orchestra.dispatch.rates import Hold, RateLimiter, nobody
from orchestra.types import CallFault, Trigger


async def granted(
    limiter: RateLimiter,
    tokens: int,
    *,
    line: Line,
    tenant: str = "",
    run: str,
    rank: float,
    weight: float,
    until: float,
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[object]],
) -> Hold | CallFault:
    """The right to one request of so many tokens, to be settled; or, unsent, why there is none before `until`.

    `line` is the limiter's own, of one place: who stands in it waits for the limiter, everybody else for the line, in
    its order by `tenant`, `run`, `rank` and `weight`. What never fits, or not before `until` on `clock`, is refused at
    once, so that another key or model can be asked instead; `retry_after` is when this one would have been free.
    """
    if not line.enter_at_once():
        wait = limiter.wait(clock(), tokens, ahead=line.ahead(run, weight, tenant=tenant))
        if fault := _refused(wait, tokens, until - clock()):
            return fault
        try:
            async with asyncio.timeout(until - clock()):
                await line.enter(run, rank, weight, tenant=tenant)
        except TimeoutError:
            return _limited(f"{tokens:,} tokens: others have waited for it longer than this call can")
    try:
        while True:
            wait = _turn(limiter, line, clock(), tokens)
            if wait == 0.0 and (hold := limiter.at_once(clock(), tokens)):  # another thread may have been quicker
                return hold
            if fault := _refused(wait, tokens, until - clock()):
                return fault
            await _slept(limiter, sleep, wait)
    finally:
        line.leave(run)


def _turn(limiter: RateLimiter, line: Line, now: float, tokens: int) -> float:
    """Seconds until the next request, in the pace of the limit where more wait than fit."""
    wait = limiter.wait(now, tokens)
    if wait == 0.0 and (others := line.waiting) and limiter.wait(now, tokens, ahead=others):
        return limiter.pause(now, tokens)
    return wait


async def _slept(limiter: RateLimiter, sleep: Callable[[float], Awaitable[object]], seconds: float) -> None:
    """Over after `seconds`, or as soon as something came back that nobody could know of before."""
    sleeping, loop = asyncio.ensure_future(sleep(seconds)), asyncio.get_running_loop()

    def wake() -> None:
        with suppress(RuntimeError):  # the event loop was closed under it
            loop.call_soon_threadsafe(sleeping.cancel)

    limiter.freed = wake
    try:
        await asyncio.wait((sleeping,))
    finally:
        limiter.freed = nobody
        wake()


def _refused(wait: float, tokens: int, left: float) -> CallFault | None:
    if wait == math.inf:
        return _limited(f"{tokens:,} tokens are more than its limits allow at any time")
    if wait > left:
        return _limited(f"{tokens:,} tokens fit in {wait:.3g} s, and {max(0.0, left):.3g} s are left", wait)
    return None


def _limited(why: str, retry_after: float | None = None) -> CallFault:
    text = f"the key's rate limits: {why}"  # the deadline is considered: the same again would be in vain
    return CallFault(Trigger.rate_limited, text, sent="no", retry_after=retry_after, should_retry=False)
