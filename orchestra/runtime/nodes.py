"""The nodes of planner_executor: each takes the graph's state and returns what it adds to it."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypedDict, cast

from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer

from orchestra.checks import schema_fault
from orchestra.errors import CallError, ConfigError, Refused
from orchestra.ledger import HumanAnswered, Planned, RunStarted, StepEnded
from orchestra.planning import ordered_plan_schema, plan_schema
from orchestra.runtime.dropped import Dropped
from orchestra.runtime.engine import Engine
from orchestra.runtime.execution import execute_plan
from orchestra.runtime.finished import finished
from orchestra.runtime.outcome import known, outcome, results
from orchestra.runtime.person import ask_person
from orchestra.runtime.planner import Order, make_new_plan, make_plan
from orchestra.runtime.questions import Answer, Question, Waiting
from orchestra.runtime.runs import Runs
from orchestra.runtime.scope import Limits, RunScope, check_count, check_number
from orchestra.runtime.state import RunState
from orchestra.runtime.step_result import StepResult
from orchestra.runtime.steps import Work
from orchestra.runtime.versions import changes, fingerprints, part_changes, parts
from orchestra.types import Json, Plan, Step, check_settings, from_json, to_json


class Asked(TypedDict):
    """What one `ask` node is sent."""

    run: str
    question: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What an agent was built with; `background` is told to the planner, a step knows what its tools tell."""

    name: str
    max_steps: int
    limits: Limits
    work: Work
    background: str = ""

    def __post_init__(self) -> None:
        check_count("max_steps", self.max_steps)
        check_count("max_turns", self.work.max_turns)
        check_number("step_deadline", self.work.step_deadline, "seconds")
        check_settings(temperature=self.work.temperature)
        _check_form(self.work.step_output)


def _check_form(step_output: Any) -> None:
    if step_output is None:
        return
    if not isinstance(step_output, Mapping):
        raise ConfigError(
            f"step_output: expected a JSON Schema, such as Model.model_json_schema(), got {step_output!r}"
        )
    if fault := schema_fault(cast("Mapping[str, Json]", step_output)):
        raise ConfigError(f"step_output: the JSON Schema is not valid {fault}")


class Nodes:
    """plan, execute, ask, replan, finish; each takes the state and returns what it adds to it."""

    def __init__(self, engine: Engine, blueprint: Blueprint, runs: Runs) -> None:
        self.engine, self.blueprint, self.runs = engine, blueprint, runs
        self._specs = tuple(tool.spec for tool in blueprint.work.tools.values())
        most = blueprint.max_steps
        self._schemas = plan_schema(self._specs, most), ordered_plan_schema(self._specs, most)
        self._tools = fingerprints(blueprint.work.tools)
        self._parts = parts(blueprint, engine.fleet.fingerprint)

    async def plan(self, state: RunState, config: RunnableConfig) -> dict[str, Any]:
        """Task → plan; a plan that no model could be brought to write ends the run."""
        text: Any = state.get("task")
        if not isinstance(text, str) or not text.strip():
            raise ConfigError(f"{self.blueprint.name}: the input needs a 'task', a non-empty string; got {text!r}")
        fresh = {"started": time.time(), **self._version()}
        with self._at_work(state, config) as (scope, told):
            self._begun(scope, text)
            try:
                plan = await make_plan(self.engine, scope, self._order(state))
            except Waiting as end:
                return fresh | _questions(end.questions) | told()
            except CallError as error:
                _record_failure(scope, "plan", error)
                return fresh | _failed(f"planning failed: {error}") | told()
            return fresh | {"plan": to_json(plan), "version": 1, "questions": []} | told()

    async def execute(self, state: RunState, config: RunnableConfig) -> dict[str, Any]:
        """Plan → a result per step, as far as people need not be asked first; a failed step is a result too."""
        plan = from_json(Plan, state["plan"])
        with self._at_work(state, config, notes=self._changes(state, plan.steps)) as (scope, told):
            self._forked(scope, state)
            ended = await execute_plan(
                self.engine,
                scope,
                plan,
                self.blueprint.work,
                before=results(state),
                answers=_answers(state),
                replans=max(0, self.engine.recovery.max_replans - state.get("replans", 0)),
            )
            done = _saved({sid: one for sid, one in ended.items() if isinstance(one, StepResult)})
            asked = [question for one in ended.values() if not isinstance(one, StepResult) for question in one]
            return {"steps": state.get("steps", {}) | done, **_questions(asked)} | told()

    async def ask(self, asked: Asked) -> dict[str, Any]:
        """One question → one answer; an answer that cannot be read is asked again, with what is wrong with it."""
        question = from_json(Question, asked["question"])
        answer = ask_person(question, lambda edited: self._faults(question, edited))
        told = HumanAnswered(question.id, answer.decision, answer.text)
        self.engine.ledger.append(asked["run"], question.step, told)
        raised = {"budget": answer.usd} if answer.decision == "budget" else {}
        return {"answers": {question.id: to_json(answer)}, **raised}

    async def replan(self, state: RunState, config: RunnableConfig) -> dict[str, Any]:
        """What failed, or what has changed, → a new plan in which everything finished is kept."""
        plan = from_json(Plan, state["plan"])
        version = state.get("version", 1) + 1
        answers = _answers(state)
        with self._at_work(state, config, notes=self._changes(state)) as (scope, told):
            self._forked(scope, state)
            ended = finished(scope.recorder, plan, results(state))
            left = [step for step in plan.steps if step.id not in ended or ended[step.id].state != "done"]
            dropped = Dropped(self.engine, scope, self.blueprint.work.tools, left, ended)
            if questions := dropped.questions(answers):
                return _questions(questions) | told()
            acts = (*state.get("acts", ()), *dropped.acts(answers))
            taken = tuple(dict.fromkeys((*state.get("taken_ids", ()), *(step.id for step in plan.steps))))
            start = known(plan, ended, state.get("changed"), acts)
            try:
                order = self._order(state)
                new = await make_new_plan(self.engine, scope, order, plan, start, version=version, taken=taken)
            except Waiting as end:
                return _questions(end.questions) | told()
            except CallError as error:
                _record_failure(scope, f"plan{version}", error)
                return _failed(f"replanning failed: {error}") | {"steps": _saved(ended)} | told()
            dropped.end()
            counted = 0 if state.get("changed") else 1
            return {
                "plan": to_json(new),
                "version": version,
                "replans": state.get("replans", 0) + counted,
                "changed": None,
                "questions": [],
                "acts": list(acts),
                "taken_ids": list(taken),
                "steps": _saved({sid: ended[sid] for sid in start.results}),
            } | (self._version() | told())

    async def finish(self, state: RunState, config: RunnableConfig) -> dict[str, Any]:
        """Results → answer, or the reason why there is none, with what is known and what is missing."""
        out = outcome(state)
        with self._at_work(state, config) as (scope, told):
            self._forked(scope, state)
            out |= told()
            ended = "done" if out["state"] == "done" else "failed"
            self.runs.close(scope.run, ended, out["reason"], answer=out["answer"] or "")
        return out

    def _begun(self, scope: RunScope, text: str) -> None:
        """The run's first word, once."""
        engine = self.engine
        if scope.resumed and "begun" in engine.ledger.kept(scope.run, ""):
            return
        mode = scope.limits.mode or engine.router.mode
        event = RunStarted(self.blueprint.name, text, engine.fleet.fingerprint, mode)
        scope.recorder.record("", event, keep=("begun", True))

    def _forked(self, scope: RunScope, state: RunState) -> None:
        """A run that was forked from another begins with that one's plan, where it has any, and says so first."""
        if not (forked := state.get("forked")) or self._is_begun(scope.run):
            return
        self._begun(scope, state["task"])
        if plan := state.get("plan"):
            reason, kept = f"forked from run {forked}", tuple(state.get("steps", {}))
            planned = Planned(from_json(Plan, plan), state.get("version", 1), kept=kept, reason=reason)
            scope.recorder.record("plan", planned)

    def _is_begun(self, run: str) -> bool:
        """Whether the run has had its first word: by its journal, or by its rows where that is gone with its end."""
        rows = self.engine.ledger.events(run)
        return "begun" in self.engine.ledger.kept(run, "") or any(isinstance(row.event, RunStarted) for row in rows)

    def _order(self, state: RunState) -> Order:
        work = self.blueprint.work
        return Order(
            task=state["task"],
            tools=self._specs,
            max_steps=self.blueprint.max_steps,
            schemas=self._schemas,
            background=self.blueprint.background,
            temperature=work.temperature,
            answers=_answers(state),
        )

    def _version(self) -> dict[str, Any]:
        return {"tools": dict(self._tools), "agent": dict(self._parts)}

    def _changes(self, state: RunState, steps: Sequence[Step] = ()) -> tuple[str, ...]:
        """How the agent has changed since the plan was made, where these steps of it are still to be done."""
        run = state["run"]
        other = part_changes(run, state.get("agent", {}), self._parts)
        unfinished = [one for one in steps if one.id not in state.get("steps", {})]
        return changes(run, state.get("tools", {}), self._tools, unfinished) + other

    def _faults(self, question: Question, edited: Mapping[str, Json]) -> list[str]:
        tool = self.blueprint.work.tools.get(question.tool or "")
        return tool.validate(edited) if tool else [f"the agent has no tool {question.tool!r} any more"]

    @contextmanager
    def _at_work(
        self, state: RunState, config: RunnableConfig, notes: tuple[str, ...] = ()
    ) -> Generator[tuple[RunScope, Any]]:
        """The run's scope, with its ledger rows going to LangGraph's custom stream; and what it took, to be told."""
        asks = config.get("configurable", {}).get("__pregel_checkpointer") is not None
        run = state["run"]
        stop = self.runs.tell(run, get_stream_writer())
        try:
            scope = self.runs.open(state, asks=asks, notes=notes)
            spent = scope.recorder.spent
            yield (
                scope,
                lambda: {
                    "cost": to_json(spent.cost),
                    "usage": to_json(spent.usage),
                    "seconds": self.runs.seconds(run),
                },
            )
        finally:
            stop()


def _questions(questions: Sequence[Question]) -> dict[str, Any]:
    """What people are asked, each once, and the state that it leaves the run in."""
    asked = list({one.id: to_json(one) for one in questions}.values())
    if not asked:
        return {"questions": [], "state": "", "reason": ""}
    waits = "; ".join(dict.fromkeys(f"{one.step}: {one.text}" for one in questions))
    return {"questions": asked, "state": "interrupted", "reason": f"a person is asked: {waits}"}


def _saved(ended: Mapping[str, StepResult]) -> dict[str, Any]:
    return {sid: to_json(one) for sid, one in ended.items()}


def _failed(reason: str) -> dict[str, Any]:
    """The state of a run that has no plan to go on with; what people were asked on the way is not asked again.

    A change that was to be planned for stays: whoever resumes the run means the changed world.
    """
    return {"questions": [], "state": "failed", "reason": reason}


def _answers(state: RunState) -> dict[str, Answer]:
    return {name: from_json(Answer, one) for name, one in state.get("answers", {}).items()}


def _record_failure(scope: RunScope, step: str, error: CallError) -> None:
    trigger = error.trigger if isinstance(error, Refused) else None
    scope.recorder.record(step, StepEnded("failed", trigger=trigger, evidence=(str(error),)))
