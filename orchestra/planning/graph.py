"""The DAG of a plan: execution order, where it ends, and its cycles."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush
from typing import cast

from orchestra.errors import PlanError
from orchestra.types import Plan, Step


def order(plan: Plan) -> tuple[Step, ...]:
    """The steps so that each comes after its needs, otherwise in the plan's own order.

    The same plan always gives the same order. Raises PlanError where the plan has a cycle.
    """
    place = {step.id: at for at, step in enumerate(plan.steps)}
    sorter = _sorter(plan)
    try:
        sorter.prepare()
    except CycleError:
        text = "; ".join(map(" → ".join, cycles(plan)))
        raise PlanError(f"a plan with a cycle has no order: {text}", faults=(f"cycle: {text}",)) from None
    waiting: list[int] = []
    done: list[Step] = []
    while sorter.is_active():
        for step_id in sorter.get_ready():
            heappush(waiting, place[step_id])
        step = plan.steps[heappop(waiting)]
        sorter.done(step.id)
        done.append(step)
    return tuple(done)


def sinks(plan: Plan) -> tuple[Step, ...]:
    """The steps, in plan order, whose result no other step needs."""
    needed = {need for step in plan.steps for need in step.needs}
    return tuple(step for step in plan.steps if step.id not in needed)


def cycles(plan: Plan) -> tuple[tuple[str, ...], ...]:
    """Cycles that share no step, each as ids along `needs` with the first repeated at the end; () for a DAG."""
    found: list[tuple[str, ...]] = []
    left = Plan(plan.task, plan.steps)
    while cycle := _cycle(left):
        found.append(cycle)
        left = Plan(plan.task, tuple(step for step in left.steps if step.id not in cycle))
    return tuple(found)


def _cycle(plan: Plan) -> tuple[str, ...]:
    try:
        _sorter(plan).prepare()
    except CycleError as error:
        # graphlib lists a cycle from the needed to the needing; people read "a needs b"
        return tuple(reversed(cast("list[str]", error.args[1])))
    return ()


def _sorter(plan: Plan) -> TopologicalSorter[str]:
    known = {step.id for step in plan.steps}
    return TopologicalSorter({step.id: [need for need in step.needs if need in known] for step in plan.steps})
