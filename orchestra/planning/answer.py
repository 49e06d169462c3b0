"""Where a plan's answer comes from: its one last step, or a step of kind `answer` that joins several."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import count

from orchestra.errors import PlanError
from orchestra.planning.graph import sinks
from orchestra.types import Plan, Step, ToolSpec


def single_step(task: str, tools: Sequence[ToolSpec]) -> Plan:
    """The plan where planning failed: one step with every tool, flagged `single_step`."""
    step = Step(
        id="s1",
        goal="Carry out the task",
        tools=tuple(tool.name for tool in tools),
        tags=("single_step",),
        difficulty="hard",
    )
    return Plan(task, (step,), flags=("single_step",))


def with_answer(plan: Plan, taken: Collection[str] = ()) -> Plan:
    """The plan with exactly one last step, whose result is the answer; its id is none of `taken`.

    A plan that ends in one step is returned unchanged: another call would cost and could only garble
    its result. Otherwise a step of kind `answer` is added that needs every last step.
    """
    last = sinks(plan)
    if len(last) == 1:
        return plan
    step = Step(
        id=_free_id({*taken, *(step.id for step in plan.steps)}),
        goal="Answer the task",
        kind="answer",
        needs=tuple(step.id for step in last),
    )
    return replace(plan, steps=(*plan.steps, step))


def answer_step(plan: Plan) -> Step:
    """The step whose result is the answer. Raises PlanError unless the plan ends in one step (`with_answer`)."""
    last = sinks(plan)
    if len(last) != 1:
        ends = ", ".join(step.id for step in last) or "none"
        text = f"a plan must end in one step, this one ends in: {ends}; pass it through with_answer first"
        raise PlanError(text, faults=(text,))
    return last[0]


def _free_id(taken: Collection[str]) -> str:
    names = (f"answer{n}" if n > 1 else "answer" for n in count(1))
    return next(name for name in names if name not in taken)
