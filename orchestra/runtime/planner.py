"""Task and tools → Plan: the planner is a step like any other, and its faults go the way of every bad answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from orchestra.errors import Exhausted
from orchestra.ledger import Planned, StepEnded, StepStarted
from orchestra.planning import faults, order, plan_messages, plan_schema, read_plan, single_step, with_answer
from orchestra.runtime.conversation import Ask, Conversation
from orchestra.runtime.engine import Engine
from orchestra.runtime.scope import RunScope
from orchestra.types import Attempt, Json, Plan, Step, ToolSpec


async def make_plan(
    engine: Engine,
    scope: RunScope,
    task: str,
    tools: Sequence[ToolSpec],
    *,
    max_steps: int,
    background: str = "",
    temperature: float | None = None,
) -> Plan:
    """A plan without faults.

    A plan with faults is a `bad_output`: by the recovery table it goes back once with the exact faults, then to a
    stronger model; where nothing is left the task becomes a single step flagged `single_step`.
    Raises CallError where no model answered at all.
    """
    names = tuple(tool.name for tool in tools)

    def check(value: Json) -> tuple[str, ...]:
        return faults(read_plan(task, value), names, max_steps)  # the schema has been checked: it is a plan

    step = Step(id="plan", kind="plan", goal="Split the task into steps")
    scope.recorder.record(step.id, StepStarted(step.goal, step.kind))
    ask = Ask(
        step=step,
        messages=plan_messages(task, tools, background=background, max_steps=max_steps),
        output_schema=plan_schema(tools, max_steps),
        check=check,
        temperature=temperature,
    )
    conversation = Conversation(engine, scope, ask)
    try:
        reply = await conversation.turn()
        plan, model = _in_order(read_plan(task, reply.output)), reply.model
    except Exhausted as end:
        if not _answered(end.attempts):
            raise
        plan, model = single_step(task, tools), conversation.model
    refused = tuple(fault for one in conversation.attempts for fault in one.evidence)
    scope.recorder.record(step.id, Planned(plan, 1, refused))
    scope.recorder.record(step.id, StepEnded("done", model, conversation.turns, conversation.degraded))
    return plan


def _in_order(plan: Plan) -> Plan:
    """The plan as it is executed: needs first, and one last step that answers."""
    ended = with_answer(plan)
    return replace(ended, steps=order(ended))


def _answered(attempts: Sequence[Attempt]) -> bool:
    """Whether a model answered, however badly: an outage is no reason to go on without a plan."""
    return any(one.trigger is not None and one.trigger.fault == "model" for one in attempts)
