"""The chaos of calls: many at once, three in ten requests fail in one of all those ways, and the books must balance."""

from __future__ import annotations

import asyncio
import random
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from orchestra.errors import CallError
from orchestra.testing import CutStream, Error, MalformedChunk, NoEnd, Reset, Say, Silence, Slow, Stall
from tests.faults.stage import ALONE, DIALECTS, WAYS, Ended, Stage, stage

AT_ONCE = 64
FAILING = 0.3
PRICES = {"primary": (1, 2), "fallback": (3, 5), "wide": (7, 11)}  # USD per million tokens, as in the stage's fleet
SILENT = 1.0  # seconds after which a model that says nothing is given up

PLACES = """
[[models.primary.endpoints]]
[[models.primary.endpoints]]
base_url = "http://127.0.0.1:{port}/v1"
weight = 0.1

[providers.one]
requests_per_minute = 1_000_000
tokens_per_minute = 1_000_000_000

[providers.one.breaker]
minimum = 40
opens = 1
"""
"""The primary has a second place where nobody listens; its breakers open late, or little of the chaos reached it."""

SAID = "the answer is forty-two, whatever the question was; " * 3
BROKEN = Say(SAID, chunks=8)
FAULTS: tuple[Callable[[random.Random], Any], ...] = (
    lambda _: Error(429, headers={"retry-after-ms": "20"}),
    lambda _: Error(500),
    lambda _: Error(503),
    lambda _: Reset(),
    lambda _: Silence(),
    lambda _: Slow(20),
    lambda draw: CutStream(BROKEN, after=draw.randrange(8), pause=draw.choice((0, 0.01))),
    lambda draw: Stall(BROKEN, after=draw.randrange(8)),
    lambda draw: MalformedChunk(BROKEN, after=draw.randrange(8), pause=draw.choice((0, 0.01))),
    lambda _: NoEnd(BROKEN),
    lambda _: Error.context_overflow(),
    lambda _: Error.content_filter(),
)


@dataclass
class Told:
    """What the models have reported: the usage of each whole reply, by model and input tokens, which no two share."""

    usages: dict[tuple[str, int], int] = field(default_factory=dict)

    def model(self, name: str, seed: str) -> Callable[[dict[str, Any]], Any]:
        """A model that fails three times in ten."""
        draw = random.Random(f"{seed} {name}")

        def answer(_: dict[str, Any]) -> Any:
            if draw.random() < FAILING:
                return draw.choice(FAULTS)(draw)
            usage = 1000 + len(self.usages), draw.randrange(1, 500)
            self.usages[name, usage[0]] = usage[1]
            return Say(SAID if draw.random() < 0.98 else "", chunks=draw.randrange(1, 8), usage=usage)

        return answer


@dataclass
class Tally:
    """How the calls ended."""

    ends: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    unsent: int = 0
    usd: float = 0.0


async def storm(calls: int, seed: str) -> Tally:
    """Make so many calls at a time as there are places. AssertionError says which promise was broken."""
    told, tally = Told(), Tally()
    models = [told.model(name, seed) for name in PRICES]
    with _closed_port() as port:
        limits = {"first_token": SILENT, "chunk": SILENT, "others": SILENT}
        async with stage(DIALECTS, *models, more=PLACES.format(port=port), slept=True, **limits) as it:
            await _all(calls, lambda number: _call(it, number, random.Random(f"{seed} {number}"), tally))
            wrong = list(_miscounted(it, told, tally))
            assert not wrong, "\n".join(wrong[:20])
    return tally


async def outage(calls: int, way: str, *, alone: bool) -> tuple[int, int]:
    """Of so many calls during a full outage how many its provider had been asked for, and how many requests it saw.

    `alone`: no other model may serve them.
    """
    tags = {"data_tags": ALONE} if alone else {}
    async with stage(DIALECTS, Error(503), slept=True) as it:

        async def call(_: int) -> None:
            ended = await it.ask(way, **tags)
            assert isinstance(ended.error, CallError) if alone else ended.reply

        await _all(calls, call)
        return calls, it.counts[0]


async def _all(calls: int, call: Callable[[int], Any]) -> None:
    numbers = iter(range(calls))

    async def caller() -> None:
        for number in numbers:
            await call(number)

    async with asyncio.TaskGroup() as callers:
        for _ in range(AT_ONCE):
            callers.create_task(caller())


async def _call(it: Stage, number: int, draw: random.Random, tally: Tally) -> None:
    """One call in either way; a few have little time, a few are left by whoever made them."""
    options = {"step": f"call{number}", "deadline": 0.3} if draw.random() < 0.03 else {"step": f"call{number}"}
    asked = asyncio.ensure_future(it.ask(draw.choice(WAYS), **options))
    if draw.random() < 0.03:
        asyncio.get_running_loop().call_later(draw.random() * SILENT, asked.cancel)
    await asyncio.wait((asked,))
    if asked.cancelled():
        tally.ends["cancelled"] += 1
    else:
        tally.ends[_end(asked.result())] += 1


def _end(ended: Ended) -> str:
    """The kind of the end, which must be a whole reply or a typed error."""
    if ended.reply is None:
        assert isinstance(ended.error, CallError), repr(ended.error)
        return type(ended.error).__name__
    assert ended.reply.text == SAID, f"a truncated success: {ended.reply.text!r}"
    assert "".join(ended.texts) in ("", SAID)
    return "answered"


def _miscounted(it: Stage, told: Told, tally: Tally) -> Iterator[str]:
    """Attempts whose reported cost is not what the provider's reported usage costs, to the last digit."""
    attempts, usages = it.attempts, dict(told.usages)
    for one in (one for one in attempts if one.usage):
        if usages.pop((one.model, one.usage.input), None) != one.usage.output:
            yield f"{one.step}: {one.model} never reported {one.usage}, or was charged for it before"
        charged = one.usage.input * PRICES[one.model][0] + one.usage.output * PRICES[one.model][1]
        if one.cost.estimated or one.cost.usd != charged / 1e6:
            yield f"{one.step}: {one.usage} at {one.model} was charged as {one.cost}"
    (period,) = it.app.engine.dispatcher._means.caps._books[0].periods.values()
    (account,) = period.accounts.values()
    tally.usd = sum(one.cost.usd or 0.0 for one in attempts)
    if abs(account.spent - tally.usd) > 1e-9:
        yield f"the budget has spent ${account.spent}, its attempts cost ${tally.usd}"
    tally.requests, tally.unsent = len(it.requests), sum(one.sent == "no" for one in attempts)


@contextmanager
def _closed_port() -> Iterator[int]:
    """A port where nobody listens, kept from others."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]
