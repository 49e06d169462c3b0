"""The outer loop: a step's turns with its model and its tools until it has a result."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestra.checks import no_progress
from orchestra.errors import CallError, HumanNeeded, Refused
from orchestra.ledger import StepEnded, StepStarted, ToolEnded, ToolStarted
from orchestra.planning import step_messages
from orchestra.runtime.conversation import Ask, Conversation
from orchestra.runtime.engine import Engine
from orchestra.runtime.scope import RunScope
from orchestra.toolbox import Tool, ToolOutcome, execute
from orchestra.types import (
    Json,
    Message,
    OutcomeState,
    Plan,
    Reply,
    Step,
    Text,
    ToolCall,
    ToolChoice,
    ToolResult,
    Trigger,
    Upstream,
    Verdict,
)


@dataclass(frozen=True, slots=True)
class Work:
    """How steps are worked on: the tools at hand, turns at most, seconds per step."""

    tools: Mapping[str, Tool]
    max_turns: int = 6
    step_deadline: float = 300.0
    temperature: float | None = None


@dataclass(frozen=True, slots=True)
class StepResult:
    """How a step ended: its text, its parsed output where a schema asked for one, and by which model."""

    state: OutcomeState
    text: str = ""
    output: Json = None
    model: str | None = None
    turns: int = 0
    tokens: int = 0
    degraded: bool = False
    trigger: Trigger | None = None
    evidence: tuple[str, ...] = ()


async def run_step(
    engine: Engine, scope: RunScope, plan: Plan, step: Step, upstream: Mapping[str, StepResult], work: Work
) -> StepResult:
    """Run one step to its end; a failed step is a value. Only cancellation and configuration errors are raised."""
    scope.recorder.record(step.id, StepStarted(step.goal, step.kind, step.needs))
    if blocked := _blocked(plan, step, upstream):
        return _ended(scope, step, blocked)
    scope = dataclasses.replace(scope, deadline=min(scope.deadline, engine.clock() + work.step_deadline))
    talk: list[Conversation] = []
    try:
        result = await _converse(engine, scope, _ask(plan, step, upstream, work), work, talk)
    except CallError as error:
        result = _failed(error, talk)
    except Exception as error:
        _ended(scope, step, StepResult("failed", evidence=(f"{type(error).__name__}: {error}",)))
        raise
    return _ended(scope, step, result)


def _ask(plan: Plan, step: Step, upstream: Mapping[str, StepResult], work: Work) -> Ask:
    texts = {sid: result.text or f"(no result: {'; '.join(result.evidence)})" for sid, result in upstream.items()}
    return Ask(
        step=step,
        messages=step_messages(plan, step, texts),
        tools=tuple(work.tools[name].spec for name in step.tools),
        output_schema=step.output_schema,
        temperature=work.temperature,
        upstream=tuple(_outcome(plan, sid, result) for sid, result in upstream.items()),
    )


async def _converse(engine: Engine, scope: RunScope, ask: Ask, work: Work, talk: list[Conversation]) -> StepResult:
    conversation = Conversation(engine, scope, ask)
    talk.append(conversation)
    results: list[tuple[ToolCall, str]] = []
    for turn in range(work.max_turns):
        reply = await _reply(conversation, _tool_choice(turn, conversation, work))
        if not reply.tool_calls:
            return _done(reply, conversation)
        outcomes = await _run_tools(engine, scope, ask.step, reply, work, turn)
        conversation.add(Message("tool", tuple(outcome.result for outcome in outcomes)), sound=_sound(outcomes, work))
        results += [(call, _text(outcome.result)) for call, outcome in zip(reply.tool_calls, outcomes, strict=True)]
        verdict = no_progress(results)
        verdict = (_trouble(outcomes) or verdict) if verdict.accepted else verdict
        if not verdict.accepted and conversation.recover(verdict).to_model != reply.model:
            results.clear()  # another model starts with a clean record
    text = f"{work.max_turns} turns without a result"
    return StepResult(
        "failed", model=conversation.model, turns=work.max_turns, trigger=Trigger.no_progress, evidence=(text,)
    )


async def _reply(conversation: Conversation, choice: ToolChoice) -> Reply:
    try:
        return await conversation.turn(tool_choice=choice)
    except Refused as end:
        if choice != "required" or end.trigger is not Trigger.no_call:
            raise
        return await conversation.turn()  # no rung would call: the plan may be wrong about the tool


def _tool_choice(turn: int, conversation: Conversation, work: Work) -> ToolChoice:
    """A planned look-up is made, not guessed, by whichever model serves the step; the last turn must answer.

    A call is required only where every tool of the step is read-only: a needless look-up is harmless, a
    needless act is not.
    """
    ask = conversation.ask
    if not ask.tools or turn == work.max_turns - 1:
        return "none"
    planned = "single_step" not in ask.step.tags and not conversation.calls  # none in the history it was given
    return "required" if planned and all(tool.read_only for tool in ask.tools) else "auto"


async def _run_tools(
    engine: Engine, scope: RunScope, step: Step, reply: Reply, work: Work, turn: int
) -> Sequence[ToolOutcome]:
    async def run(call: ToolCall) -> ToolOutcome:
        tool = work.tools[call.name]
        spec = tool.spec
        arguments = call.arguments or {}
        scope.recorder.record(
            step.id, ToolStarted(call.id, call.name, turn, spec.read_only, spec.idempotent, arguments)
        )
        outcome = await execute(tool, call, timeout=max(0.0, scope.deadline - engine.clock()))
        scope.recorder.record(
            step.id,
            ToolEnded(call.id, call.name, outcome.trigger, outcome.seconds, outcome.size, _text(outcome.result)),
        )
        return outcome

    _refuse_unapproved(step, reply.tool_calls, work)
    if all(work.tools[call.name].spec.read_only for call in reply.tool_calls):
        return await asyncio.gather(*(run(call) for call in reply.tool_calls))
    return [await run(call) for call in reply.tool_calls]  # acts keep the order in which the model wrote them


def _refuse_unapproved(step: Step, calls: Sequence[ToolCall], work: Work) -> None:
    waiting = sorted({call.name for call in calls if work.tools[call.name].spec.needs_approval})
    if waiting:
        names = ", ".join(waiting)
        text = f"step {step.id!r} called {names}, which needs a person's approval; nothing of this reply was executed"
        raise HumanNeeded(text, trigger=Trigger.tool_rejected, evidence=(text,))


def _sound(outcomes: Sequence[ToolOutcome], work: Work) -> bool:
    """Whether a turn has to stay in history: something succeeded, or a failed act may have had an effect."""
    return any(
        outcome.trigger is None
        or not (outcome.trigger is Trigger.tool_rejected or work.tools[outcome.result.name].spec.read_only)
        for outcome in outcomes
    )


def _trouble(outcomes: Iterable[ToolOutcome]) -> Verdict | None:
    bad = [outcome for outcome in outcomes if outcome.trigger is not None]
    return Verdict(bad[0].trigger, tuple(_text(outcome.result) for outcome in bad)) if bad else None


def _blocked(plan: Plan, step: Step, upstream: Mapping[str, StepResult]) -> StepResult | None:
    critical = {one.id for one in plan.steps if one.critical}
    missing = [sid for sid in step.needs if upstream[sid].state != "done" and sid in critical]
    if not missing:
        return None
    return StepResult("skipped", evidence=(f"needs {', '.join(missing)}, which did not succeed",))


def _done(reply: Reply, conversation: Conversation) -> StepResult:
    return StepResult(
        "done",
        text=reply.text,
        output=reply.output,
        model=reply.model,
        turns=conversation.turns,
        tokens=reply.usage.output if reply.usage else 0,
        degraded=reply.degraded,
    )


def _failed(error: CallError, talk: Sequence[Conversation]) -> StepResult:
    trigger, evidence = (error.trigger, error.evidence) if isinstance(error, Refused) else (None, ())
    return StepResult(
        "failed",
        model=talk[0].model if talk else None,
        turns=talk[0].turns if talk else 0,
        trigger=trigger,
        evidence=evidence or (str(error),),
    )


def _ended(scope: RunScope, step: Step, result: StepResult) -> StepResult:
    scope.recorder.record(
        step.id,
        StepEnded(
            state=result.state,
            model=result.model,
            turns=result.turns,
            degraded=result.degraded,
            trigger=result.trigger,
            evidence=result.evidence,
            result=result.text,
        ),
    )
    return result


def _outcome(plan: Plan, sid: str, result: StepResult) -> Upstream:
    name = next(step.name or step.goal for step in plan.steps if step.id == sid)
    digest = hashlib.sha256(" ".join(result.text.split()).casefold().encode()).hexdigest()[:16]
    return Upstream(sid, result.state, name, result.model, result.tokens, digest, result.degraded)


def _text(result: ToolResult) -> str:
    return "".join(part.text for part in result.content if isinstance(part, Text))
