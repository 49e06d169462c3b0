"""Traffic: what one process knows of the targets it sends to, and which of them an attempt goes to."""

from __future__ import annotations

import math
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestra.dispatch.affinity import Affinity, Sessions, affinity
from orchestra.dispatch.breaker import Breaker
from orchestra.dispatch.call import Endpoint
from orchestra.dispatch.lane import VAIN, Key, Lane, Rate
from orchestra.dispatch.pool import least_bad, pick
from orchestra.dispatch.rates import RateLimiter, RateRules
from orchestra.dispatch.retry_budget import RetryBudget
from orchestra.dispatch.target import Target, served
from orchestra.fleet import Fleet, ProviderLimits
from orchestra.fleet.deployments import folded
from orchestra.ledger import BreakerChanged
from orchestra.types import CallFault, Fault, ModelCard, ModelReply, Request, Trigger


@dataclass(frozen=True, slots=True)
class Way:
    """Where an attempt goes: the target's lane, the conversation it belongs to where the model has several.

    `forced`: nothing of the model was open, and nothing else was left to ask.
    """

    lane: Lane
    conversation: int | None = None
    forced: bool = False

    @property
    def target(self) -> Target:
        """The target."""
        return self.lane.target

    @property
    def card(self) -> ModelCard:
        """The card as it is served there."""
        return self.lane.card


class Traffic:
    """Breakers, health, dead keys, rate limits and retry budgets of a fleet's targets; threads may share it.

    `clock` is in seconds, `draw` gives a random number in [0, 1). `ready` says whether a card can be asked as it is
    served at one target: whether its key is set; `renewed` whether it would be asked with another key or signature than
    those of an endpoint that was refused. `lanes` are the targets of each model.
    """

    def __init__(
        self,
        fleet: Fleet,
        clock: Callable[[], float],
        draw: Callable[[], float],
        ready: Callable[[ModelCard], bool],
        renewed: Callable[[ModelCard, Endpoint], bool],
    ) -> None:
        self._clock, self._draw, self._ready, self._renewed = clock, draw, ready, renewed
        self.lanes = _lanes(fleet)
        self._refused: dict[Lane | Key, tuple[ModelCard, Endpoint]] = {}  # what is dead, and by which endpoint
        self._asked: set[str] = set()  # models of which anything is known
        self._budgets = defaultdict[str, RetryBudget](RetryBudget)
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
        self._revive()
        lanes, now = self._ways(card.name, tags), self._clock()
        name = affinity(request) if len(lanes) > 1 else None
        conversation = name and name.conversation
        if avoid:
            lanes = [lane for lane in lanes if lane.target not in avoid]
        with self._lock:
            if usable := [lane for lane in lanes if not lane.wait(now)]:
                return Way(self._pick(usable, request, name, stay, now), conversation)
            waits = {lane: lane.wait(now) for lane in lanes}
            if forced and (found := _least_bad(lanes, now)):
                return Way(found, conversation, forced=True)
            return _closed(card, waits, now)

    def enter(self, way: Way, *, first: bool = False) -> int | None:
        """An attempt goes out there: what its breaker gave it, to be handed to `leave`, which tells how it ended.

        The `first` one of a call there earns its provider a share of a retry. None where the way was closed since it
        was found.
        """
        now, lane = self._clock(), way.lane
        with self._lock:
            if lane.wait(now) and not way.forced:
                return None
            self._asked.add(lane.card.name)
            if first:
                self._budgets[lane.target.provider].earn()
            return lane.enter(now)

    def leave(
        self,
        way: Way,
        entered: int,
        result: ModelReply | CallFault | None,
        seconds: float,
        first_token: float | None,
        endpoint: Endpoint | None = None,
    ) -> BreakerChanged | None:
        """What came of an attempt (None: it was cancelled); the breaker's change, where that made it change.

        `endpoint` is where it went, None where it went nowhere.
        """
        now = self._clock()
        with self._lock:
            if endpoint and isinstance(result, CallFault) and (dead := way.lane.refused(result)):
                self._refused[dead] = way.card, endpoint
            if way.conversation is not None and isinstance(result, ModelReply):
                self._sessions.keep(way.conversation, way.lane.target)
            if way.forced and result is not None:
                vain = isinstance(result, CallFault) and result.trigger.fault is Fault.provider
                way.lane.vain_until = now + VAIN if vain else now
            return way.lane.leave(now, entered, result, seconds, first_token)

    def judged(self, way: Way, *, accepted: bool) -> None:
        """The checks have said whether the reply may be used."""
        with self._lock:
            way.lane.health.judged(self._clock(), accepted=accepted)

    def may_retry(self, provider: str) -> bool:
        """Whether this provider can be asked once more for what has failed there, and take it into account."""
        with self._lock:
            return self._budgets[provider].spend(self._clock())

    def least_bad(
        self, names: Iterable[str], tags: Collection[str], avoid: Collection[Target], *, dead: bool
    ) -> Sequence[tuple[str, float]]:
        """Of models that are closed the least bad one first, each with its `pause`; targets to `avoid` do not count.

        Nor do refused keys, unless `dead`: a provider that is down may be back, a key hardly is. What is open counts
        where the whole model has only been closed until now: of any other it was left out for a reason.
        """
        self._revive()
        now, found = self._clock(), list[tuple[float, str, float]]()
        begun = {one.model for one in avoid}
        for name in names:
            lanes = [one for one in self._ways(name, tags) if one.target not in avoid]
            with self._lock:
                lanes = [one for one in lanes if name not in begun or one.wait(now)]
                if left := [one for one in lanes if dead or not one.dead(now)]:
                    found.append((min(one.badness(now) for one in left), name, min(one.pause(now) for one in left)))
        return [(name, pause) for _, name, pause in sorted(found, key=lambda one: one[0])]

    def pause(self, name: str, tags: Collection[str] = ()) -> float:
        """Seconds for which the model's provider has asked to be sent nothing; 0.0 where one of its targets may be."""
        now, ways = self._clock(), self._ways(name, tags)
        with self._lock:
            return min((one.pause(now) for one in ways), default=0.0)

    def health(self) -> Mapping[str, float]:
        """What was measured, by model: of its best target, in [0, 1]; 0 where none is open. The rest is in health."""
        now = self._clock()
        measured: dict[str, float] = {}
        self._revive()
        with self._lock:
            for name in self._asked:
                score = max([one.score(now) for one in self._ways(name)])
                if score < 1.0:
                    measured[name] = score
        return measured

    def _revive(self) -> None:
        """What was refused may be asked again once there is another key or signature for it."""
        for dead, (card, endpoint) in list(self._refused.items()):
            if dead.dead_until <= self._clock():
                self._refused.pop(dead, None)
            elif self._renewed(card, endpoint):
                self._refused.pop(dead, None)
                dead.dead_until = -math.inf

    def _ways(self, name: str, tags: Collection[str] = ()) -> Sequence[Lane]:
        """Where data of these tags may go and the key is set; where none is, all: the endpoint says what is missing."""
        lanes = self.lanes[name]
        if tags:
            demanded = folded(tags)
            lanes = [one for one in lanes if demanded <= one.tags]
        if len(lanes) < 2:
            return lanes
        return [one for one in lanes if self._ready(one.card)] or lanes

    def _pick(
        self, unlocked: Sequence[Lane], request: Request, name: Affinity | None, sticky: Target | None, now: float
    ) -> Lane:
        """Of those that are open one whose key has room; where none has, the one that will have it soonest."""
        if len(unlocked) == 1:
            return unlocked[0]
        if name and not sticky:
            sticky = self._sessions.last(name.conversation, unlocked[0].target.model)

        def among(some: Sequence[Lane]) -> Lane | None:
            usable, prefix = [(one.target, one.calls) for one in some], name.prefix if name else ""
            found = pick(usable, affinity=prefix, sticky=sticky, draw=self._draw())
            return next((one for one in some if one.target is found), None)

        # Nearly always there is room, and only the limits of the one that was found have to be looked at.
        if (found := among(unlocked)) and not found.full(request, now):
            return found
        full = {one: one.full(request, now) for one in unlocked}
        return among([one for one in unlocked if not full[one]]) or min(unlocked, key=full.__getitem__)


def _lanes(fleet: Fleet) -> Mapping[str, Sequence[Lane]]:
    """Every model's, one for each of its targets; those of one provider's key share it."""
    keys: dict[tuple[str, str], Key] = {}

    def lane(target: Target, card: ModelCard) -> Lane:
        limits = fleet.providers.get(target.provider) or ProviderLimits(target.provider)
        key = keys.setdefault((target.provider, target.key), _key(limits))
        return Lane(target, card, folded((*card.tags, *card.regions)), key, Breaker(limits.breaker))

    return {
        name: tuple([lane(target, there) for target, there in served(card).items()])
        for name, card in fleet.models.items()
    }


def _key(limits: ProviderLimits) -> Key:
    return Key(None if limits.name == "local" else Rate(RateLimiter(RateRules.of(limits))))


def _least_bad(lanes: Sequence[Lane], now: float) -> Lane | None:
    """Of what is closed: nothing before the time its provider told, then the least badness."""
    pauses = {one: one.pause(now) for one in lanes}
    shortest = min(pauses.values(), default=0.0)
    return least_bad([one for one in lanes if pauses[one] == shortest], wait=lambda one: one.badness(now))


def _closed(card: ModelCard, waits: Mapping[Lane, float], now: float) -> CallFault:
    dead = all(one.dead(now) for one in waits)
    paused = all(one.pause(now) for one in waits)
    told = "; ".join(f"{one.target}: for {seconds:.3g} s more" for one, seconds in waits.items())
    text = f"{card.name} is left alone after its failures ({told})" if told else f"no other way to {card.name}"
    retry_after = min(waits.values(), default=None)
    trigger = Trigger.auth if dead else Trigger.rate_limited if paused else Trigger.overloaded
    return CallFault(trigger, text, sent="no", retry_after=retry_after)
