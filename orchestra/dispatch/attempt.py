"""One attempt: money reserved, slot held, endpoint found, one exchange, what it cost, its two events in the ledger."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from secrets import token_hex

from orchestra.dialects import Codec, Delta, Encoded, codec
from orchestra.dispatch.afford import afford
from orchestra.dispatch.call import Call, Endpoint, Endpoints
from orchestra.dispatch.deadlines import Deadlines
from orchestra.dispatch.exchange import Exchange
from orchestra.dispatch.purse import Reservation
from orchestra.dispatch.slots import WEIGHTS, Slot, Slots
from orchestra.errors import CallError, ConfigError, DeadlineExceeded
from orchestra.fleet import cost, estimate, message_tokens
from orchestra.ledger import AttemptEnded, AttemptStarted
from orchestra.recovery import Ladder
from orchestra.transport import Transport
from orchestra.types import Attempt, CallFault, Cost, Message, ModelCard, ModelReply, Request, TextDelta, Trigger, Usage


@dataclass(frozen=True, slots=True)
class Means:
    """What attempts are made with."""

    models: Mapping[str, ModelCard]
    endpoints: Endpoints
    transport: Transport
    clock: Callable[[], float]
    slots: Slots


@dataclass(frozen=True, slots=True)
class _Ready:
    card: ModelCard
    dialect: Codec
    encoded: Encoded
    reservation: Reservation
    slot: Slot


class LiveAttempt:
    """One request to one model. After `deltas` has ended, `outcome` is the reply or the fault, `record` the rest.

    `error` is the ConfigError behind a fault where the model could not be asked at all. `handed_on` are the texts that
    were handed on ("" for reasoning), empty as long as another model may still answer.
    """

    def __init__(self, means: Means, call: Call, ladder: Ladder, feedback: str) -> None:
        self._means, self._call, self._ladder = means, call, ladder
        self._request = _with_feedback(call.request, feedback)
        self._started = means.clock()
        self._exchange: Exchange | None = None
        self._deadlines: Deadlines | None = None
        self._result: ModelReply | CallFault | None = None
        self.error: ConfigError | None = None
        self.handed_on: list[str] = []
        self.record = Attempt(token_hex(6), ladder.model)

    @property
    def outcome(self) -> ModelReply | CallFault:
        """How the exchange ended."""
        assert self._result is not None, "only a cancelled attempt has no outcome"
        return self._result

    async def deltas(self) -> AsyncGenerator[Delta, None]:
        """The pieces to hand on, as they arrive. Raises BudgetExceeded and DeadlineExceeded before anything is sent."""
        ready = await self._prepare()
        self._started = self._means.clock()  # the wait for money and a slot is not the model's time
        charged = Cost(0.0)
        try:
            self._announce(ready)
            if ready and (endpoint := await self._resolve(ready.card)):
                async with aclosing(self._open(ready).events(endpoint)) as events:
                    async for event in events:
                        if isinstance(event, ModelReply | CallFault):
                            self._result = event
                        elif self._call.hands_on:
                            self.handed_on.append(event.text if isinstance(event, TextDelta) else "")
                            yield event
        finally:  # also when cancelled: then there is no result
            if ready:
                ready.slot.release()
                charged = self._cost(ready.card)
                ready.reservation.settle(charged)
            self._end(charged)

    async def _prepare(self) -> _Ready | None:
        """What the exchange needs; None where the model cannot be asked, with the reason as the result."""
        try:
            card = self._card()
            dialect = codec(card.dialect)
            request = _for(card, self._request)
            encoded, reservation = await afford(self._call.purse, request, card, dialect, within=self._left())
        except TimeoutError:
            text = f"step {self._call.step!r}: the deadline passed while other attempts held the money"
            raise DeadlineExceeded(text) from None
        except CallError:
            raise
        except ConfigError as error:
            self._cannot_ask(error)
        except Exception as error:  # noqa: BLE001  # a codec's bug must not end the run
            text = f"the request cannot be written for {self._ladder.model}: {type(error).__name__}: {error}"
            self._result = CallFault(Trigger.bad_request, text, sent="no")
        else:
            return _Ready(card, dialect, encoded, reservation, await self._slot(reservation))
        return None

    async def _slot(self, reservation: Reservation) -> Slot:
        """A slot of the model; whoever leaves while it waits gives the money back."""
        call, model = self._call, self._ladder.model
        weight = WEIGHTS[call.priority]
        try:
            return await self._means.slots.hold(
                model, run=call.recorder.run, rank=call.rank, weight=weight, within=self._left()
            )
        except BaseException as end:
            reservation.settle(Cost(0.0))
            if isinstance(end, TimeoutError):
                text = f"step {call.step!r}: the deadline passed while other calls held every slot of {model}"
                raise DeadlineExceeded(text) from None
            raise

    def _card(self) -> ModelCard:
        models = self._means.models
        if self._ladder.model not in models:
            raise ConfigError(f"model {self._ladder.model!r} is not in the fleet; known: {', '.join(models)}")
        return models[self._ladder.model]

    async def _resolve(self, card: ModelCard) -> Endpoint | None:
        try:
            async with asyncio.timeout(self._left()):
                return await self._means.endpoints.resolve(card)
        except ConfigError as error:
            self._cannot_ask(error)
        except TimeoutError:
            self._result = CallFault(Trigger.timeout, f"{card.name} was not ready in time", sent="no")
        except Exception as error:  # noqa: BLE001  # a stranger's endpoints must not end the run
            text = f"the endpoint of {card.name} cannot be had: {type(error).__name__}: {error}"
            self._result = CallFault(Trigger.connection, text, sent="no")
        return None

    def _open(self, ready: _Ready) -> Exchange:
        means, timeouts = self._means, ready.card.timeouts
        self._deadlines = Deadlines(timeouts, self._call.deadline, means.clock, streamed=ready.encoded.stream)
        self._exchange = Exchange(means.transport, ready.dialect, ready.encoded, timeouts, self._deadlines)
        return self._exchange

    def _left(self) -> float:
        return self._call.deadline - self._means.clock()

    def _cannot_ask(self, error: ConfigError) -> None:
        """The model cannot be asked as things stand: like a dead key, only another model helps."""
        self.error = error
        self._result = CallFault(Trigger.auth, str(error), sent="no")

    def _announce(self, ready: _Ready | None) -> None:
        ladder = self._ladder
        self._write(
            AttemptStarted(
                attempt=self.record.id,
                model=ladder.model,
                turn=self._call.turn,
                rung=ladder.rung,
                degraded=ladder.degraded,
                notes=ready.encoded.notes if ready else (),
                reserved=ready.reservation.usd if ready and self._call.purse.cap is not None else None,
            )
        )

    def _cost(self, card: ModelCard) -> Cost:
        """Reported tokens where there are any, else counted ones; an attempt refused with an error costs nothing."""
        if isinstance(self._result, ModelReply) and self._result.usage is not None:
            return cost(card.price, self._result.usage)
        if self._exchange is None or not self._exchange.arrived:
            return Cost(0.0)
        read = message_tokens(self._request.messages, self._request.tools)
        return cost(card.price, Usage(read, estimate(self._raw())), estimated=True)

    def _raw(self) -> str:
        if isinstance(self._result, ModelReply):
            return self._result.raw
        if isinstance(self._result, CallFault):
            return self._result.partial_text
        return self._exchange.text if self._exchange else ""

    def _end(self, charged: Cost) -> None:
        result, exchange, raw = self._result, self._exchange, self._raw()
        reply = result if isinstance(result, ModelReply) else None
        fault = result if isinstance(result, CallFault) else None
        self.record = replace(
            self.record,
            trigger=fault.trigger if fault else None,
            evidence=(fault.text,) if fault else (),
            sent=fault.sent if fault else exchange.sent if exchange else "no",
            usage=reply.usage if reply else None,
            cost=charged,
            seconds=self._means.clock() - self._started,
            first_token=self._deadlines.first_token if self._deadlines else None,
            wire_model=reply.wire_model if reply else None,
            raw_sha256=hashlib.sha256(raw.encode(errors="surrogatepass")).hexdigest() if raw else "",
        )
        one = self.record
        self._write(
            AttemptEnded(
                attempt=one.id,
                model=one.model,
                wire_model=one.wire_model,
                trigger=one.trigger,
                status=exchange.status if exchange else None,
                sent=one.sent,
                finish=reply.finish if reply else None,
                usage=one.usage,
                cost=one.cost,
                seconds=one.seconds,
                first_token=one.first_token,
                raw_sha256=one.raw_sha256,
                raw=raw,
            )
        )

    def _write(self, event: AttemptStarted | AttemptEnded) -> None:
        self._call.recorder.record(self._call.step, event)


def _for(card: ModelCard, request: Request) -> Request:
    """As this model is asked: an embedded one is held to the grammar, whoever was asked before it."""
    held = request.grammar is not None and card.weights is not None
    return replace(request, output_schema=request.grammar) if held else request


def _with_feedback(request: Request, feedback: str) -> Request:
    """The refused reply itself never enters history; only the words about it do, and only for this attempt."""
    return replace(request, messages=(*request.messages, Message.user(feedback))) if feedback else request
