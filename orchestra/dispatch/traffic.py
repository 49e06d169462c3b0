"""Traffic: what one process knows of the targets it sends to, and which of them an attempt goes to."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from orchestra.dialects import RateLimit
from orchestra.dispatch.affinity import Sessions, affinity
from orchestra.dispatch.breaker import Breaker, BreakerState
from orchestra.dispatch.health import Health
from orchestra.dispatch.line import Line
from orchestra.dispatch.pool import least_bad, pick
from orchestra.dispatch.rates import Hold, RateLimiter, RateRules
from orchestra.dispatch.retry_budget import RetryBudget
from orchestra.dispatch.target import Target, served, targets
from orchestra.fleet import Fleet, ProviderLimits
from orchestra.ledger import BreakerChanged
from orchestra.types import CallFault, Fault, ModelCard, ModelReply, Request, Trigger

Account: TypeAlias = tuple[str, str | Target]

DEAD = 300.0
"""Seconds for which a key that was refused is not tried while there is anything else."""

_REFUSED = frozenset({Trigger.auth, Trigger.quota})


@dataclass(frozen=True, slots=True)
class Way:
    """Where an attempt goes: the target, the card as it is served there, the conversation it belongs to.

    `forced`: nothing of the model was open, and nothing else was left to ask.
    """

    target: Target
    card: ModelCard
    conversation: str = ""
    forced: bool = False


@dataclass(slots=True)
class Rate:
    """The rate limits of one key, and the line of those who wait for them."""

    limiter: RateLimiter
    line: Line = field(default_factory=lambda: Line(1))


class Traffic:
    """Breakers, health, dead keys, rate limits and retry budgets of a fleet's targets; threads may share it.

    `clock` is in seconds, `draw` gives a random number in [0, 1).
    """

    def __init__(self, fleet: Fleet, clock: Callable[[], float], draw: Callable[[], float]) -> None:
        self._fleet, self._clock, self._draw = fleet, clock, draw
        self._served = {name: served(card) for name, card in fleet.models.items()}
        self._lanes: dict[Target, _Lane] = {}
        self._rates: dict[tuple[str, str], Rate] = {}
        self._budgets: dict[str, RetryBudget] = {}
        self._dead: dict[Account, float] = {}  # until when
        self._sessions = Sessions()
        self._lock = threading.Lock()

    def way(
        self,
        card: ModelCard,
        request: Request,
        *,
        tags: Iterable[str] = (),
        avoid: Collection[Target] = (),
        stay: Target | None = None,
        forced: bool = False,
    ) -> Way | CallFault:
        """Where a request to this model goes now, or why it goes nowhere; `forced`: to the least bad of what is closed.

        Only places that carry all data `tags` are considered, and none of those to `avoid`. It stays where it is sent
        again (`stay`) or where its conversation was, as long as that is open.
        """
        ways = [one for one in targets(card, tags) if one not in avoid]
        now = self._clock()
        with self._lock:
            name = affinity(request) if len(ways) > 1 else None
            found = pick(
                ways,
                load=lambda one: self._lane(one).calls,
                wait=lambda one: self._wait(one, now),
                affinity=name.prefix if name else "",
                sticky=stay or (self._sessions.last(name.conversation, card.name) if name else None),
                draw=self._draw() if name else 0.0,
            )
            if closed := found is None:
                found = least_bad(ways, wait=lambda one: self._wait(one, now)) if forced else None
            if found is None:
                return self._closed(card, ways, now)
        return Way(found, self._served[card.name][found], name.conversation if name else "", closed)

    def enter(self, way: Way) -> Pass:
        """An attempt goes out there; to be told how it ended by `leave`."""
        with self._lock:
            lane = self._lane(way.target)
            lane.calls += 1
            return Pass(way, lane.breaker.enter(self._clock()))

    def leave(
        self, passed: Pass, result: ModelReply | CallFault | None, seconds: float, first_token: float | None
    ) -> BreakerChanged | None:
        """What came of an attempt (None: it was cancelled); the breaker's change, where that made it change."""
        now, way = self._clock(), passed.way
        fault = result if isinstance(result, CallFault) else None
        with self._lock:
            lane = self._lane(way.target)
            lane.calls -= 1
            state = lane.breaker.leave(
                now,
                passed.entered,
                failed=None if result is None else _counts(fault),
                seconds=seconds,
                retry_after=fault.retry_after if fault else None,
            )
            if result is not None:
                usage = result.usage if isinstance(result, ModelReply) else None
                lane.health.record(
                    now,
                    trigger=fault.trigger if fault else None,
                    seconds=seconds,
                    first_token=first_token,
                    output_tokens=usage.output if usage else None,
                )
            if fault and fault.trigger in _REFUSED and fault.sent == "yes":
                self._dead[_account(way.target)] = now + DEAD
            if isinstance(result, ModelReply):
                self._dead.pop(_account(way.target), None)
                if way.conversation:
                    self._sessions.keep(way.conversation, way.target)
            if state is None:
                return None
            return _changed(way.target, state, lane.breaker.wait(now), fault)

    def judged(self, way: Way, *, accepted: bool) -> None:
        """The checks have said whether the reply may be used."""
        with self._lock:
            self._lane(way.target).health.judged(self._clock(), accepted=accepted)

    def rate(self, target: Target) -> Rate | None:
        """The rate limits of the target's key; None where nothing limits it: a model of one's own."""
        if target.provider == "local":
            return None
        with self._lock:
            key = target.provider, target.key
            if key not in self._rates:
                self._rates[key] = Rate(RateLimiter(RateRules.of(self._limits(target.provider))))
            return self._rates[key]

    def corrected(self, target: Target, limits: Iterable[RateLimit], hold: Hold | None) -> None:
        """What a reply's headers say is left of the key's limits."""
        if rate := self.rate(target):
            rate.limiter.correct(self._clock(), limits, hold=hold)

    def first(self, provider: str) -> None:
        """A first attempt is made: it earns a share of a retry."""
        with self._lock:
            self._budget(provider).earn()

    def may_retry(self, provider: str) -> bool:
        """Whether this provider can be asked once more for what has failed there, and take it into account."""
        with self._lock:
            return self._budget(provider).spend(self._clock())

    def soonest(self, names: Iterable[str]) -> str | None:
        """Of models that are closed the one that may be asked soonest; the first of equals."""
        now = self._clock()
        with self._lock:
            waits = {name: min(self._wait(one, now) for one in self._served[name]) for name in names}
        return min(waits, key=waits.__getitem__, default=None)

    def health(self) -> Mapping[str, float]:
        """What was measured, by model: of its best target, in [0, 1]; 0 where none is open. The rest is in health."""
        now = self._clock()
        scores: dict[str, float] = {}
        with self._lock:
            for target, lane in self._lanes.items():
                score = 0.0 if self._wait(target, now) else lane.health.score(now)
                scores[target.model] = max(score, scores.get(target.model, 0.0))
            untried = {name for name in scores if any(one not in self._lanes for one in self._served[name])}
        return {name: score for name, score in scores.items() if score < 1.0 and name not in untried}

    def _lane(self, target: Target) -> _Lane:
        lane = self._lanes.get(target)
        if lane is None:
            lane = self._lanes[target] = _Lane(Breaker(self._limits(target.provider).breaker))
        return lane

    def _limits(self, provider: str) -> ProviderLimits:
        return self._fleet.providers.get(provider) or ProviderLimits(provider)

    def _budget(self, provider: str) -> RetryBudget:
        return self._budgets.setdefault(provider, RetryBudget())

    def _wait(self, target: Target, now: float) -> float:
        lane = self._lanes.get(target)
        dead = self._dead.get(_account(target), -math.inf) - now
        return max(0.0, dead, lane.breaker.wait(now) if lane else 0.0)

    def _closed(self, card: ModelCard, ways: Iterable[Target], now: float) -> CallFault:
        waits = {one: self._wait(one, now) for one in ways}
        dead = waits and all(self._dead.get(_account(one), now) > now for one in waits)
        told = "; ".join(f"{one}: for {seconds:.3g} s more" for one, seconds in waits.items())
        text = f"{card.name} is left alone after its failures ({told})" if told else f"no other way to {card.name}"
        retry_after = min(waits.values(), default=None)
        return CallFault(Trigger.auth if dead else Trigger.overloaded, text, sent="no", retry_after=retry_after)


@dataclass(frozen=True, slots=True)
class Pass:
    """An attempt under way; `entered` is what its breaker gave it."""

    way: Way
    entered: int


@dataclass(slots=True)
class _Lane:
    breaker: Breaker
    health: Health = field(default_factory=Health)
    calls: int = 0  # in flight


def _account(target: Target) -> Account:
    """Whose key it is; servers without keys have nothing in common."""
    return target.provider, target.key or target


def _counts(fault: CallFault | None) -> bool | None:
    """Whether a breaker counts it as a failure: a key's own troubles say nothing of the target's."""
    if fault is None:
        return False
    if fault.trigger.fault is not Fault.provider or fault.trigger in _REFUSED:
        return None
    return True


def _changed(target: Target, state: BreakerState, wait: float, fault: CallFault | None) -> BreakerChanged:
    reason = f"{fault.trigger}: {fault.text}" if fault else "its probes succeeded" if state == "closed" else "slow"
    return BreakerChanged(
        model=target.model,
        state=state,
        wait=wait,
        reason=reason[:300],
        provider=target.provider,
        key=target.key,
        place=target.place,
    )
