"""A key at its rate limit: who waits how long, how much of the limit is used, how often the provider has to refuse.

    python benchmarks/limits.py

One run asks for 800 calls at once; meanwhile people ask for single ones, ten a minute. The provider lets 60 requests
(or 30,000 tokens) a minute through and counts them in one of three ways: by a sliding minute, by the clock's, or by a
bucket that refills. Beside ours stand the usual simple client (a FIFO semaphore, and sleeping as long as the 429 says),
ours with a bucket of its own (GCRA) in place of the sliding window, ours without spreading what is left where many
wait, and ours without giving back what was reserved too much. Ten minutes in virtual time, ten seeds; in brackets half
of the 95 % interval. Who is not served has waited until the end.
"""

from __future__ import annotations

import asyncio
import random
import selectors
import statistics
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from orchestra.dispatch.line import Line
from orchestra.dispatch.rates import MINUTE, Hold, RateLimiter, RateRules
from orchestra.dispatch.waiting import granted

MINUTES, SEEDS = 10, 10
BATCH, PEOPLE = 800, 10  # calls of one run at once; calls of other runs a minute
REQUESTS, TOKENS = 60, 30_000  # a minute
BOUND, USED = 2_000, (200, 800)  # tokens reserved for a call, and taken by it
SECONDS = (1.0, 4.0)  # a call takes
AT_ONCE = 16  # calls of the simple client at a time
ROUNDING = 1e-6  # of a bucket's level
T95 = 2.262  # Student's t, 9 degrees of freedom


class VirtualTime(asyncio.SelectorEventLoop):
    """An event loop whose time moves only when nothing else is left to do, and then at once to what comes next."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_Hasty(self))

    def time(self) -> float:
        """Seconds from 0."""
        return self.now


class _Hasty(selectors.DefaultSelector):
    def __init__(self, loop: VirtualTime) -> None:
        super().__init__()
        self.loop = loop

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "everybody waits for somebody else"
        self.loop.now += timeout
        return super().select(0)


def in_virtual_time(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of `work`, on a loop of its own."""
    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        return runner.run(work)


class Provider(Protocol):
    """Says how many seconds too early a request is; 0.0: it is let through."""

    def early(self, now: float, amount: int) -> float:
        """Counts it where it is let through."""
        ...


class Sliding:
    """Never more than the limit in any minute."""

    def __init__(self, limit: int) -> None:
        self.limit, self.seen = limit, deque[tuple[float, int]]()

    def early(self, now: float, amount: int) -> float:
        """As Provider."""
        while self.seen and self.seen[0][0] + MINUTE <= now:
            self.seen.popleft()
        if sum(one for _, one in self.seen) + amount > self.limit:
            return self.seen[0][0] + MINUTE - now
        self.seen.append((now, amount))
        return 0.0


class Clocked:
    """Begins to count anew with every minute of the clock."""

    def __init__(self, limit: int) -> None:
        self.limit, self.minute, self.used = limit, -1, 0

    def early(self, now: float, amount: int) -> float:
        """As Provider."""
        if (minute := int(now // MINUTE)) != self.minute:
            self.minute, self.used = minute, 0
        if self.used + amount > self.limit:
            return (minute + 1) * MINUTE - now
        self.used += amount
        return 0.0


class Bucket:
    """Refills all the time, up to the limit."""

    def __init__(self, limit: int) -> None:
        self.limit, self.level, self.at = limit, float(limit), 0.0

    def early(self, now: float, amount: int) -> float:
        """As Provider."""
        level = min(self.limit, self.level + (now - self.at) * self.limit / MINUTE)
        self.level, self.at = level, now
        if level + ROUNDING < amount:
            return (amount - level) * MINUTE / self.limit
        self.level -= amount
        return 0.0


@dataclass
class Seen:
    """What came of one simulation."""

    refused: int = 0
    served: int = 0
    waits: dict[str, float] = field(default_factory=dict[str, float])  # of people


@dataclass(frozen=True)
class Work:
    """One call."""

    run: str
    tokens: int
    seconds: float


class Client(Protocol):
    """Gets one call done; None where the time is over before."""

    async def call(self, work: Work, send: Callable[[], float]) -> None:
        """`send` says how much too early it was."""
        ...


class Simple:
    """A FIFO semaphore; who is told 429 sleeps as long as he is told, and keeps his place."""

    def __init__(self) -> None:
        self.places = asyncio.Semaphore(AT_ONCE)

    async def call(self, work: Work, send: Callable[[], float]) -> None:
        """As Client."""
        async with self.places:
            while early := send():  # noqa: ASYNC110  # nothing would set an event
                await asyncio.sleep(early)
            await asyncio.sleep(work.seconds)


class Ours:
    """The limiter, its line, and a 429 as dispatch would treat it where there is no other way: wait and come again."""

    def __init__(self, limiter: Any, bound: int, *, refund: bool = True) -> None:
        self.limiter, self.line, self.bound, self.refund = limiter, Line(1), bound, refund

    async def call(self, work: Work, send: Callable[[], float]) -> None:
        """As Client."""
        clock = asyncio.get_running_loop().time
        while True:
            hold = await granted(
                self.limiter,
                self.bound,
                line=self.line,
                run=work.run,
                rank=0.0,
                weight=1.0,
                until=1e9,
                clock=clock,
                sleep=asyncio.sleep,
            )
            if not (early := send()):
                break
            self.limiter.settle(hold, clock(), None)
            await asyncio.sleep(early)
        await asyncio.sleep(work.seconds)
        self.limiter.settle(hold, clock(), work.tokens if self.refund else self.bound)


class Gcra(RateLimiter):
    """The same limiter with a bucket in place of the window."""

    def __init__(self, limit: int) -> None:
        super().__init__(RateRules())
        self.bucket = Bucket(limit)

    def wait(self, now: float, tokens: int, *, ahead: int = 0) -> float:
        """As RateLimiter."""
        level = min(self.bucket.limit, self.bucket.level + (now - self.bucket.at) * self.bucket.limit / MINUTE)
        short = tokens * (1 + ahead) - level
        return short * MINUTE / self.bucket.limit if short > ROUNDING else 0.0

    def at_once(self, now: float, tokens: int) -> Hold | None:
        """As RateLimiter."""
        if self.wait(now, tokens):
            return None
        self.bucket.early(now, tokens)
        return self.reserve(now, tokens)


class AtOnce(RateLimiter):
    """The same limiter, which gives what is left to whoever is next, however many wait."""

    def pause(self, now: float, tokens: int) -> float:  # noqa: ARG002  # the limiter's own
        """As RateLimiter."""
        return 0.0


async def simulate(provider: Provider, client: Client, amount: Callable[[Work], int], seed: int) -> Seen:
    """Ten minutes of the batch and the people."""
    draw, seen, clock = random.Random(seed), Seen(), asyncio.get_running_loop().time

    async def ask(run: str, came: float) -> None:
        seen.waits[run] = MINUTES * MINUTE - came
        await asyncio.sleep(came)
        work = Work(run, draw.randint(*USED), draw.uniform(*SECONDS))

        def send() -> float:
            early = provider.early(clock(), amount(work))
            seen.refused += early > 0
            if not early:
                seen.served += 1
                seen.waits[run] = clock() - came
            return early

        await client.call(work, send)

    comings = [draw.uniform(0, MINUTES * MINUTE) for _ in range(PEOPLE * MINUTES)]
    batch = [ask("batch", draw.uniform(0.0, 0.1)) for _ in range(BATCH)]
    tasks = [asyncio.create_task(one) for one in (*batch, *(ask(f"p{n}", came) for n, came in enumerate(comings)))]
    await asyncio.sleep(MINUTES * MINUTE)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    del seen.waits["batch"]
    return seen


def report(name: str, made: Callable[[], tuple[Provider, Client]], amount: Callable[[Work], int]) -> None:
    """One row."""

    async def one(seed: int) -> Seen:
        return await simulate(*made(), amount, seed)

    all_seen = [in_virtual_time(one(seed)) for seed in range(SEEDS)]
    columns = (
        [seen.served / MINUTES for seen in all_seen],
        [100 * seen.refused / seen.served for seen in all_seen],
        [statistics.median(seen.waits.values()) for seen in all_seen],
        [statistics.quantiles(seen.waits.values(), n=20)[-1] for seen in all_seen],
    )
    print(f"{name:34}" + "".join(f"{_interval(column):>18}" for column in columns))


def _interval(values: Sequence[float]) -> str:
    half = T95 * statistics.stdev(values) / len(values) ** 0.5
    return f"{statistics.mean(values):.1f} [{half:.1f}]"


def main() -> None:
    """Print the rows."""
    by_requests = RateRules(requests_per_minute=REQUESTS)
    print(f"{'':34}{'served a minute':>18}{'429s per 100':>18}{'people wait p50 s':>18}{'p95 s':>18}")
    for provider in (Sliding, Clocked, Bucket):
        print(f"{REQUESTS} requests a minute, {str(provider.__doc__).rstrip('.').lower()}")
        report("  semaphore, sleep on 429", lambda p=provider: (p(REQUESTS), Simple()), lambda _: 1)
        report("  ours with a bucket (GCRA)", lambda p=provider: (p(REQUESTS), Ours(Gcra(REQUESTS), 1)), lambda _: 1)
        report("  ours, not spread", lambda p=provider: (p(REQUESTS), Ours(AtOnce(by_requests), 1)), lambda _: 1)
        report("  ours", lambda p=provider: (p(REQUESTS), Ours(RateLimiter(by_requests), 1)), lambda _: 1)
    print(f"{TOKENS:,} tokens a minute, {BOUND:,} reserved for a call that takes {USED[0]} to {USED[1]}")
    by_tokens = RateRules(tokens_per_minute=TOKENS)
    report("  semaphore, sleep on 429", lambda: (Sliding(TOKENS), Simple()), lambda work: work.tokens)
    for name, limiter, refund in (
        ("  ours, not giving back", RateLimiter, False),
        ("  ours, not spread", AtOnce, True),
        ("  ours", RateLimiter, True),
    ):
        report(
            name,
            lambda limiter=limiter, refund=refund: (Sliding(TOKENS), Ours(limiter(by_tokens), BOUND, refund=refund)),
            lambda work: work.tokens,
        )


if __name__ == "__main__":
    main()
