"""One call to a model as whoever made it sees it: a span over all its attempts, and each attempt below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, set_span_in_context

from orchestra.ledger.events import AttemptEnded, AttemptStarted, Judged, Waited
from orchestra.ledger.sinks import semconv as names
from orchestra.ledger.sinks.instruments import Attributes
from orchestra.ledger.sinks.telemetry import Telemetry, given, message, money, nanoseconds, tokens
from orchestra.types import Cost, ModelCard, Usage


class CallSpans:
    """The spans of one call: begun by `event`, ended by a verdict or left.

    `at` is in Unix seconds. `context` is where what belongs to the call hangs.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        event: Waited | AttemptStarted,
        step: str,
        card: ModelCard | None,
        at: float,
        *,
        below: Context | None,
        about: Attributes,
    ) -> None:
        self.step, self.id = step, event.call
        self._telemetry, self._began, self._last = telemetry, at, at
        self._asked = telemetry.asked(card, event.model)
        title = f"{self._asked[names.OPERATION]} {self._asked[names.REQUEST_MODEL]}"
        about = about | self._asked | {names.MODEL: event.model}
        self._span = telemetry.span(title, at, below, about, SpanKind.CLIENT)
        self.context = set_span_in_context(self._span)
        self._attempts: dict[str, _Attempt] = {}
        self._number = 0
        self._used: Usage | None = None
        self._cost = Cost(0.0)

    @property
    def busy(self) -> bool:
        """Whether one of its attempts has no verdict yet."""
        return bool(self._attempts)

    def awaits(self, attempt: str) -> bool:
        """Whether that attempt is one of this call's and has no verdict yet."""
        return attempt in self._attempts

    def started(self, event: AttemptStarted, card: ModelCard | None, at: float) -> None:
        """Another request is about to be sent."""
        asked = self._telemetry.asked(card, event.model, event.place)
        about = given(
            {
                names.ATTEMPT: event.attempt,
                names.MODEL: event.model,
                names.STREAM: not event.whole or None,
                names.KEY: event.key,
                names.PLACE: event.place,
                names.RUNG: event.rung,
                names.DEGRADED: event.degraded,
                names.RESENT: self._number or None,
            }
        )
        # Neither operation nor tokens: whoever adds up the spans of a trace must not count a call twice.
        about |= {name: value for name, value in asked.items() if name != names.OPERATION}
        span = self._telemetry.span(f"attempt {event.model}", at, self.context, about, SpanKind.CLIENT)
        self._attempts[event.attempt] = _Attempt(span, asked, at, streamed=not event.whole)
        self._number, self._last = self._number + 1, at

    def ended(self, event: AttemptEnded, at: float) -> None:
        """A request has its reply or its fault; a verdict follows, unless the call is left."""
        attempt = self._attempts[event.attempt]
        attempt.end, self._last = event, at
        if event.wire_model:
            attempt.asked[names.RESPONSE_MODEL] = event.wire_model
        about = {names.RESPONSE_MODEL: event.wire_model, names.STATUS: event.status, names.SENT: event.sent}
        attempt.span.set_attributes(given(about) | money(event.cost))
        self._cost += event.cost
        if event.usage:
            self._used = (self._used or Usage()) + event.usage
        self._telemetry.instruments.attempt(event, attempt.asked)

    def judged(self, event: Judged, at: float) -> bool:
        """The verdict on an attempt; True where it ends the call: the reply is accepted, or nobody is asked again."""
        attempt = self._attempts.pop(event.attempt)
        error = event.trigger and event.trigger.value
        self._end_attempt(attempt, error, event.evidence)
        self._last = at
        if event.to_model is None:
            self._describe(attempt)
            self._end(error, event.evidence)
        return event.to_model is None

    def leave(self) -> None:
        """End a call that no verdict ended: it was cancelled, or out of time or money before its next attempt."""
        self._end(names.CANCELLED)

    def _end_attempt(self, attempt: _Attempt, error: str | None, evidence: Sequence[str] = ()) -> None:
        if error:
            self._telemetry.fail(attempt.span, error, evidence)
        attempt.span.end(nanoseconds(self._last))

    def _describe(self, last: _Attempt) -> None:
        """What the last attempt says of the whole call."""
        if (end := last.end) is None:
            return
        finish = end.finish or "error"
        waited = last.began - self._began
        first = waited + end.first_token if last.streamed and end.first_token is not None else None
        streamed = last.streamed or None
        about = given({names.RESPONSE_MODEL: end.wire_model, names.STREAM: streamed, names.FIRST_CHUNK: first})
        self._span.set_attributes(about | {names.FINISH_REASONS: [finish]})
        self._telemetry.write(self._span, names.OUTPUT_MESSAGES, message("assistant", end.raw, finish_reason=finish))
        if end.wire_model:
            self._asked[names.RESPONSE_MODEL] = end.wire_model

    def _end(self, error: str | None, evidence: Sequence[str] = ()) -> None:
        for attempt in self._attempts.values():  # under way still
            self._end_attempt(attempt, names.CANCELLED)
        used = tokens(self._used, self._telemetry.conventions)
        self._span.set_attributes({names.ATTEMPTS: self._number} | money(self._cost) | used)
        if error:
            self._asked[names.ERROR] = error
            self._telemetry.fail(self._span, error, evidence)
        self._span.end(nanoseconds(self._last))
        self._telemetry.instruments.call(max(0.0, self._last - self._began), self._asked)


@dataclass(slots=True)
class _Attempt:
    span: Span
    asked: Attributes
    began: float
    streamed: bool
    end: AttemptEnded | None = None
