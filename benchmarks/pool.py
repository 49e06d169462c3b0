"""Which target of a model gets a call: prompt-cache hits and balance, ours beside the simpler ways, simulated.

    python benchmarks/pool.py

Conversations arrive at random, begin with one of some system prompts (Zipf), and grow turn by turn. Each target keeps
what it has read for five minutes. It reads what is not cached at 8,000 tokens a second, one prompt after the other,
and writes for about 4 s. `cached` is the share of input tokens found warm, `first` the mean seconds to the first token,
`peak` the calls in flight at the busiest target over the mean, averaged over the time in which there are enough of them
for all. 95 % intervals over seeds. Nothing here is timed but the last line: the figures are the same on every machine.
"""

from __future__ import annotations

import random
import statistics
import timeit
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple, TypeAlias

from orchestra.dispatch.affinity import Sessions
from orchestra.dispatch.pool import pick
from orchestra.dispatch.target import Target

SEEDS, STUDENT = range(5), 2.776  # Student's t for four degrees of freedom
LIFE, READ, WRITE = 300.0, 8_000, 4.0  # seconds in the cache, tokens a second, seconds
DURATION = 900.0


@dataclass(frozen=True, slots=True)
class Workload:
    """Conversations a second, how many system prompts they share, and turns each; `alike`: all are one and the same."""

    rate: float
    prompts: int = 12
    turns: float = 6.0
    skew: float = 1.0
    targets: int = 4
    alike: bool = False


class Turn(NamedTuple):
    """A call to come: its system prompt, its conversation, its length, and how many turns follow."""

    prompt: int
    shared: int
    conversation: int
    tokens: int
    left: int


class Moment(NamedTuple):
    """What a picker may look at."""

    pool: Sequence[Target]
    load: Callable[[Target], int]
    turn: Turn
    draw: float


Picker: TypeAlias = Callable[[Moment], Target]


class Replica:
    """A target's server: its cache and its queue of prompts to read."""

    def __init__(self) -> None:
        self.load = self._busy = 0.0
        self._cache: dict[str, tuple[int, float]] = {}

    def take(self, turn: Turn, now: float) -> tuple[int, float]:
        """The tokens found warm, and the seconds to the first token."""
        names = {f"prompt {turn.prompt}": turn.shared, f"conversation {turn.conversation}": turn.tokens}
        warm = max(self._warm(name, length, now) for name, length in names.items())
        self._cache |= {name: (length, now) for name, length in names.items()}
        self._busy = max(now, self._busy) + (turn.tokens - warm) / READ
        return warm, self._busy - now

    def _warm(self, name: str, length: int, now: float) -> int:
        kept, since = self._cache.get(name, (0, now))
        return min(kept, length) if now - since < LIFE else 0


def simulate(work: Workload, picker: Picker, seed: int) -> tuple[float, float, float]:
    """Cached share of input tokens, mean seconds to the first token, calls at the busiest target over the mean."""
    draw, order = random.Random(seed), count()
    replicas = {Target("model", "lab", f"KEY_{number}"): Replica() for number in range(work.targets)}
    pool = tuple(replicas)
    coming: list[tuple[float, int, Turn, Target | None]] = []
    for when, first in _arrivals(work, draw):
        heappush(coming, (when, next(order), first, None))
    read = warm = last = crowded = peaks = 0.0
    waits: list[float] = []
    while coming:
        now, _, turn, target = heappop(coming)
        loads = [replica.load for replica in replicas.values()]
        if sum(loads) >= len(pool) and now < DURATION:
            peaks += (now - last) * max(loads) / statistics.fmean(loads)
            crowded += now - last
        last = now
        if target is not None:  # a call has ended
            replicas[target].load -= 1
            if turn.left:
                longer = turn._replace(tokens=turn.tokens + draw.randint(300, 1_500), left=turn.left - 1)
                heappush(coming, (now + draw.expovariate(0.1), next(order), longer, None))
            continue
        target = picker(Moment(pool, lambda one: int(replicas[one].load), turn, draw.random()))
        found, wait = replicas[target].take(turn, now)
        replicas[target].load += 1
        read, warm = read + turn.tokens, warm + found
        waits.append(wait)
        heappush(coming, (now + wait + draw.lognormvariate(0, 0.6) * WRITE, next(order), turn, target))
    return warm / read, statistics.fmean(waits), peaks / crowded if crowded else 1.0


def _arrivals(work: Workload, draw: random.Random) -> Iterator[tuple[float, Turn]]:
    lengths = [draw.randint(1_000, 8_000) for _ in range(work.prompts)]
    popular = [1 / (place + 1) ** work.skew for place in range(work.prompts)]
    now, conversations = 0.0, count()
    while (now := now + draw.expovariate(work.rate)) < DURATION:
        prompt = draw.choices(range(work.prompts), popular)[0]
        conversation = 0 if work.alike else next(conversations)
        tokens = lengths[prompt] + draw.randint(100, 1_000)
        left = int(draw.expovariate(1 / (work.turns - 1))) if work.turns > 1 else 0
        yield now, Turn(prompt, lengths[prompt], conversation, tokens, left)


def round_robin() -> Picker:
    """One after the other."""
    turns = count()
    return lambda now: now.pool[next(turns) % len(now.pool)]


def least_loaded() -> Picker:
    """Ours without affinity."""
    return _picked


def consistent() -> Picker:
    """Plain consistent hashing of the system prompt: ours, were no target ever full."""
    return lambda now: _picked(now._replace(load=lambda _: 0), affinity=str(now.turn.prompt))


def bounded() -> Picker:
    """Consistent hashing with bounded loads, of the system prompt."""
    return lambda now: _picked(now, affinity=str(now.turn.prompt))


def sessions() -> Picker:
    """Conversations stay where they are, new ones go to the least loaded; no bound."""
    last: dict[int, Target] = {}
    return lambda now: last.setdefault(now.turn.conversation, _picked(now))


def ours() -> Picker:
    """Conversations stay, new ones go where their system prompt is; both bounded."""
    known = Sessions()

    def picker(now: Moment) -> Target:
        name = now.turn.conversation
        target = _picked(now, affinity=str(now.turn.prompt), sticky=known.last(name, "model"))
        known.keep(name, target)
        return target

    return picker


def weighted_least(now: Moment) -> Target:
    """The least calls per weight, as load balancers have it."""
    return min(now.pool, key=lambda target: (now.load(target) + 1) / target.weight)


def _picked(now: Moment, affinity: str = "", sticky: Target | None = None) -> Target:
    target = pick([(one, now.load(one)) for one in now.pool], affinity=affinity, sticky=sticky, draw=now.draw)
    assert target is not None
    return target


WORKLOADS = {
    "agents: 12 prompts, 6 turns": Workload(1.0),
    "light: one call in 3 s": Workload(0.05),
    "a hot prompt, 8 targets": Workload(1.0, skew=1.3, targets=8),
    "200 prompts, 6 turns": Workload(1.0, prompts=200, skew=0.8),
    "200 prompts, 1 turn": Workload(3.0, prompts=200, skew=0.8, turns=1),
    "one conversation, 3 a second": Workload(3.0, prompts=1, turns=1, alike=True),
}
PICKERS: dict[str, Callable[[], Picker]] = {
    "round robin": round_robin,
    "least loaded": least_loaded,
    "consistent hashing": consistent,
    "... with bounded loads": bounded,
    "sessions, least loaded": sessions,
    "ours": ours,
}


def canary(in_flight: int, picker: Picker) -> float:
    """The share of calls that a key of weight 0.1 gets beside one of weight 1."""
    draw, pool = random.Random(1), (Target("model", "lab", "OLD"), Target("model", "lab", "NEW", weight=0.1))
    load, flying, calls = dict.fromkeys(pool, 0), list[Target](), 0
    for number in range(10_000):
        target = picker(Moment(pool, load.__getitem__, Turn(0, 0, number, 0, 0), draw.random()))
        calls += target is pool[1]
        load[target] += 1
        flying.append(target)
        if len(flying) > in_flight:
            load[flying.pop(draw.randrange(len(flying)))] -= 1
    return calls / 10_000


def main() -> None:
    """Print a table for each workload, the canary's share, and the time of one pick."""
    for title, work in WORKLOADS.items():
        print(f"\n{title:30}{'cached %':>16}{'first, s':>18}{'peak':>18}")
        for name, make in PICKERS.items():
            cached, first, peak = zip(*(simulate(work, make(), seed) for seed in SEEDS), strict=True)
            print(f"{name:30}{_interval([100 * one for one in cached], 1):>16}", end="")
            print(f"{_interval(first, 3):>18}{_interval(peak, 2):>18}")
    print(f"\n{'share of a canary, wanted 9.1 %':32}{'ours':>10}{'weighted least loaded':>24}")
    for in_flight in (0, 2, 8, 64):
        row = canary(in_flight, ours()), canary(in_flight, weighted_least)
        print(f"{in_flight:>4} in flight{'':18}{row[0]:>9.1%}{row[1]:>22.1%}")
    pool = tuple(Target("model", "lab", f"KEY_{number}") for number in range(4))
    now = Moment(pool, lambda _: 1, Turn(0, 0, 0, 0, 0), 0.5)
    seconds = min(timeit.repeat(lambda: _picked(now, "prompt", pool[0]), number=5_000, repeat=5))
    print(f"\nµs per pick of four targets: {seconds / 5_000 * 1e6:.1f}")


def _interval(values: Sequence[float], digits: int) -> str:
    half = STUDENT * statistics.stdev(values) / len(values) ** 0.5
    return f"{statistics.fmean(values):.{digits}f} ± {half:.{digits}f}"


if __name__ == "__main__":
    main()
