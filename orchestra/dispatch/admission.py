"""What an attempt needs before it is sent: a target, money, a place within its key's limits, a slot of its model."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from orchestra.dialects import Encoded, RateLimit, codec
from orchestra.dispatch.afford import afford
from orchestra.dispatch.call import Endpoints
from orchestra.dispatch.caps import Caps
from orchestra.dispatch.course import Course
from orchestra.dispatch.purse import Reservation
from orchestra.dispatch.rates import Hold
from orchestra.dispatch.slots import WEIGHTS, Slot, Slots
from orchestra.dispatch.traffic import Traffic, Way
from orchestra.dispatch.waiting import granted
from orchestra.errors import ConfigError, DeadlineExceeded
from orchestra.fleet import message_tokens
from orchestra.ledger import Waited, WaitReason
from orchestra.transport import Transport
from orchestra.types import CallFault, Cost, ModelCard, Request, Usage

NOTHING = Cost(0.0)

TOLD = 0.01
"""Seconds of waiting from which the ledger tells of it."""


@dataclass(frozen=True, slots=True)
class Means:
    """What attempts are made with. `clock` is in seconds, `now` in Unix seconds: for budgets and moments of servers."""

    models: Mapping[str, ModelCard]
    endpoints: Endpoints
    transport: Transport
    slots: Slots
    traffic: Traffic
    caps: Caps
    clock: Callable[[], float]
    now: Callable[[], float]
    sleep: Callable[[float], Awaitable[object]]


def choose(means: Means, course: Course, request: Request) -> Way | CallFault:
    """Where the next attempt of a call goes, or why its model cannot be had now.

    Raises ConfigError for a model that is not in the fleet.
    """
    name, tags, stay = course.ladder.model, course.call.data_tags, course.stay
    if (card := means.models.get(name)) is None:
        raise ConfigError(f"model {name!r} is not in the fleet; known: {', '.join(means.models)}")
    return means.traffic.way(card, request, tags=tags, avoid=course.avoid, stay=stay, forced=course.forced == name)


async def admit(means: Means, course: Course, request: Request, way: Way) -> Admitted | CallFault | None:
    """All that an attempt needs; a fault where its key's limits have no room in time, None where `way` was closed.

    Raises BudgetExceeded, DeadlineExceeded where the wait takes too long, ConfigError for a tool that its dialect
    cannot say, LedgerError.
    """
    admitted = Admitted(means, course, way)
    try:
        await admitted.money(request)
        if fault := await admitted.granted(request):
            return fault
        if means.slots.limited(way.lane.target.model):
            await admitted.place()
        return admitted if admitted.enter() else None
    finally:
        if admitted.entered is None:
            admitted.give_back(NOTHING, None, sent=False)


class Admitted:
    """All that is held for one attempt until `give_back`; the waits for it are in the ledger where they are long.

    `reservation`, `rate` and `slot` are None until they are held, or where nothing limits the attempt; `encoded` is the
    request as it is written for the money that is left, `entered` what the breaker gave it once it may be sent.
    """

    encoded: Encoded

    def __init__(self, means: Means, course: Course, way: Way) -> None:
        self._means, self._course, self.way = means, course, way
        self.dialect = codec(way.lane.card.dialect)
        self.reservation: Reservation | None = None
        self.rate: Hold | None = None
        self.slot: Slot | None = None
        self.entered: int | None = None

    @property
    def reserved(self) -> float | None:
        """USD that are held for it; None where nothing bounds them."""
        return self.reservation.usd if self.reservation and self.reservation.capped else None

    def give_back(self, charged: Cost, usage: Usage | None, *, sent: bool) -> None:
        """What it did not use, of money, tokens and places."""
        if self.slot:
            self.slot.release()
        if self.reservation:
            self.reservation.settle(charged)
        if hold := self.rate:
            tokens = usage.input + usage.output if usage else self._told_by_nobody(hold)
            hold.limiter.settle(hold, self._means.clock(), tokens if sent else None)
            if hold.tokens and usage and usage.output:
                self._learn(usage)

    def _told_by_nobody(self, hold: Hold) -> int:
        """Tokens of an attempt that reported none: what it had to be held for, without what is only usual."""
        request = self._course.call.request
        if request.settings.max_tokens is not None:
            return hold.tokens
        return min(hold.tokens, message_tokens(request.messages, request.tools))

    def _learn(self, usage: Usage) -> None:
        rate, asked = self.way.lane.key.rate, self._course.call.request.settings.max_tokens
        if rate and asked is None and self.reserved is None:  # money may have bounded it as well
            rate.wrote(usage.output)

    def correct(self, limits: Iterable[RateLimit]) -> None:
        """Take in what a reply's headers say is left of the key's limits."""
        if hold := self.rate:
            hold.limiter.correct(self._means.clock(), limits, hold=hold)

    async def money(self, request: Request) -> None:
        """What it may cost at most."""
        call, lane, caps, now = self._course.call, self.way.lane, self._means.caps, self._means.now
        card, purse = lane.card, call.purse
        if caps.budgets:
            labels = replace(call.labels, model=lane.target.model, key=lane.target.key)
            while (paid := caps.purse_for(now(), labels, purse)) is None:
                with self._told("money", "what its budgets have spent was read"):
                    async with asyncio.timeout(self._left):
                        await caps.known(now(), labels)
            purse = paid
        if card.weights is not None and request.grammar is not None:
            # An embedded model is held to the grammar, whoever was asked before it.
            request = replace(request, output_schema=request.grammar)
        if not purse.capped:
            self.encoded, self.reservation = self.dialect.encode(request, card), purse.reserve(None)
            return
        with self._told("money", "other attempts held the money"):
            self.encoded, self.reservation = await afford(purse, request, card, self.dialect, within=self._left)

    async def granted(self, request: Request) -> CallFault | None:
        """A place within the limits of the key, where there are any."""
        means, call, rate = self._means, self._course.call, self.way.lane.key.rate
        if rate is None:
            return None
        tokens = rate.tokens(request, now := means.clock())
        if rate.line.free and (hold := rate.limiter.at_once(now, tokens)):
            self.rate = hold
            return None
        with self._told("rate_limit", "the key's rate limits held"):
            waited = await granted(
                rate.limiter,
                tokens,
                line=rate.line,
                tenant=call.labels.tenant,
                run=call.recorder.run,
                rank=call.rank,
                weight=WEIGHTS[call.priority],
                until=call.deadline,
                clock=means.clock,
                sleep=means.sleep,
            )
            if isinstance(waited, CallFault):
                return waited
            self.rate = waited
        return None

    async def place(self) -> None:
        """A slot of the model."""
        call, slots, model = self._course.call, self._means.slots, self.way.lane.target.model
        with self._told("slot", f"other calls held every slot of {model}"):
            self.slot = await slots.hold(
                model,
                tenant=call.labels.tenant,
                run=call.recorder.run,
                rank=call.rank,
                weight=WEIGHTS[call.priority],
                within=self._left,
            )

    def enter(self) -> bool:
        """Go out; False where the way was closed since it was found."""
        asked, provider = self._course.asked, self.way.lane.target.provider
        self.entered = self._means.traffic.enter(self.way, first=provider not in asked)
        if self.entered is None:
            return False
        asked.add(provider)
        return True

    @property
    def _left(self) -> float:
        return self._course.call.deadline - self._means.clock()

    def _told(self, why: WaitReason, held: str) -> _Told:
        return _Told(self._means.clock, self._course, self.way, why, held)


class _Told:
    """Raises DeadlineExceeded where what is done meanwhile takes too long: others `held` what it needs."""

    __slots__ = ("_began", "_clock", "_course", "_held", "_way", "_why")

    def __init__(self, clock: Callable[[], float], course: Course, way: Way, why: WaitReason, held: str) -> None:
        self._clock, self._course, self._way, self._held = clock, course, way, held
        self._why: WaitReason = why

    def __enter__(self) -> None:
        self._began = self._clock()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        seconds = self._clock() - self._began
        if seconds >= TOLD:
            waited(self._course, self._way, seconds, self._why)
        if isinstance(error, TimeoutError):
            text = f"step {self._course.call.step!r}: the deadline passed while {self._held}"
            raise DeadlineExceeded(text) from None


def waited(course: Course, way: Way | None, seconds: float, why: WaitReason) -> None:
    """Write down that a call has waited before an attempt."""
    target = way.target if way else None
    course.call.recorder.record(
        course.call.step,
        Waited(
            model=course.ladder.model,
            seconds=seconds,
            why=why,
            provider=target.provider if target else "",
            key=target.key if target else "",
            place=target.place if target else "",
            call=course.id,
        ),
    )
