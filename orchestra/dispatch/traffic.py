"""Traffic: what one process knows of the targets it sends to, and which of them an attempt goes to."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from orchestra.dialects import RateLimit
from orchestra.dispatch.affinity import Affinity, Sessions, affinity
from orchestra.dispatch.breaker import Breaker
from orchestra.dispatch.lane import REFUSED, Lane
from orchestra.dispatch.line import Line
from orchestra.dispatch.pool import least_bad, pick
from orchestra.dispatch.rates import Hold, RateLimiter, RateRules
from orchestra.dispatch.retry_budget import RetryBudget
from orchestra.dispatch.target import Target, served, targets
from orchestra.fleet import Fleet, ProviderLimits, message_tokens
from orchestra.ledger import BreakerChanged
from orchestra.types import CallFault, ModelCard, ModelReply, Request, Trigger

Key: TypeAlias = tuple[str, str]
"""A provider and the name of one of its keys."""

DEAD = 300.0
"""Seconds for which a key that was refused is not tried while there is anything else."""


@dataclass(frozen=True, slots=True)
class Way:
    """Where an attempt goes: the target, the card as it is served there, the conversation it belongs to.

    `forced`: nothing of the model was open, and nothing else was left to ask.
    """

    target: Target
    card: ModelCard
    conversation: str = ""
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Pass:
    """An attempt under way; `entered` is what its breaker gave it."""

    way: Way
    entered: int


@dataclass(slots=True)
class Rate:
    """The rate limits of one key, and the line of those who wait for them."""

    limiter: RateLimiter
    line: Line = field(default_factory=lambda: Line(1))

    def tokens(self, request: Request, now: float) -> int:
        """About what the provider counts against its limits; what it really took is settled afterwards."""
        if not self.limiter.counts_tokens(now):
            return 0
        return message_tokens(request.messages, request.tools) + (request.settings.max_tokens or 0)


class Traffic:
    """Breakers, health, dead keys, rate limits and retry budgets of a fleet's targets; threads may share it.

    `clock` is in seconds, `draw` gives a random number in [0, 1). `ready` says whether a card can be asked as it is
    served at one target: whether its key is set.
    """

    def __init__(
        self,
        fleet: Fleet,
        clock: Callable[[], float],
        draw: Callable[[], float],
        ready: Callable[[ModelCard], bool],
    ) -> None:
        self._fleet, self._clock, self._draw, self._ready = fleet, clock, draw, ready
        self._served = {name: served(card) for name, card in fleet.models.items()}
        self._lanes: dict[Target, Lane] = {}
        self._rates: dict[Key, Rate] = {}
        self._budgets: dict[str, RetryBudget] = {}
        self._dead: dict[Target | Key, float] = {}  # until when
        self._paused: dict[Target, float] = {}  # until when, as its provider asked
        self._sessions = Sessions()
        self._lock = threading.Lock()

    def way(
        self,
        card: ModelCard,
        request: Request,
        *,
        tags: Collection[str] = (),
        avoid: Collection[Target] = (),
        stay: Target | None = None,
        forced: bool = False,
    ) -> Way | CallFault:
        """Where a request to this model goes now, or why it goes nowhere; `forced`: to the least bad of what is closed.

        Only places that carry all data `tags` are considered, and none of those to `avoid`. It stays where it is sent
        again (`stay`) or where its conversation was, as long as that is open and has room.
        """
        ways, now = self._ways(card, tags), self._clock()
        name = affinity(request) if len(ways) > 1 else None
        with self._lock:
            waits = {one: self._wait(one, now) for one in ways if one not in avoid}
            sticky = stay or (self._sessions.last(name.conversation, card.name) if name else None)
            found = self._pick([one for one, wait in waits.items() if not wait], request, name, sticky, now)
            if found is None and forced:
                found = self._least_bad(waits, now)
            if found is None:
                return self._closed(card, waits, now)
        return Way(found, self._served[card.name][found], name.conversation if name else "", waits[found] > 0.0)

    def enter(self, way: Way) -> Pass | None:
        """An attempt goes out there; `leave` is to tell how it ended. None where it was closed since it was found."""
        now = self._clock()
        with self._lock:
            if self._wait(way.target, now) and not way.forced:
                return None
            return Pass(way, self._lane(way.target).enter(now))

    def leave(
        self, passed: Pass, result: ModelReply | CallFault | None, seconds: float, first_token: float | None
    ) -> BreakerChanged | None:
        """What came of an attempt (None: it was cancelled); the breaker's change, where that made it change."""
        now, way = self._clock(), passed.way
        with self._lock:
            if isinstance(result, ModelReply):
                self._answered(way)
            elif result and result.trigger in REFUSED and result.sent == "yes":
                self._dead[_refused(way.target, result)] = now + DEAD
            elif result and result.trigger is Trigger.rate_limited and result.retry_after:
                self._paused[way.target] = now + max(result.retry_after, self._pause(way.target, now))
            return self._lane(way.target).leave(now, passed.entered, result, seconds, first_token)

    def judged(self, way: Way, *, accepted: bool) -> None:
        """The checks have said whether the reply may be used."""
        with self._lock:
            self._lane(way.target).health.judged(self._clock(), accepted=accepted)

    def rate(self, target: Target) -> Rate | None:
        """The rate limits of the target's key; None where nothing limits it: a model of one's own."""
        with self._lock:
            return self._rate(target)

    def corrected(self, target: Target, limits: Iterable[RateLimit], hold: Hold | None) -> None:
        """What a reply's headers say is left of the key's limits; `hold` is that of the request, not yet settled."""
        if rate := self.rate(target):
            rate.limiter.correct(self._clock(), limits, hold=hold)

    def settled(self, target: Target, hold: Hold, tokens: int | None) -> None:
        """What a request has taken of the key's limits in the end; None: it was never sent."""
        if rate := self.rate(target):
            rate.limiter.settle(hold, self._clock(), tokens)

    def first(self, provider: str) -> None:
        """A call asks this provider for the first time: it earns a share of a retry."""
        with self._lock:
            self._budget(provider).earn()

    def may_retry(self, provider: str) -> bool:
        """Whether this provider can be asked once more for what has failed there, and take it into account."""
        with self._lock:
            return self._budget(provider).spend(self._clock())

    def soonest(self, names: Iterable[str], tags: Collection[str] = ()) -> str | None:
        """Of models that are closed the one that may be asked soonest; the first of equals."""
        now, ways = self._clock(), {name: self._ways(self._fleet.models[name], tags) for name in names}
        with self._lock:
            waits = {name: min(self._wait(one, now) for one in there) for name, there in ways.items() if there}
        return min(waits, key=waits.__getitem__, default=None)

    def pause(self, name: str, tags: Collection[str] = ()) -> float:
        """Seconds for which the model's provider has asked to be sent nothing; 0.0 where one of its targets may be."""
        now, ways = self._clock(), self._ways(self._fleet.models[name], tags)
        with self._lock:
            return min((self._pause(one, now) for one in ways), default=0.0)

    def health(self) -> Mapping[str, float]:
        """What was measured, by model: of its best target, in [0, 1]; 0 where none is open. The rest is in health."""
        now = self._clock()
        with self._lock:
            asked = {target.model: self._ways(self._fleet.models[target.model]) for target in self._lanes}
            scores = {name: max(self._score(one, now) for one in ways) for name, ways in asked.items()}
        return {name: score for name, score in scores.items() if score < 1.0}

    def _ways(self, card: ModelCard, tags: Collection[str] = ()) -> Sequence[Target]:
        """Where data of these tags may go and the key is set; where none is, all: the endpoint says what is missing."""
        ways = self._served[card.name]
        allowed = targets(card, tags) if tags else tuple(ways)
        if len(allowed) < 2:
            return allowed
        return [one for one in allowed if self._ready(ways[one])] or allowed

    def _pick(
        self, unlocked: Sequence[Target], request: Request, name: Affinity | None, sticky: Target | None, now: float
    ) -> Target | None:
        """Of those that are open one whose key has room; where none has, the one that will have it soonest."""
        if len(unlocked) < 2:
            return unlocked[0] if unlocked else None

        def among(some: Sequence[Target]) -> Target | None:
            prefix = name.prefix if name else ""
            return pick(some, load=self._load, wait=_none, affinity=prefix, sticky=sticky, draw=self._draw())

        # Nearly always there is room, and only the limits of the one that was found have to be looked at.
        if (found := among(unlocked)) and not self._full(found, request, now):
            return found
        full = {one: self._full(one, request, now) for one in unlocked}
        return among([one for one in unlocked if not full[one]]) or min(unlocked, key=full.__getitem__)

    def _load(self, target: Target) -> int:
        return self._lane(target).calls

    def _lane(self, target: Target) -> Lane:
        lane = self._lanes.get(target)
        if lane is None:
            lane = self._lanes[target] = Lane(target, Breaker(self._limits(target.provider).breaker))
        return lane

    def _rate(self, target: Target) -> Rate | None:
        if target.provider == "local":
            return None
        key = target.provider, target.key
        rate = self._rates.get(key)
        if rate is None:
            rate = self._rates[key] = Rate(RateLimiter(RateRules.of(self._limits(target.provider))))
        return rate

    def _limits(self, provider: str) -> ProviderLimits:
        return self._fleet.providers.get(provider) or ProviderLimits(provider)

    def _budget(self, provider: str) -> RetryBudget:
        return self._budgets.setdefault(provider, RetryBudget())

    def _wait(self, target: Target, now: float) -> float:
        """Seconds until breaker, key and its provider's word let an attempt pass."""
        lane = self._lanes.get(target)
        until = max(self._dead_until(target), self._paused.get(target, -math.inf))
        return max(0.0, until - now, lane.breaker.wait(now) if lane else 0.0)

    def _pause(self, target: Target, now: float) -> float:
        """Seconds for which its provider has asked to be sent nothing."""
        return max(0.0, self._paused.get(target, now) - now)

    def _least_bad(self, waits: Mapping[Target, float], now: float) -> Target | None:
        """Of what is closed: nothing before the time its provider told, then what opens soonest."""
        pauses = {one: self._pause(one, now) for one in waits}
        shortest = min(pauses.values(), default=0.0)
        return least_bad([one for one in waits if pauses[one] == shortest], wait=waits.__getitem__)

    def _full(self, target: Target, request: Request, now: float) -> float:
        """Seconds until the limits of its key have room for the request."""
        rate = self._rate(target)
        wait = rate.limiter.wait(now, rate.tokens(request, now)) if rate else 0.0
        return math.inf if wait is None else wait

    def _score(self, target: Target, now: float) -> float:
        if self._wait(target, now):
            return 0.0
        return self._lanes[target].health.score(now) if target in self._lanes else 1.0

    def _answered(self, way: Way) -> None:
        for dead in (way.target, (way.target.provider, way.target.key)):
            self._dead.pop(dead, None)
        if way.conversation:
            self._sessions.keep(way.conversation, way.target)

    def _dead_until(self, target: Target) -> float:
        if not self._dead:
            return -math.inf
        return max(self._dead.get(dead, -math.inf) for dead in (target, (target.provider, target.key)))

    def _closed(self, card: ModelCard, waits: Mapping[Target, float], now: float) -> CallFault:
        dead = all(self._dead_until(one) > now for one in waits)
        paused = all(self._paused.get(one, now) > now for one in waits)
        told = "; ".join(f"{one}: for {seconds:.3g} s more" for one, seconds in waits.items())
        text = f"{card.name} is left alone after its failures ({told})" if told else f"no other way to {card.name}"
        retry_after = min(waits.values(), default=None)
        trigger = Trigger.auth if dead else Trigger.rate_limited if paused else Trigger.overloaded
        return CallFault(trigger, text, sent="no", retry_after=retry_after)


def _refused(target: Target, fault: CallFault) -> Target | Key:
    """What is dead: the key for all of its provider's models; by a 403, which is about this model, here alone."""
    return target if fault.status == 403 or not target.key else (target.provider, target.key)


def _none(_: Target) -> float:
    return 0.0
