"""Plan → a result per step, each begun as soon as its own needs are done.

Steps are LangGraph tasks, all submitted at once and in plan order, each awaiting its own needs: LangGraph matches a
saved task result by the order of the calls, so submitting in completion order would swap results after a resume.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, TypeAlias

from langgraph.func import task

from orchestra.planning import remaining, weight
from orchestra.runtime.ask import Place
from orchestra.runtime.engine import Engine
from orchestra.runtime.questions import Answer, Question, Waiting
from orchestra.runtime.scope import RunScope
from orchestra.runtime.step_result import StepResult
from orchestra.runtime.steps import Job, Work, run_step
from orchestra.types import Plan, Step, from_json, to_json

Ended: TypeAlias = StepResult | tuple[Question, ...]
"""How a step came back: with a result, or with what people have to answer first (nothing: a step it needs waits)."""


async def execute_plan(
    engine: Engine,
    scope: RunScope,
    plan: Plan,
    work: Work,
    *,
    before: Mapping[str, StepResult],
    answers: Mapping[str, Answer],
    replans: int,
) -> dict[str, Ended]:
    """Run every step that is not in `before`; `replans` are the new plans the run may still have."""
    ended: dict[str, Ended] = dict(before)
    paths = remaining(plan, ended)
    futures: dict[str, asyncio.Future[dict[str, Any]]] = {}
    steps = {one.id: one for one in plan.steps if one.id not in before}

    async def needed(sid: str) -> Ended:
        if sid in futures:
            saved = await asyncio.shield(futures[sid])
            if sid not in ended:  # LangGraph kept it: it did not run in this process
                ended[sid] = _read(saved)
        return ended[sid]

    async def end(step: Step) -> Ended:
        upstream: dict[str, StepResult] = {}
        for need in step.needs:
            if not isinstance(one := await needed(need), StepResult):
                return ()
            upstream[need] = one
        turns = weight(step)
        place = Place(turns, paths[step.id] - turns, replans)
        try:
            return await run_step(engine, scope, Job(plan, step, upstream, work, answers, place))
        except Waiting as wait:
            return wait.questions

    @task(name="step")
    async def step(sid: str) -> dict[str, Any]:
        ended[sid] = await end(steps[sid])
        return _saved(ended[sid])

    futures |= {sid: asyncio.ensure_future(step(sid)) for sid in steps}
    return {sid: _read(saved) for sid, saved in (await _all(futures)).items()}


async def _all(futures: Mapping[str, asyncio.Future[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """What all of them return: one that raises does not abandon the others, whoever leaves cancels them."""
    try:
        if futures:
            await asyncio.wait(futures.values())
    finally:
        for future in futures.values():
            future.cancel()
    return {sid: future.result() for sid, future in futures.items()}


def _saved(ended: Ended) -> dict[str, Any]:
    saved: Any = to_json(ended)
    return saved if isinstance(ended, StepResult) else {"questions": saved}


def _read(saved: Mapping[str, Any]) -> Ended:
    if "questions" in saved:
        return tuple(from_json(Question, one) for one in saved["questions"])
    return from_json(StepResult, saved)
