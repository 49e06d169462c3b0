"""Breaker, retry budget and health against simpler ones and none, while a provider is out, flaps, crawls or babbles.

    python benchmarks/traffic.py

A simulation, no request is sent: calls arrive at random, two a second, and are routed to a cheap model `a` or to `b`,
which costs 1.4 times as much and is never ill. From second 120 to 300 of 600 something is wrong with `a`. Each row is a
mean over seeds with its 95 % interval:

- served: calls that came to a usable reply within the deadline, in percent
- seconds: until then, in the mean
- load: requests that `a` saw while it was ill, for each call that arrived then
- on a: calls that `a` served while it was well, in percent: what false alarms and long memories cost

The simpler breaker opens for 30 s after five failures in a row; the simpler health is the error rate of 300 s.
"""

from __future__ import annotations

import math
import random
import statistics
import time
import timeit
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from itertools import count
from typing import Protocol

from orchestra.dispatch.backoff import backoff
from orchestra.dispatch.breaker import Breaker, BreakerPolicy
from orchestra.dispatch.health import Health
from orchestra.dispatch.retry_budget import RetryBudget
from orchestra.dispatch.traffic import Traffic, Way
from orchestra.dispatch.window import Window
from orchestra.fleet import Fleet, ProviderLimits
from orchestra.routing import decide
from orchestra.types import (
    Message,
    ModelCard,
    ModelReply,
    Price,
    Request,
    Settings,
    Step,
    StepContext,
    Trigger,
    Usage,
)

SEEDS = 10
RATE = 2.0  # calls a second
ENDS, ILL_FROM, ILL_TO = 600.0, 120.0, 300.0  # seconds
SETTLED = ILL_TO + 60.0  # from when `a` should serve again
DEADLINE = 30.0
RETRIES = 2  # of the same model, before the other one is asked

CARD = ModelCard("a", "a", "p", "openai-chat", "efficient", price=Price(0.5, 1.0))
FLEET = Fleet.from_cards([CARD, replace(CARD, name="b", provider="q", price=Price(0.7, 1.4))])
CONTEXT = StepContext(Step("s"), tokens=1_000, output_tokens=200)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a request comes to: a provider's fault, a refused reply, or a reply, perhaps `worthless` though accepted."""

    seconds: float
    failed: bool = False
    accepted: bool = True
    tokens: int = 200
    worthless: bool = False


def well(draw: random.Random) -> Reply:
    """A model as it usually is: 1 % of requests fail, 5 % of replies are refused, the median takes 1.5 s."""
    if draw.random() < 0.01:
        return Reply(0.2, failed=True)
    seconds = draw.lognormvariate(0.4, 0.5)
    return Reply(seconds, accepted=draw.random() > 0.05, tokens=int(draw.lognormvariate(5.0, 0.8)))


def out(draw: random.Random) -> Reply:
    """Server errors at once."""
    return Reply(draw.uniform(0.05, 0.3), failed=True)


ILLNESSES: dict[str, Callable[[random.Random, float], Reply]] = {
    "well all the time": lambda draw, _: well(draw),
    "errors at once": lambda draw, _: out(draw),
    "silent, timeout of 8 s": lambda _, __: Reply(8.0, failed=True),
    "flaps every 20 s": lambda draw, now: out(draw) if now % 40 < 20 else well(draw),
    "30 % fail": lambda draw, _: out(draw) if draw.random() < 0.3 else well(draw),
    "six times as slow": lambda draw, _: replace(well(draw), seconds=min(8.0, 6 * draw.lognormvariate(0.4, 0.5))),
    "jitter": lambda draw, _: replace(well(draw), seconds=min(8.0, draw.lognormvariate(0.4, 1.5))),
    "80 % refused": lambda draw, _: replace(well(draw), accepted=draw.random() < 0.2),
    "nonsense, unchecked": lambda draw, _: replace(well(draw), tokens=draw.randint(1, 3), worthless=True),
}


class AnyBreaker(Protocol):
    """A breaker as the simulation uses one."""

    def enter(self, now: float) -> int:
        """A pass, or 0."""
        ...

    def leave(self, now: float, entered: int, *, failed: bool, seconds: float) -> object:
        """What came of it."""
        ...


class SimpleBreaker:
    """The simplest one: five failures in a row, half a minute, no probes."""

    def __init__(self) -> None:
        self.until, self.row = 0.0, 0

    def enter(self, now: float) -> int:
        """1 while it is closed."""
        return int(now >= self.until)

    def leave(self, now: float, entered: int, *, failed: bool, seconds: float) -> None:  # noqa: ARG002  # as Breaker's
        """Count."""
        self.row = self.row + 1 if failed else 0
        if self.row >= 5:
            self.until, self.row = now + 30.0, 0


class ErrorRate:
    """The simplest health: the share of calls that did not fail in 300 s."""

    def __init__(self) -> None:
        self.window = Window(300.0, 2)

    def record(self, now: float, *, trigger: Trigger | None, **_: object) -> None:
        """Count."""
        self.window.add(now, 1, trigger is not None)

    def judged(self, now: float, *, accepted: bool) -> None:
        """Of no interest."""

    def score(self, now: float) -> float:
        """1.0 without calls."""
        calls, failed = self.window.sums(now)
        return 1.0 - failed / max(1, calls)


@dataclass(frozen=True, slots=True)
class Means:
    """Which mechanisms are at work."""

    breaker: Callable[[], AnyBreaker] | None = None
    budget: Callable[[], RetryBudget] | None = None
    health: Callable[[], Health | ErrorRate] | None = None


def ours() -> Breaker:
    """The breaker of a provider that fleet.toml says nothing of."""
    return Breaker(BreakerPolicy())


ROWS = {
    "plain retries": Means(),
    "retry budget": Means(budget=RetryBudget),
    "simpler breaker": Means(SimpleBreaker),
    "breaker": Means(ours),
    "breaker, budget": Means(ours, RetryBudget),
    "…, error rate": Means(ours, RetryBudget, ErrorRate),
    "…, health": Means(ours, RetryBudget, Health),
}


class Provider:
    """A model with what is held about it."""

    def __init__(self, means: Means, ill: Callable[[random.Random, float], Reply] | None) -> None:
        self.ill = ill
        self.breaker = means.breaker() if means.breaker else None
        self.budget = means.budget() if means.budget else None
        self.health = means.health() if means.health else None
        self.requests_while_ill = 0

    def reply(self, draw: random.Random, now: float) -> Reply:
        """What comes of a request that is sent now."""
        if self.ill is None or not ILL_FROM <= now < ILL_TO:
            return well(draw)
        self.requests_while_ill += 1
        return self.ill(draw, now)

    def learn(self, now: float, reply: Reply, entered: int) -> None:
        """Tell everybody what came of a request."""
        if self.breaker:
            self.breaker.leave(now, entered, failed=reply.failed, seconds=reply.seconds)
        if self.health:
            trigger, tokens = (Trigger.server_error, None) if reply.failed else (None, reply.tokens)
            times = {"seconds": reply.seconds, "first_token": reply.seconds}
            self.health.record(now, trigger=trigger, output_tokens=tokens, **times)
            if not reply.failed:
                self.health.judged(now, accepted=reply.accepted)


@dataclass(slots=True)
class Call:
    """A call on its way: the models it may still ask, the first of them `retries` times already."""

    began: float
    models: list[str]
    retries: int = 0


@dataclass(slots=True)
class Counts:
    """What is counted."""

    calls: int = 0
    while_ill: int = 0
    while_well: int = 0
    on_a: int = 0
    seconds: list[float] = field(default_factory=list[float])


class Simulation:
    """One seed: events on a heap, each a time and what happens then."""

    def __init__(self, means: Means, illness: str, seed: int) -> None:
        self.draw = random.Random(seed)
        self.providers = {"a": Provider(means, ILLNESSES[illness]), "b": Provider(means, None)}
        self.events: list[tuple[float, int, Callable[[float], None]]] = []
        self.order = count()
        self.counts = Counts()

    def run(self) -> tuple[float, float, float, float]:
        """Served in percent, seconds, load, on a in percent."""
        self.at(0.0, self.arrive)
        while self.events:
            now, _, happens = heappop(self.events)
            happens(now)
        counts, load = self.counts, self.providers["a"].requests_while_ill
        served = 100 * len(counts.seconds) / counts.calls
        return (
            served,
            statistics.fmean(counts.seconds),
            load / counts.while_ill,
            100 * counts.on_a / counts.while_well,
        )

    def at(self, now: float, happens: Callable[[float], None]) -> None:
        """Let it happen then."""
        heappush(self.events, (now, next(self.order), happens))

    def arrive(self, now: float) -> None:
        """A call comes; the next one will."""
        if now >= ENDS:
            return
        self.at(now + self.draw.expovariate(RATE), self.arrive)
        self.counts.calls += 1
        self.counts.while_ill += ILL_FROM <= now < ILL_TO
        self.counts.while_well += _well_at(now)
        measured = {name: one.health.score(now) for name, one in self.providers.items() if one.health}
        decision = decide(FLEET, (), CONTEXT, health=measured)
        self.attempt(now, Call(now, [decision.model, *decision.siblings]))

    def attempt(self, now: float, call: Call) -> None:
        """Ask the first of the call's models, unless its breaker is open and there is another."""
        if now >= call.began + DEADLINE or not call.models:
            return
        provider = self.providers[call.models[0]]
        entered = provider.breaker.enter(now) if provider.breaker else 1
        if not entered and len(call.models) > 1:
            self.sideways(now, call)
            return
        if not call.retries and provider.budget:
            provider.budget.earn()
        reply = provider.reply(self.draw, now)
        self.at(now + reply.seconds, lambda then: self.end(then, call, reply, entered))

    def end(self, now: float, call: Call, reply: Reply, entered: int) -> None:
        """The request has ended."""
        provider = self.providers[call.models[0]]
        provider.learn(now, reply, entered)
        if reply.failed or not reply.accepted:
            self.recover(now, call, provider, failed=reply.failed)
        elif now < call.began + DEADLINE and not reply.worthless:
            self.counts.seconds.append(now - call.began)
            self.counts.on_a += _well_at(call.began) and call.models[0] == "a"

    def recover(self, now: float, call: Call, provider: Provider, *, failed: bool) -> None:
        """A provider's fault: again after a wait; a refused reply: once again at once. Then sideways."""
        again = call.retries < (RETRIES if failed else 1)
        if again and failed and provider.budget:
            again = provider.budget.spend(now)
        if not again:
            self.sideways(now, call)
            return
        call.retries += 1
        wait = backoff(call.retries, None, self.draw.random()) if failed else 0.0
        self.at(now + wait, lambda then: self.attempt(then, call))

    def sideways(self, now: float, call: Call) -> None:
        """Ask the next model."""
        call.models, call.retries = call.models[1:], 0
        self.attempt(now, call)


def _well_at(now: float) -> bool:
    return now < ILL_FROM or now >= SETTLED


def alone(budget: RetryBudget | None, seed: int) -> float:
    """Percent of the calls served that a lone user makes every 20 s to the one model there is, of which 30 % fail."""
    draw, served, calls = random.Random(seed), 0, 500
    for number in range(calls):
        now = 20.0 * number
        if budget:
            budget.earn()
        for _ in range(1 + RETRIES):
            if draw.random() > 0.3:
                served += 1
                break
            if budget and not budget.spend(now):
                break
    return 100 * served / calls


def main() -> None:
    """Print a block per illness, the lone user, and what the mechanisms cost."""
    for illness in ILLNESSES:
        print(f"{illness:24}{'served %':>15}{'seconds':>15}{'load':>15}{'on a %':>15}")
        for name, means in ROWS.items():
            columns = zip(*(Simulation(means, illness, seed).run() for seed in range(SEEDS)), strict=True)
            print(f"  {name:22}" + "".join(f"{_interval(column):>15}" for column in columns))
    print(f"\n{'a lone user, 30 % fail':24}{'served %':>15}")
    for name, make in _BUDGETS.items():
        print(f"  {name:22}{_interval(tuple(alone(make(), seed) for seed in range(SEEDS))):>15}")
    print(f"\n{'µs CPU':24}")
    for name, cost in _costs():
        print(f"  {name:22}{cost:15.2f}")


_BUDGETS: dict[str, Callable[[], RetryBudget | None]] = {
    "plain retries": lambda: None,
    "a share of calls only": lambda: RetryBudget(per_second=0.0),
    "retry budget": RetryBudget,
}


def _interval(values: tuple[float, ...]) -> str:
    """Mean and half the width of its 95 % interval."""
    return f"{statistics.fmean(values):.2f} ±{1.96 * statistics.stdev(values) / math.sqrt(len(values)):.2f}"


def _costs() -> Iterator[tuple[str, float]]:
    breaker, budget, health = Breaker(BreakerPolicy()), RetryBudget(), Health()
    clock = count()

    def pass_through() -> None:
        now = next(clock) / 64  # 64 calls a second
        breaker.leave(now, breaker.enter(now), failed=False, seconds=1.0)

    def retry() -> None:
        budget.earn()
        budget.spend(next(clock) / 64)

    def learn() -> None:
        now = next(clock) / 64
        health.record(now, trigger=None, seconds=1.0, first_token=0.3, output_tokens=100)
        health.judged(now, accepted=True)
        health.score(now)

    yield "breaker, one call", _microseconds(pass_through)
    yield "budget, one retry", _microseconds(retry)
    yield "health, one call", _microseconds(learn)
    yield "one target, one call", _microseconds(_attempt(1))
    yield "four keys, one call", _microseconds(_attempt(4))
    measured = {"a": 0.9, "b": 1.0}
    yield "decision, 2 models", _microseconds(lambda: decide(FLEET, (), CONTEXT))
    yield "the same with health", _microseconds(lambda: decide(FLEET, (), CONTEXT, health=measured))


def _attempt(keys: int) -> Callable[[], None]:
    """All that an attempt asks of Traffic: picker, limiter, breaker, health; with rules for requests and tokens."""
    card = replace(CARD, keys=tuple(f"env:{number}" for number in range(keys)))
    limits = ProviderLimits("p", requests_per_minute=10_000, tokens_per_minute=10_000_000)
    fleet, clock, draw = replace(Fleet.from_cards([card]), providers={"p": limits}), count(), random.Random(0)
    traffic = Traffic(fleet, lambda: next(clock) / 512, draw.random, lambda _: True, lambda *_: False)
    request = Request((Message.user("Sum up this contract."),), settings=Settings(max_tokens=200))
    reply = ModelReply((), "stop", usage=Usage(20, 150))

    def attempt() -> None:
        way = traffic.way(card, request)
        assert isinstance(way, Way)
        rate, now = way.lane.key.rate, next(clock) / 512
        assert rate is not None
        hold = rate.limiter.at_once(now, rate.tokens(request, now))
        assert hold is not None
        passed = traffic.enter(way)
        assert passed is not None
        rate.limiter.settle(hold, next(clock) / 512, 170)
        traffic.leave(way, passed, reply, 1.0, 0.3)
        traffic.judged(way, accepted=True)

    return attempt


def _microseconds(work: Callable[[], object], number: int = 1_000, rounds: int = 30) -> float:
    return min(timeit.repeat(work, timer=time.process_time, number=number, repeat=rounds)) / number * 1e6


if __name__ == "__main__":
    main()
