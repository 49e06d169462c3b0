"""What follows a plan that no longer works: what is finished is kept, the rest is planned anew."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from orchestra.planning.answer import with_answer
from orchestra.planning.graph import sinks
from orchestra.types import Plan, Step


@dataclass(frozen=True, slots=True)
class Known:
    """What a new plan starts from: why it is needed, results by id of the finished steps, what else was done.

    `acts` are calls of unfinished steps that changed something, in words: a new plan must not repeat them.
    """

    reason: str
    results: Mapping[str, str] = field(default_factory=dict[str, str])
    acts: tuple[str, ...] = ()


def merged(plan: Plan, kept: Collection[str], new: Plan) -> Plan:
    """The kept steps of `plan`, then those of `new` as the planner wrote them: what `faults` is to look at."""
    flags = tuple(dict.fromkeys((*plan.flags, *new.flags)))
    return Plan(plan.task, (*_finished(plan, kept), *new.steps), flags)


def joined(plan: Plan, kept: Collection[str], taken: Collection[str]) -> Plan:
    """A merged plan without faults, ended in one step that also sees every kept result nobody else needs.

    `taken` are step ids that were used before and may not come again.
    """
    new = with_answer(Plan(plan.task, tuple(step for step in plan.steps if step.id not in kept)), taken)
    whole = Plan(plan.task, (*_finished(plan, kept), *new.steps), plan.flags)
    loose = tuple(step.id for step in sinks(whole) if step.id in kept)
    last = sinks(new)[0]
    if last.tools and loose:  # it has work of its own to do: another joins its result with theirs
        return with_answer(whole, taken)
    steps = (replace(step, needs=(*step.needs, *loose)) if step is last else step for step in whole.steps)
    return replace(whole, steps=tuple(steps))


def fresh_ids(plan: Plan, count: int) -> tuple[str, ...]:
    """`count` ids in the planner's spelling (s1, s2, …), numbered on after those of `plan`."""
    numbers = [int(step.id[1:]) for step in plan.steps if step.id[:1] == "s" and step.id[1:].isdecimal()]
    first = max(numbers, default=0) + 1
    return tuple(f"s{number}" for number in range(first, first + count))


def _finished(plan: Plan, kept: Collection[str]) -> tuple[Step, ...]:
    steps = (step for step in plan.steps if step.id in kept)
    return tuple(replace(step, needs=tuple(need for need in step.needs if need in kept)) for step in steps)
