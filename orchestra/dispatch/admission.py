"""What an attempt needs before it is sent: a target, money, a place within its key's limits, a slot of its model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TypeVar

from orchestra.dialects import Codec, Encoded, codec
from orchestra.dispatch.afford import afford
from orchestra.dispatch.call import Endpoints
from orchestra.dispatch.caps import Caps
from orchestra.dispatch.course import Course
from orchestra.dispatch.purse import Reservation
from orchestra.dispatch.rates import Hold
from orchestra.dispatch.slots import WEIGHTS, Slot, Slots
from orchestra.dispatch.traffic import Pass, Rate, Traffic, Way
from orchestra.dispatch.waiting import granted
from orchestra.errors import ConfigError, DeadlineExceeded
from orchestra.fleet import message_tokens
from orchestra.ledger import Waited, WaitReason
from orchestra.transport import Transport
from orchestra.types import CallFault, Cost, ModelCard, Request, Usage

T = TypeVar("T")

TOLD = 0.01
"""Seconds of waiting from which the ledger tells of it."""


@dataclass(frozen=True, slots=True)
class Means:
    """What attempts are made with. `clock` is in seconds, `now` in Unix seconds: budgets go by the calendar."""

    models: Mapping[str, ModelCard]
    endpoints: Endpoints
    transport: Transport
    slots: Slots
    traffic: Traffic
    caps: Caps
    clock: Callable[[], float]
    now: Callable[[], float]
    sleep: Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Admitted:
    """An attempt that may be sent, and all that is held for it until `give_back`."""

    means: Means
    way: Way
    dialect: Codec
    encoded: Encoded
    reservation: Reservation
    rate: Hold | None
    slot: Slot
    passed: Pass

    def give_back(self, charged: Cost, usage: Usage | None, *, sent: bool) -> None:
        """What it did not use, of money, tokens and places."""
        self.slot.release()
        self.reservation.settle(charged)
        if self.rate is not None and (rate := self.means.traffic.rate(self.way.target)):
            tokens = usage.input + usage.output if usage else self.rate.tokens
            rate.limiter.settle(self.rate, self.means.clock(), tokens if sent else None)


async def admit(means: Means, course: Course, request: Request) -> Admitted | CallFault:
    """All that the next attempt of a call needs; the fault where its model cannot be had now.

    Raises BudgetExceeded, DeadlineExceeded where the wait takes too long, ConfigError for a model that is not in the
    fleet or a tool that its dialect cannot say, LedgerError.
    """
    card, call = _card(means, course.ladder.model), course.call
    way = means.traffic.way(
        card, request, tags=call.data_tags, avoid=course.avoid, stay=course.stay, forced=course.forced
    )
    if isinstance(way, CallFault):
        return way
    waiting, dialect = _Waiting(means, course, way), codec(card.dialect)
    labels = replace(call.labels, model=card.name, key=way.target.key)
    purse = means.caps.purse_for(means.now(), labels, call.purse)
    paid = afford(purse, _for(card, request), way.card, dialect, within=waiting.left)
    encoded, reservation = await waiting.told("money", paid, "other attempts held the money")
    with ExitStack() as undo:  # unless it comes to the end
        undo.callback(reservation.settle, Cost(0.0))
        rate = await waiting.granted(request)
        if isinstance(rate, CallFault):
            return rate
        if rate and (limits := means.traffic.rate(way.target)):
            undo.callback(limits.limiter.settle, rate, means.clock(), None)
        slot = await waiting.slot()
        undo.pop_all()
    return Admitted(means, way, dialect, encoded, reservation, rate, slot, means.traffic.enter(way))


class _Waiting:
    """The waits of one attempt before it is sent, in the ledger where they are long."""

    def __init__(self, means: Means, course: Course, way: Way) -> None:
        self._means, self._course, self._call, self._way = means, course, course.call, way

    @property
    def left(self) -> float:
        return self._call.deadline - self._means.clock()

    async def told(self, why: WaitReason, work: Awaitable[T], held: str) -> T:
        """What `work` comes to. Raises DeadlineExceeded where that takes too long: others `held` what it needs."""
        began = self._means.clock()
        try:
            return await work
        except TimeoutError:
            text = f"step {self._call.step!r}: the deadline passed while {held}"
            raise DeadlineExceeded(text) from None
        finally:
            seconds = self._means.clock() - began
            if seconds >= TOLD:
                waited(self._course, self._way, seconds, why)

    async def granted(self, request: Request) -> Hold | CallFault | None:
        """A place within the limits of the key; None where there are none."""
        means, call = self._means, self._call
        rate = means.traffic.rate(self._way.target)
        if rate is None:
            return None
        place = granted(
            rate.limiter,
            _tokens(rate, request, means.clock()),
            line=rate.line,
            run=call.recorder.run,
            rank=call.rank,
            weight=WEIGHTS[call.priority],
            until=call.deadline,
            clock=means.clock,
            sleep=means.sleep,
        )
        return await self.told("rate_limit", place, "the key's rate limits held")

    async def slot(self) -> Slot:
        """A slot of the model."""
        call, model = self._call, self._way.target.model
        weight = WEIGHTS[call.priority]
        held = self._means.slots.hold(model, run=call.recorder.run, rank=call.rank, weight=weight, within=self.left)
        return await self.told("slot", held, f"other calls held every slot of {model}")


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


def _card(means: Means, name: str) -> ModelCard:
    if name not in means.models:
        raise ConfigError(f"model {name!r} is not in the fleet; known: {', '.join(means.models)}")
    return means.models[name]


def _for(card: ModelCard, request: Request) -> Request:
    """As this model is asked: an embedded one is held to the grammar, whoever was asked before it."""
    held = request.grammar is not None and card.weights is not None
    return replace(request, output_schema=request.grammar) if held else request


def _tokens(rate: Rate, request: Request, now: float) -> int:
    """About what the provider counts against its limits; what it really took is settled afterwards."""
    if not rate.limiter.counts_tokens(now):
        return 0
    return message_tokens(request.messages, request.tools) + (request.settings.max_tokens or 0)
