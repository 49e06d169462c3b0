"""One step's exchange with models: decided once, moved only by recovery."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from orchestra.checks import Expect, parse_output
from orchestra.dispatch import Accepted, Call
from orchestra.errors import CallError, Exhausted
from orchestra.ledger import Judged
from orchestra.recovery import Ladder, Move, next_move
from orchestra.routing import features, prompt_cache
from orchestra.runtime.engine import Engine
from orchestra.runtime.scope import RunScope
from orchestra.types import (
    Action,
    Attempt,
    Cost,
    Decision,
    Earlier,
    End,
    Json,
    Message,
    Reply,
    Request,
    Settings,
    Step,
    StepContext,
    StreamEvent,
    ToolCall,
    ToolCallReady,
    ToolChoice,
    ToolSpec,
    Trigger,
    Upstream,
    UsageReported,
    Verdict,
)


@dataclass(frozen=True, slots=True)
class Ask:
    """What a step asks of its model.

    `check` finds faults in a parsed structured answer beyond its schema. `max_tokens` beats routing's own setting.
    """

    step: Step
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    output_schema: Mapping[str, Json] | None = None
    check: Callable[[Json], Sequence[str]] | None = None
    parallel_tools: bool | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    extra: Mapping[str, Json] = field(default_factory=dict[str, Json])
    upstream: tuple[Upstream, ...] = ()


class Conversation:
    """A step's messages, who serves it and how far up the ladder it stands; one turn after the other."""

    def __init__(self, engine: Engine, scope: RunScope, ask: Ask) -> None:
        self.engine, self.scope, self.ask = engine, scope, ask
        self.messages = list(ask.messages)
        self.calls = [part for message in ask.messages for part in message.parts if isinstance(part, ToolCall)]
        self.sound = (len(self.messages), len(self.calls))  # messages and calls up to which nothing has failed
        self.attempts: list[Attempt] = []
        self.turns = 0
        self.cost = Cost(0.0)
        self.degraded = False
        self.decision: Decision = engine.record_decision(scope, self.context())
        self.ladder = Ladder.start(self.decision)

    @property
    def model(self) -> str:
        """The model that serves the step now."""
        return self.ladder.model

    def context(self) -> StepContext:
        """The step as policies see it at this moment."""
        ask, limits = self.ask, self.scope.limits
        return StepContext(
            step=ask.step,
            output_tokens=ask.max_tokens,
            structured=ask.output_schema is not None,
            upstream=ask.upstream,
            history=tuple(self.scope.history),
            tenant=limits.tenant,
            priority=limits.priority,
            deadline=self.scope.deadline - self.engine.clock(),
            money_left=self.scope.purse.unspent,
            allow_unknown_price=limits.allow_unknown_price,
            data_tags=limits.data_tags,
            mode=limits.mode,
            draw=self.engine.draw(),
            signals={"today": self.engine.today()},
            **features(self.messages, ask.tools),
            **prompt_cache(self.messages, self.engine.fleet.models),
        )

    async def turn(self, *, tool_choice: ToolChoice = "auto") -> Reply:
        """One accepted reply, appended to the messages. Raises the CallError that ended it."""
        async with aclosing(self.stream(tool_choice=tool_choice, commit=False)) as events:
            async for event in events:
                if isinstance(event, End):
                    return event.reply
        raise AssertionError("a stream ends with End or raises")

    async def stream(self, *, tool_choice: ToolChoice = "auto", commit: bool = True) -> AsyncGenerator[StreamEvent]:
        """The turn as events; with `commit` text is handed on as it arrives and is then final."""
        try:
            async with aclosing(self.engine.dispatcher.stream(self._call(tool_choice, commit))) as events:
                async for event in events:
                    if not isinstance(event, Accepted):
                        yield event
                        continue
                    for last in self._closing(self._accept(event)):
                        yield last
        except CallError as end:
            self._remember(end.attempts)
            raise

    def _closing(self, reply: Reply) -> Iterator[StreamEvent]:
        yield from (ToolCallReady(call) for call in reply.tool_calls)
        if reply.usage:
            yield UsageReported(reply.usage)
        yield End(reply)

    def add(self, results: Message, *, sound: bool) -> None:
        """A turn's tool results. A turn is `sound` unless every call in it failed, and failed without any effect."""
        self.messages.append(results)
        if sound:
            self.sound = (len(self.messages), len(self.calls))

    def recover(self, verdict: Verdict) -> Move:
        """What to do about a failure that a tool showed; the ladder moves accordingly.

        A stronger model starts after the last sound turn: shown what the weaker one got wrong, models repeat it.
        Raises Exhausted where the table says that nothing is left to try.
        """
        move = next_move(self.engine.recovery, self.decision, self.ladder, verdict)
        last = self.attempts[-1] if self.attempts else None
        self.scope.recorder.record(
            self.ask.step.id,
            Judged(
                attempt=last.id if last else "",
                model=self.model,
                trigger=verdict.trigger,
                evidence=verdict.evidence,
                action=move.action,
                to_model=move.to_model,
                reason=move.reason,
                feedback=move.feedback,
            ),
        )
        self.scope.history.append(Earlier(self.ask.step.id, self.model, verdict.trigger))
        if move.action not in (Action.repair, Action.retry, Action.sibling, Action.escalate):
            assert verdict.trigger is not None
            text = f"step {self.ask.step.id!r}: {verdict.trigger}: {'; '.join(verdict.evidence)}; {move.reason}"
            raise Exhausted(text, trigger=verdict.trigger, evidence=verdict.evidence, attempts=tuple(self.attempts))
        if move.to_model != self.model:
            messages, calls = self.sound
            del self.messages[messages:], self.calls[calls:]
        elif verdict.trigger is Trigger.no_progress:  # of a tool's error its result speaks; of this nothing does
            self.messages.append(Message.user(move.feedback))
        self.ladder = move.ladder
        return move

    def _call(self, tool_choice: ToolChoice, commit: bool) -> Call:  # noqa: FBT001  # dispatch's own word, passed on
        ask, chosen = self.ask, self.decision.settings
        settings = Settings(ask.max_tokens or chosen.max_tokens, chosen.reasoning_effort)
        return Call(
            request=Request(
                messages=tuple(self.messages),
                tools=ask.tools,
                tool_choice=tool_choice,
                parallel_tools=ask.parallel_tools,
                output_schema=ask.output_schema,
                settings=settings,
                temperature=ask.temperature,
                seed=ask.seed,
                stop=ask.stop,
                logprobs=self.engine.min_logprob is not None,
                extra=ask.extra,
            ),
            decision=self.decision,
            expect=Expect(
                # a step that calls again where it was told to answer makes no progress; elsewhere "none" means none
                tools=ask.tools if tool_choice != "none" or self.turns else (),
                output_schema=ask.output_schema,
                require_call=tool_choice == "required",
                earlier_calls=tuple(self.calls),
                min_logprob=self.engine.min_logprob,
                check=ask.check,
            ),
            ladder=self.ladder,
            deadline=self.scope.deadline,
            purse=self.scope.purse,
            recorder=self.scope.recorder,
            step=ask.step.id,
            turn=self.turns,
            commit=commit,
        )

    def _accept(self, accepted: Accepted) -> Reply:
        self._remember(accepted.attempts)
        self.turns += 1
        self.ladder = accepted.ladder
        self.cost += accepted.cost
        self.degraded |= accepted.degraded
        reply = accepted.reply
        message = Message("assistant", reply.parts)
        self.messages.append(message)
        self.calls.extend(reply.tool_calls)
        schema = self.ask.output_schema
        output = parse_output(reply.text, schema)[0] if schema is not None and not reply.tool_calls else None
        return Reply(
            text=reply.text,
            model=accepted.ladder.model,
            message=message,
            wire_model=reply.wire_model,
            tool_calls=reply.tool_calls,
            output=output,
            finish=reply.finish,
            usage=reply.usage,
            cost=self.cost,
            decisions=(self.decision,),
            attempts=tuple(self.attempts),
            degraded=self.degraded,
            run=self.scope.run,
        )

    def _remember(self, attempts: Sequence[Attempt]) -> None:
        self.attempts.extend(attempts)
        step = self.ask.step.id
        self.scope.history.extend(Earlier(step, one.model, one.trigger) for one in attempts if one.trigger)
