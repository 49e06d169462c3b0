"""What is wrong with a plan, in words the planner can act on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches

from orchestra.planning.graph import cycles
from orchestra.types import Plan, Step


def faults(plan: Plan, tools: Sequence[str], max_steps: int) -> tuple[str, ...]:
    """Everything that keeps `plan` from being executed with `tools`, one fault a line; () for a sound plan."""
    return (
        *_size(plan, max_steps),
        *_ids(plan),
        *(fault for step in plan.steps for fault in _step(step, plan, tools)),
        *_cycles(plan),
    )


def _size(plan: Plan, max_steps: int) -> Iterable[str]:
    if not plan.steps:
        yield "the plan has no steps; write at least one"
    if len(plan.steps) > max_steps:
        yield f"the plan has {len(plan.steps)} steps; at most {max_steps} are allowed"


def _ids(plan: Plan) -> Iterable[str]:
    for step_id, count in Counter(step.id for step in plan.steps).items():
        if not step_id.strip():
            yield "a step has an empty id; give every step an id of its own"
        elif count > 1:
            yield f"the id {step_id!r} is used by {count} steps; give every step an id of its own"


def _step(step: Step, plan: Plan, tools: Sequence[str]) -> Iterable[str]:
    if not step.goal.strip():
        yield f"step {step.id!r} has an empty goal; say what it must find out or do"
    ids = tuple(dict.fromkeys(other.id for other in plan.steps))
    for need in dict.fromkeys(step.needs):
        if need == step.id:
            yield f"step {step.id!r} needs itself; a step can only need other steps"
        elif need not in ids:
            yield f"step {step.id!r} needs {need!r}, which is no step{_nearest(need, ids)}; the steps are: {_list(ids)}"
    for name in dict.fromkeys(step.tools):
        if name not in tools:
            hint = f"{_nearest(name, tools)}; the tools are: {_list(tools)}"
            yield f"step {step.id!r} names an unknown tool {name!r}{hint}"


def _cycles(plan: Plan) -> Iterable[str]:
    # a step that needs itself has its own text above
    others = tuple(replace(step, needs=tuple(n for n in step.needs if n != step.id)) for step in plan.steps)
    for cycle in cycles(replace(plan, steps=others)):
        yield f"these steps wait for each other: {' needs '.join(cycle)}; remove one of these needs"


def _nearest(name: str, known: Sequence[str]) -> str:
    found = get_close_matches(name, known, n=1)
    return f" (did you mean {found[0]!r}?)" if found else ""


def _list(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
