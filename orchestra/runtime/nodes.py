"""The three nodes of planner_executor.

Steps are LangGraph tasks, all submitted at once and in plan order, each awaiting its own needs: LangGraph matches a
saved task result by the order of the calls, so submitting in completion order would swap results after a resume.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from langgraph.config import get_stream_writer
from langgraph.func import task

from orchestra.errors import CallError, ConfigError, Refused
from orchestra.ledger import Row, RunStarted, StepEnded, ToolStarted
from orchestra.planning import answer_step
from orchestra.runtime.engine import Engine
from orchestra.runtime.planner import make_plan
from orchestra.runtime.runs import Runs
from orchestra.runtime.scope import Limits, check_count, check_number
from orchestra.runtime.state import RunState
from orchestra.runtime.steps import StepResult, Work, run_step
from orchestra.types import Plan, Trigger, from_json, to_json


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


class Nodes:
    """plan, execute, finish; each takes the state and returns what it adds to it."""

    def __init__(self, engine: Engine, blueprint: Blueprint, runs: Runs) -> None:
        self.engine, self.blueprint, self.runs = engine, blueprint, runs

    async def plan(self, state: RunState) -> dict[str, Any]:
        """Task → plan; a plan that no model could be brought to write ends the run."""
        text: Any = state.get("task")
        if not isinstance(text, str) or not text.strip():
            raise ConfigError(f"{self.blueprint.name}: the input needs a 'task', a non-empty string; got {text!r}")
        scope, engine, work = self.runs.open(state), self.engine, self.blueprint.work
        mode = scope.limits.mode or engine.mode or engine.fleet.mode
        fresh: dict[str, Any] = {
            "started": time.time(),
            "plan": None,
            "steps": {},
            "answer": None,
            "reason": "",
            "state": "",
        }
        with self._streaming(scope.run):
            scope.recorder.record("", RunStarted(self.blueprint.name, text, engine.fleet.fingerprint, mode))
            try:
                plan = await make_plan(
                    engine,
                    scope,
                    text,
                    [tool.spec for tool in work.tools.values()],
                    max_steps=self.blueprint.max_steps,
                    background=self.blueprint.background,
                    temperature=work.temperature,
                )
            except CallError as error:
                trigger = error.trigger if isinstance(error, Refused) else None
                scope.recorder.record("plan", StepEnded("failed", trigger=trigger, evidence=(str(error),)))
                return {**fresh, "state": "failed", "reason": f"planning failed: {error}"}
        return {**fresh, "plan": _as_json(plan)}

    async def execute(self, state: RunState) -> dict[str, Any]:
        """Plan → a result per step; a failed step is a result too."""
        plan = from_json(Plan, state["plan"])
        scope, engine, work = self.runs.open(state), self.engine, self.blueprint.work
        steps = {one.id: one for one in plan.steps}
        done = state.get("steps", {})
        futures: dict[str, asyncio.Future[dict[str, Any]]] = {}
        acted = _acted(engine.ledger.events(scope.run))

        async def result(sid: str) -> StepResult:
            return from_json(StepResult, done[sid] if sid in done else await asyncio.shield(futures[sid]))

        @task(name="step")
        async def step(sid: str) -> dict[str, Any]:
            if sid in acted:  # a resume: what it did may not be done twice
                return _as_json(StepResult("failed", trigger=Trigger.tool_unknown, evidence=(acted[sid],)))
            upstream = {need: await result(need) for need in steps[sid].needs}
            return _as_json(await run_step(engine, scope, plan, steps[sid], upstream, work))

        with self._streaming(scope.run):
            try:
                for sid in steps:
                    if sid not in done:
                        futures[sid] = asyncio.ensure_future(step(sid))
                if futures:
                    await asyncio.wait(futures.values())  # so that one step's error does not abandon another
            finally:
                for future in futures.values():
                    future.cancel()
        return {"steps": done | {sid: future.result() for sid, future in futures.items()}}

    async def finish(self, state: RunState) -> dict[str, Any]:
        """Results → answer, or the reason why there is none."""
        run, out = state["run"], _outcome(state)
        with self._streaming(run):
            self.runs.close(
                run,
                "done" if out.get("state") == "done" else "failed",
                out.get("reason", ""),
                seconds=time.time() - state.get("started", time.time()),
                answer=out.get("answer") or "",
            )
        return out

    @contextmanager
    def _streaming(self, run: str) -> Generator[None]:
        """While a node runs, the run's ledger rows go to LangGraph's custom stream."""
        stop = self.engine.ledger.subscribe(run, get_stream_writer())
        try:
            yield
        finally:
            stop()


def _acted(rows: Sequence[Row]) -> dict[str, str]:
    """Steps of this run in which a tool that is neither read-only nor idempotent was started before."""
    return {
        row.step: f"{row.event.tool} was started before the run was interrupted; a person has to decide what was done"
        for row in rows
        if isinstance(row.event, ToolStarted) and not (row.event.read_only or row.event.idempotent)
    }


def _outcome(state: RunState) -> dict[str, Any]:
    if state.get("state") == "failed":
        return {"state": "failed", "answer": None, "reason": state.get("reason", "")}
    if state.get("plan_only"):
        return {"state": "done", "answer": None, "reason": "plan only"}
    plan = from_json(Plan, state.get("plan"))
    results = {sid: from_json(StepResult, value) for sid, value in state.get("steps", {}).items()}
    last = results[answer_step(plan).id]
    broken = [one.id for one in plan.steps if one.critical and results[one.id].state == "failed"]
    if last.state == "done" and not broken:
        return {"state": "done", "answer": last.text, "reason": ""}
    reasons = [f"step {sid!r} failed: {'; '.join(results[sid].evidence)}" for sid in broken]
    return {"state": "failed", "answer": None, "reason": " | ".join(reasons) or "; ".join(last.evidence)}


def _as_json(value: Plan | StepResult) -> dict[str, Any]:
    return cast("dict[str, Any]", to_json(value))
