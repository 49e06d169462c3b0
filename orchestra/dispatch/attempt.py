"""One attempt: what it needs held, endpoint found, one exchange, what it cost, its two events in the ledger."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterable
from dataclasses import replace

from orchestra.dialects import Delta
from orchestra.dispatch.admission import NOTHING, Admitted, Means, admit, choose
from orchestra.dispatch.call import Endpoint
from orchestra.dispatch.course import Course
from orchestra.dispatch.deadlines import Deadlines
from orchestra.dispatch.exchange import Exchange
from orchestra.dispatch.opening import Opening
from orchestra.dispatch.target import Target
from orchestra.dispatch.traffic import Way
from orchestra.errors import BudgetExceeded, CallError, ConfigError, LedgerError
from orchestra.fleet import cost, estimate, message_tokens
from orchestra.ledger import AttemptEnded, AttemptStarted, BreakerChanged
from orchestra.types import Attempt, CallFault, Cost, Message, ModelCard, ModelReply, Request, TextDelta, Trigger, Usage


class LiveAttempt:
    """One request to one model: `run`, or `more` until there is a `result`, then `aclose`, whatever happened.

    `result` is then the reply or the fault, None where it was cancelled, and `record` the rest.
    `way` is where it went or should have gone; None where nothing was open, or no other key or place would help.
    `error` is what stands behind the fault of a model that could not be asked at all: the ConfigError, or the
    BudgetExceeded of a budget that is the model's or the key's own. `handed_on` are the texts that were handed on (""
    for reasoning), empty as long as another model may still answer.
    """

    def __init__(self, means: Means, course: Course) -> None:
        self._means, self._course = means, course
        self._request = _with_feedback(course.call.request, course.feedback)
        self._opening = Opening(course.call) if course.call.hands_on else None
        self._id, self._started = os.urandom(6).hex(), means.clock()
        self._began = False
        self._admitted: Admitted | None = None
        self._exchange: Exchange | None = None
        self.result: ModelReply | CallFault | None = None
        self.way: Way | None = None
        self.error: ConfigError | BudgetExceeded | None = None
        self.handed_on: list[str] = []

    async def run(self) -> None:
        """All of it, for whoever wants nothing before the result. Raises as `more`."""
        try:
            if exchange := await self._begin():
                await exchange.rest()
                self.result = exchange.result
        finally:
            await self.aclose()

    async def more(self) -> Iterable[Delta]:
        """The next pieces to hand on. Raises BudgetExceeded and DeadlineExceeded before anything is sent."""
        exchange = self._exchange or await self._begin()
        if exchange is None:
            return ()
        if self._opening is None:
            await exchange.rest()
            pieces: Iterable[Delta] = ()
        else:
            pieces = self._opening.through(await exchange.more())
            self.handed_on += [piece.text if isinstance(piece, TextDelta) else "" for piece in pieces]
        self.result = exchange.result
        return pieces

    async def aclose(self) -> None:
        """Give back what is held and write down how it ended; without a result it was cancelled."""
        if not self._began:
            return
        try:
            if self._exchange is not None:
                await self._exchange.aclose()
                self.result = self._exchange.result
        finally:
            self._finish()

    async def _begin(self) -> Exchange | None:
        """Send the request; None where the model cannot be asked, with the reason as the result."""
        self._admitted = admitted = await self._admission()
        self._began = True
        await self._announce(admitted)
        self._started = self._means.clock()  # the wait for money, a slot and the file is not the model's time
        if admitted is None or (endpoint := await self._resolve(admitted.way.lane.card)) is None:
            return None
        return self._open(admitted, endpoint)

    def _finish(self) -> None:
        admitted, raw, call = self._admitted, self._raw(), self._course.call
        usage, charged = self._taken(admitted.way.lane.card) if admitted else (None, NOTHING)
        one = self.record = self._recorded(usage, charged, raw)
        changed = self._give_back(admitted, one) if admitted else None
        call.recorder.record(call.step, self._ended(one, raw))
        if changed:
            call.recorder.record(call.step, changed)

    async def _admission(self) -> Admitted | None:
        """What the exchange needs; None where the model cannot be asked, with the reason as the result."""
        try:
            return await self._admit()
        except BudgetExceeded as error:
            self._cannot_pay(error)
        except (CallError, LedgerError):
            raise
        except ConfigError as error:
            self.way = None
            self._cannot_ask(error)
        except Exception as error:  # noqa: BLE001  # a codec's bug must not end the run
            text = f"the request cannot be written for {self._course.ladder.model}: {type(error).__name__}: {error}"
            self.result = CallFault(Trigger.bad_request, text, sent="no")
        return None

    async def _admit(self) -> Admitted | None:
        while True:
            way = choose(self._means, self._course, self._request)
            if isinstance(way, CallFault):
                self.way, self.result = None, way
                return None
            self.way = way
            admitted = await admit(self._means, self._course, self._request, way)
            if isinstance(admitted, CallFault):
                self.result = admitted
                return None
            if admitted:
                return admitted

    def _give_back(self, admitted: Admitted, one: Attempt) -> BreakerChanged | None:
        """What was held, and what came of the attempt to all who watch its target."""
        assert admitted.entered is not None, "what is admitted has entered"
        admitted.give_back(one.cost, one.usage, sent=one.sent != "no")
        seconds = one.seconds - self._exchange.paused if self._exchange else one.seconds
        went = self._exchange and self._exchange.endpoint
        return self._means.traffic.leave(admitted.way, admitted.entered, self.result, seconds, one.first_token, went)

    async def _resolve(self, card: ModelCard) -> Endpoint | None:
        endpoints = self._means.endpoints
        try:
            if endpoint := endpoints.at_hand(card):
                return endpoint
            async with asyncio.timeout(self._left()):
                return await endpoints.resolve(card)
        except ConfigError as error:
            self._cannot_ask(error)
        except TimeoutError:
            self.result = CallFault(Trigger.timeout, f"{card.name} was not ready in time", sent="no")
        except Exception as error:  # noqa: BLE001  # a stranger's endpoints must not end the run
            text = f"the endpoint of {card.name} cannot be had: {type(error).__name__}: {error}"
            self.result = CallFault(Trigger.connection, text, sent="no")
        return None

    def _open(self, admitted: Admitted, endpoint: Endpoint) -> Exchange:
        means, encoded, timeouts = self._means, admitted.encoded, admitted.way.lane.card.timeouts
        deadlines = Deadlines(timeouts, self._course.call.deadline, means.clock, streamed=encoded.stream)
        transport, dialect, told = means.transport, admitted.dialect, admitted.correct
        exchange = self._exchange = Exchange(transport, dialect, encoded, endpoint, deadlines, told, means.now)
        return exchange

    def _left(self) -> float:
        return self._course.call.deadline - self._means.clock()

    def _cannot_ask(self, error: ConfigError) -> None:
        """The model cannot be asked as things stand: like a dead key, only another model helps."""
        self.error = error
        self.result = CallFault(Trigger.auth, str(error), sent="no")

    def _cannot_pay(self, error: BudgetExceeded) -> None:
        """Of a budget that is for this model or key alone, another one may still pay. Raises `error` for any other."""
        own = error.budget.match.keys() & {"model", "key"} if error.budget else ()
        if not own:
            raise error
        self.way = self.way if "key" in own else None
        self.error = error
        self.result = CallFault(Trigger.quota, str(error), sent="no")

    async def _announce(self, admitted: Admitted | None) -> None:
        call, ladder = self._course.call, self._course.ladder
        target = admitted.way.lane.target if admitted else _NOWHERE
        held = admitted.reserved if admitted else None
        await call.recorder.write(
            call.step,
            AttemptStarted(
                attempt=self._id,
                model=ladder.model,
                turn=call.turn,
                rung=ladder.rung,
                degraded=ladder.degraded,
                notes=admitted.encoded.notes if admitted else (),
                reserved=0.0 if held is None and admitted and _is_free(admitted.way.lane.card) else held,
                holder=None if held is None else self._means.caps.holder,
                key=target.key,
                place=target.place,
                call=self._course.id,
                whole=None if admitted and admitted.encoded.stream else True,
            ),
        )

    def _taken(self, card: ModelCard) -> tuple[Usage | None, Cost]:
        """Reported tokens where there are any, and their cost; an attempt refused with an error costs nothing."""
        if isinstance(self.result, ModelReply) and self.result.usage is not None:
            return self.result.usage, cost(card.price, self.result.usage)
        if self._exchange is None or not self._exchange.arrived:
            return None, NOTHING
        came = self.result or self._exchange.left()
        if came.usage is not None and (isinstance(came, ModelReply) or came.final):
            return came.usage, cost(card.price, came.usage)
        return None, cost(card.price, self._estimated(came), estimated=True)

    def _estimated(self, came: ModelReply | CallFault) -> Usage:
        """Tokens of all that was written, answer or not; more where the provider had counted more."""
        wrote = estimate(came.written if isinstance(came, CallFault) else came.raw + came.reasoning)
        if came.usage is None:
            return Usage(message_tokens(self._request.messages, self._request.tools), wrote)
        return replace(came.usage, output=max(came.usage.output, wrote))

    def _raw(self) -> str:
        if isinstance(self.result, ModelReply):
            return self.result.raw
        if isinstance(self.result, CallFault):
            return self.result.partial_text
        return self._exchange.text if self._exchange else ""

    def _recorded(self, usage: Usage | None, charged: Cost, raw: str) -> Attempt:
        result, exchange = self.result, self._exchange
        trigger = wire_model = None
        evidence: tuple[str, ...] = ()
        sent, first_token = (exchange.sent, exchange.first_token) if exchange else ("no", None)
        if isinstance(result, ModelReply):
            wire_model = result.wire_model
        elif result is not None:
            trigger, evidence, sent = result.trigger, (result.text,), result.sent
        return Attempt(
            id=self._id,
            model=self._course.ladder.model,
            trigger=trigger,
            evidence=evidence,
            sent=sent,
            usage=usage,
            cost=charged,
            seconds=self._means.clock() - self._started,
            first_token=first_token,
            wire_model=wire_model,
            raw_sha256=hashlib.sha256(raw.encode(errors="surrogatepass")).hexdigest() if raw else "",
        )

    def _ended(self, one: Attempt, raw: str) -> AttemptEnded:
        return AttemptEnded(
            attempt=one.id,
            model=one.model,
            wire_model=one.wire_model,
            trigger=one.trigger,
            status=self._exchange.status if self._exchange else None,
            sent=one.sent,
            finish=self.result.finish if isinstance(self.result, ModelReply) else None,
            usage=one.usage,
            cost=one.cost,
            seconds=one.seconds,
            first_token=one.first_token,
            raw_sha256=one.raw_sha256,
            raw=raw,
        )


_NOWHERE = Target("", "")


def _with_feedback(request: Request, feedback: str) -> Request:
    """The refused reply itself never enters history; only the words about it do, and only for this attempt."""
    return replace(request, messages=(*request.messages, Message.user(feedback))) if feedback else request


def _is_free(card: ModelCard) -> bool:
    return card.price is not None and card.price.free
