"""The open spans of one run: the agent's, its steps', its calls' to models, its tools'."""

from __future__ import annotations

from functools import singledispatchmethod

from opentelemetry.context import Context
from opentelemetry.trace import Span, set_span_in_context

from orchestra.ledger.events import (
    AttemptEnded,
    AttemptStarted,
    BreakerChanged,
    Decided,
    Event,
    Judged,
    RunEnded,
    RunResumed,
    RunStarted,
    StepEnded,
    StepStarted,
    ToolEnded,
    ToolStarted,
    Waited,
)
from orchestra.ledger.sinks import semconv as names
from orchestra.ledger.sinks.call_spans import CallSpans
from orchestra.ledger.sinks.instruments import Attributes
from orchestra.ledger.sinks.telemetry import Telemetry, given, message, nanoseconds
from orchestra.types import ModelCard

SINGLE_CALL = "complete"
"""The agent of a run that is one call: it has no agent's span, only the call's."""


class RunSpans:
    """Spans of one run by what began them; what is never ended is ended with its step or the run."""

    def __init__(self, telemetry: Telemetry, run: str) -> None:
        self._telemetry, self._run = telemetry, run
        self._agent: Span | None = None
        self._cards: dict[str, ModelCard] = {}
        self._steps: dict[str, Span] = {}
        self._calls: list[CallSpans] = []
        self._tools: dict[tuple[str, str], Span] = {}

    @singledispatchmethod
    def take(self, event: Event, step: str, at: float) -> None:
        """What an event of a step says of the spans, `at` Unix seconds; one that is not registered here: nothing."""

    @take.register(RunStarted)
    @take.register(RunResumed)
    def _(self, event: RunStarted | RunResumed, _step: str, at: float) -> None:
        self._leave(at)
        if event.agent == SINGLE_CALL:
            return
        about = {names.OPERATION: names.INVOKE_AGENT, names.AGENT: event.agent, names.RUN: self._run}
        self._agent = self._telemetry.span(f"{names.INVOKE_AGENT} {event.agent}", at, None, given(about))
        if isinstance(event, RunStarted):
            self._telemetry.write(self._agent, names.INPUT_MESSAGES, message("user", event.task))

    @take.register
    def _(self, event: RunEnded, _step: str, at: float) -> None:
        if span := self._agent:
            span.set_attribute(names.STATE, event.state)
            answer = message("assistant", event.answer, finish_reason="stop")
            self._telemetry.write(span, names.OUTPUT_MESSAGES, answer)
            if event.state in ("failed", "cancelled"):
                self._telemetry.fail(span, event.state, [event.reason])
        self._leave(at)

    @take.register
    def _(self, event: StepStarted, step: str, at: float) -> None:
        about = self._of(step) | {names.KIND: event.kind}
        self._steps[step] = self._telemetry.span(f"step {step}", at, self._below(""), about)

    @take.register
    def _(self, event: StepEnded, step: str, at: float) -> None:
        self._leave_calls(of=step)
        if span := self._steps.pop(step, None):
            span.set_attributes({names.STATE: event.state, names.DEGRADED: event.degraded})
            if event.state == "failed":
                self._telemetry.fail(span, event.trigger.value if event.trigger else names.OTHER, event.evidence)
            span.end(nanoseconds(at))

    @take.register
    def _(self, event: Decided, _step: str, _at: float) -> None:
        self._cards |= {one.card.name: one.card for one in event.decision.candidates}

    @take.register
    def _(self, event: Waited, step: str, at: float) -> None:
        began = at - event.seconds
        about = given({names.WHY: event.why, names.MODEL: event.model, names.KEY: event.key, names.PLACE: event.place})
        span = self._telemetry.span("wait", began, self._called(event, step, began).context, about)
        span.end(nanoseconds(at))
        self._telemetry.instruments.wait(event)

    @take.register
    def _(self, event: AttemptStarted, step: str, at: float) -> None:
        self._called(event, step, at).started(event, self._cards.get(event.model), at)

    @take.register
    def _(self, event: AttemptEnded, step: str, at: float) -> None:
        if call := self._awaiting(step, event.attempt):
            call.ended(event, at)

    @take.register
    def _(self, event: Judged, step: str, at: float) -> None:
        call = self._awaiting(step, event.attempt)
        if call and call.judged(event, at):
            self._calls.remove(call)

    @take.register
    def _(self, event: BreakerChanged, _step: str, _at: float) -> None:
        self._telemetry.instruments.breaker(event)

    @take.register
    def _(self, event: ToolStarted, step: str, at: float) -> None:
        about = {names.TOOL: event.tool, names.TOOL_CALL: event.call, names.TOOL_TYPE: "function"}
        title = f"{names.EXECUTE_TOOL} {event.tool}"
        about |= self._of(step) | {names.OPERATION: names.EXECUTE_TOOL}
        span = self._tools[step, event.call] = self._telemetry.span(title, at, self._below(step), about)
        self._telemetry.write(span, names.TOOL_ARGUMENTS, dict(event.arguments))

    @take.register
    def _(self, event: ToolEnded, step: str, at: float) -> None:
        if span := self._tools.pop((step, event.call), None):
            self._telemetry.write(span, names.TOOL_RESULT, event.result)
            if event.trigger:
                self._telemetry.fail(span, event.trigger.value)
            span.end(nanoseconds(at))

    def _called(self, event: Waited | AttemptStarted, step: str, at: float) -> CallSpans:
        """The call that the event belongs to, which it may begin.

        Where events do not say of which call they are, one with an attempt under way is another one: attempts of a
        call follow each other.
        """
        for call in self._calls:
            if (call.step, call.id) == (step, event.call) and (event.call or not call.busy):
                return call
        card, below = self._cards.get(event.model), self._below(step)
        call = CallSpans(self._telemetry, event, step, card, at, below=below, about=self._of(step))
        self._calls.append(call)
        return call

    def _awaiting(self, step: str, attempt: str) -> CallSpans | None:
        """The call that awaits the end of this attempt, or its verdict."""
        return next((call for call in self._calls if call.step == step and call.awaits(attempt)), None)

    def _of(self, step: str) -> Attributes:
        return given({names.RUN: self._run, names.STEP: step})

    def _below(self, step: str) -> Context | None:
        span = self._steps.get(step) or self._agent
        return set_span_in_context(span) if span else None

    def _leave_calls(self, of: str | None = None) -> None:
        """Leave the calls of a step, None: of all."""
        for call in [call for call in self._calls if of in (None, call.step)]:
            call.leave()
            self._calls.remove(call)

    def _leave(self, at: float) -> None:
        """End all that is open, children before their parents."""
        self._leave_calls()
        for span in (*self._tools.values(), *self._steps.values(), *([self._agent] if self._agent else ())):
            span.end(nanoseconds(at))
        self._tools.clear()
        self._steps.clear()
        self._agent = None
