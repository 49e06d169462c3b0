"""How much of a plan lies behind each step: what goes first where models are scarce, and how time is shared out."""

from __future__ import annotations

from collections.abc import Collection

from orchestra.planning.graph import order
from orchestra.types import Plan, Step


def remaining(plan: Plan, done: Collection[str] = ()) -> dict[str, float]:
    """For each step that is not `done` the weight of the heaviest path from it, itself included, to the plan's end.

    In the order of `order`. The largest value is the critical path's. Raises PlanError where the plan has a cycle.
    """
    steps = [step for step in order(plan) if step.id not in done]
    behind = dict.fromkeys((step.id for step in steps), 0.0)
    paths: dict[str, float] = {}
    for step in reversed(steps):
        paths[step.id] = weight(step) + behind[step.id]
        for need in step.needs:
            if need in behind:
                behind[need] = max(behind[need], paths[step.id])
    return {step.id: paths[step.id] for step in steps}


def weight(step: Step) -> float:
    """Expected turns: a step with tools calls once and answers once, one without only answers."""
    return 2.0 if step.tools else 1.0
