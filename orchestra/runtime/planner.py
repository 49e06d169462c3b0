"""Task and tools → Plan: the planner is a step like any other, and its faults go the way of every bad answer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestra.errors import BudgetExceeded, Exhausted, NoCandidate
from orchestra.ledger import Planned, StepEnded, StepStarted
from orchestra.planning import (
    Known,
    copied,
    faults,
    joined,
    merged,
    order,
    ordered_plan_schema,
    plan_messages,
    plan_schema,
    read_plan,
    replan_messages,
    single_step,
    with_answer,
)
from orchestra.runtime.ask import Ask, Writing
from orchestra.runtime.cap import budget_question
from orchestra.runtime.conversation import Conversation
from orchestra.runtime.engine import Engine
from orchestra.runtime.journal import Journal, digest
from orchestra.runtime.questions import Answer
from orchestra.runtime.scope import RunScope
from orchestra.runtime.toolcalls import ask
from orchestra.types import Attempt, Json, Message, Plan, Step, ToolSpec, from_json


@dataclass(frozen=True, slots=True)
class Order:
    """What a plan is made for: a task, tools, at most so many steps, and what the planner is told beforehand.

    `schemas`: what is accepted as a first plan, and the part of it that an embedded model is held to.
    """

    task: str
    tools: tuple[ToolSpec, ...]
    max_steps: int
    schemas: tuple[Mapping[str, Json], Mapping[str, Json]]
    background: str = ""
    temperature: float | None = None
    answers: Mapping[str, Answer] | None = None


async def make_plan(engine: Engine, scope: RunScope, order: Order) -> Plan:
    """The first plan, without faults.

    A plan with faults is a `bad_output`: by the recovery table it goes back once with the exact faults, then to a
    stronger model; where nothing is left the task becomes a single step flagged `single_step`.
    Raises CallError where no model answered at all, Waiting where a person has to raise the money cap.
    """
    names = tuple(tool.name for tool in order.tools)
    planner = Planner(engine, scope, order, version=1)

    def read(value: Json) -> Plan:
        return read_plan(order.task, value)

    try:
        return await planner.plan(
            plan_messages(order.task, order.tools, background=order.background, max_steps=order.max_steps),
            order.schemas,
            read,
            lambda plan: faults(plan, names, order.max_steps),
            with_answer,
        )
    except Exhausted as end:
        if not _answered(end.attempts):
            raise
        return planner.take(with_answer(single_step(order.task, order.tools)))


async def make_new_plan(
    engine: Engine, scope: RunScope, order: Order, plan: Plan, known: Known, *, version: int, taken: Collection[str]
) -> Plan:
    """The plan that follows `plan`: what is finished is kept, the rest is planned anew for the reason in `known`.

    `taken` are the ids of the steps of `plan` and of all plans before it: none comes again.

    Raises CallError where no model brought a plan without faults, Waiting where a person has to raise the money cap.
    """
    names = tuple(tool.name for tool in order.tools)
    planner = Planner(engine, scope, order, version=version, kept=tuple(known.results), reason=known.reason)

    def read(value: Json) -> Plan:
        return merged(plan, known.results, read_plan(order.task, value))

    kept = tuple(known.results)
    return await planner.plan(
        replan_messages(plan, order.tools, known, background=order.background, max_steps=order.max_steps),
        (
            plan_schema(order.tools, order.max_steps, before=plan, kept=kept),
            ordered_plan_schema(order.tools, order.max_steps, before=plan, kept=kept),
        ),
        read,
        lambda new: faults(new, names, order.max_steps + len(known.results)),
        lambda new: joined(new, known.results, taken),
    )


class Planner:
    """The planner's own step, for one version of a run's plan."""

    def __init__(
        self,
        engine: Engine,
        scope: RunScope,
        order: Order,
        *,
        version: int,
        kept: tuple[str, ...] = (),
        reason: str = "",
    ) -> None:
        self.engine, self.scope, self.order = engine, scope, order
        self.version, self.kept, self.reason = version, kept, reason
        self.step = Step(id="plan" if version == 1 else f"plan{version}", kind="plan", goal="Split the task into steps")
        known = engine.ledger.kept(scope.run, self.step.id) if scope.resumed else {}
        given = {"task": order.task, "background": order.background, "steps": str(order.max_steps), "reason": reason}
        asked = digest(self.step, given | {f"tool {one.name}": one.description for one in order.tools})
        self.journal = Journal(scope.recorder, self.step.id, asked, known)
        self.talk: Conversation | None = None

    async def plan(
        self,
        messages: tuple[Message, ...],
        schemas: tuple[Mapping[str, Json], Mapping[str, Json]],
        read: Callable[[Json], Plan],
        wrong: Callable[[Plan], Sequence[str]],
        ended: Callable[[Plan], Plan],
    ) -> Plan:
        """The plan that a model wrote, read and without faults; the kept one where it was made before.

        `schemas`: what is accepted, and the part of it that an embedded model is held to.
        """
        if known := self.journal.get("plan"):
            return from_json(Plan, known)
        if not self.journal.begun:
            self.journal.record(StepStarted(self.step.goal, self.step.kind), "begun", True)  # noqa: FBT003  # a mark

        def check(value: Json) -> Sequence[str]:
            plan = read(value)  # the schema has been checked: it is a plan
            return (*wrong(plan), *copied(plan, messages))

        accepted, grammar = schemas
        asked = Ask(
            self.step,
            messages,
            output_schema=accepted,
            grammar=grammar,
            check=check,
            writing=Writing(temperature=self.order.temperature),
        )
        try:
            self.talk = Conversation(self.engine, self.scope, asked, self.journal)
            kept = self.journal.get("0.reply")
            reply = self.talk.recall(kept) if kept else await self.talk.turn()
        except (BudgetExceeded, NoCandidate) as end:
            question = budget_question(self.scope, self.step, end, self.order.answers or {})
            if question is None:
                raise
            ask(self.scope, self.journal, [question])
            raise
        return self.take(ended(read(reply.output)))

    def take(self, plan: Plan) -> Plan:
        """The plan as it is executed, needs first; recorded and kept."""
        final = replace(plan, steps=order(plan))
        talk = self.talk
        refused = tuple(fault for one in (talk.attempts if talk else ()) for fault in one.evidence)
        made = Planned(final, self.version, refused, kept=self.kept, reason=self.reason)
        self.scope.recorder.record(self.step.id, made)
        done = StepEnded("done", talk.model, talk.turns, talk.degraded) if talk else StepEnded("done")
        self.journal.record(done, "plan", final)  # with the last row: a plan that is kept has ended
        return final


def _answered(attempts: Sequence[Attempt]) -> bool:
    """Whether a model answered, however badly: an outage is no reason to go on without a plan."""
    return any(one.trigger is not None and one.trigger.fault == "model" for one in attempts)
