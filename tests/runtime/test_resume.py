"""A run that was left: what a resume does again, what it never does again, and what it still may take."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestra import Orchestra, StepPolicy, tool
from orchestra.errors import PolicyError
from orchestra.ledger import RunEnded
from orchestra.testing import CallTool, Say, ScriptedModel, scripted_app
from orchestra.toolbox import Tool
from orchestra.types import Candidate, Price, StepContext

BOTH = StepPolicy([{"match": {"kind": "plan"}, "tier": "capable"}, {"tier": "efficient"}])
THREAD: Any = {"configurable": {"thread_id": "t"}}


def plan(*steps: tuple[str, list[str], list[str]]) -> str:
    with_tools = any(tools for _, _, tools in steps)  # an agent without tools is not asked for any
    return json.dumps(
        {
            "steps": [
                {"id": sid, "goal": f"do {sid}", "needs": needs, "difficulty": "medium"}
                | ({"tools": tools} if with_tools else {})
                for sid, needs, tools in steps
            ]
        }
    )


class Till:
    """A tool that hangs until the till is opened."""

    def __init__(self, *, read_only: bool = False, idempotent: bool = False) -> None:
        self.used = 0
        self.in_use = asyncio.Event()
        self.open = asyncio.Event()

        @tool(read_only=read_only, idempotent=idempotent)
        async def pay(cents: int) -> str:
            """Pay.

            Args:
                cents: how many
            """
            self.used += 1
            self.in_use.set()
            await self.open.wait()
            return "paid"

        self.tool: Tool = pay


def small(request: dict[str, Any]) -> Any:
    paid = request["messages"][-1]["role"] == "tool"
    return "all paid" if paid or "tools" not in request else CallTool("pay", cents=1)


def app_of(folder: Path, **options: Any) -> Orchestra:
    strong = ScriptedModel("strong", lambda _: plan(("s1", [], ["pay"])), tier="capable")
    return scripted_app(ScriptedModel("small", small), strong, policies=[BOTH], ledger=folder / "l.db", **options)


def ends(app: Orchestra, run: str = "r") -> list[str]:
    return [row.event.state for row in app.ledger.events(run) if isinstance(row.event, RunEnded)]


async def _to_its_end(agent: Any, given: Any) -> None:
    async for _ in agent.astream(given, THREAD):
        pass


@asynccontextmanager
async def running(agent: Any, given: Any, till: Till) -> AsyncIterator[None]:
    """The run as far as its tool; cancelled at the end."""
    till.in_use.clear()
    run = asyncio.create_task(_to_its_end(agent, given))
    waiting = asyncio.create_task(till.in_use.wait())
    await asyncio.wait((run, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if run.done():
        await run
    assert till.in_use.is_set()
    try:
        yield
    finally:
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run


async def test_an_act_that_was_cut_short_is_never_done_again_and_a_person_is_told_of_it(tmp_path):
    till = Till()
    async with app_of(tmp_path) as app, running(app.planner_executor([till.tool]), {"task": "?", "run": "r"}, till):
        pass
    till.open.set()
    async with app_of(tmp_path) as app:
        answer = await app.planner_executor([till.tool]).ainvoke(None, THREAD)
        assert (answer["run"], ends(app)) == ("r", ["cancelled", "interrupted"])
    assert till.used == 1
    assert (answer["state"], answer["answer"]) == ("interrupted", None)
    assert "pay was started and its end was never recorded" in answer["reason"]


@pytest.mark.parametrize("harmless", ["read_only", "idempotent"])
async def test_a_look_up_that_was_cut_short_is_made_again(harmless, tmp_path):
    till = Till(**{harmless: True})
    async with app_of(tmp_path) as app:
        agent = app.planner_executor([till.tool])
        async with running(agent, {"task": "?", "run": "r"}, till):
            pass
        till.open.set()
        answer = await agent.ainvoke(None, THREAD)
        assert ends(app) == ["cancelled", "done"]
    assert (answer["answer"], till.used) == ("all paid", 2)


async def test_a_resumed_run_that_is_cancelled_again_says_so_again(tmp_path):
    till = Till(read_only=True)
    async with app_of(tmp_path) as app:
        agent = app.planner_executor([till.tool])
        async with running(agent, {"task": "?", "run": "r"}, till):
            pass
        async with running(agent, None, till):
            assert ends(app) == ["cancelled"]
        assert ends(app) == ["cancelled", "cancelled"]


async def test_another_process_takes_a_run_over_from_one_that_died_without_a_word(tmp_path):
    till, later = Till(read_only=True), Till(read_only=True)
    later.open.set()
    async with app_of(tmp_path) as dying, app_of(tmp_path) as alive:
        died = dying.planner_executor([till.tool])
        async with running(died, {"task": "?", "run": "r"}, till):
            dying.ledger._leases.close()  # as the death of its process does
            for _ in range(
                50
            ):  # the plan is saved while the step runs; a look waits its turn behind what is being saved
                if (saved := await died.aget_state(THREAD)).next:
                    break
            assert saved.next == ("execute",)
            answer = await alive.planner_executor([later.tool]).ainvoke(None, THREAD)
            assert ends(alive) == ["done"]
    assert (answer["run"], answer["answer"], later.used) == ("r", "all paid", 1)


class Tearing:
    """A policy that breaks once, at the step `s2`, and remembers what it was told."""

    def __init__(self) -> None:
        self.whole = False
        self.told: dict[str, StepContext] = {}

    def __call__(self, context: StepContext, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        self.told[context.step.id] = context
        if context.step.id == "s2" and not self.whole:
            raise LookupError("torn at s2")
        return candidates


@asynccontextmanager
async def torn(folder: Path, given: dict[str, Any]) -> AsyncIterator[tuple[Any, Tearing]]:
    """An agent in a new process whose run broke at `s2` in another, after a plan for $0.002 and a step for $0.002."""
    tearing = Tearing()
    steps = plan(("s1", [], []), ("s2", ["s1"], []))
    models = (
        ScriptedModel("small", lambda _: Say("done", usage=(1000, 100)), price=Price(1, 10)),
        ScriptedModel("strong", lambda _: Say(steps, usage=(1000, 100)), tier="capable", price=Price(1, 10)),
    )
    options: dict[str, Any] = {"policies": [BOTH, tearing], "ledger": folder / "l.db"}
    async with scripted_app(*models, **options) as app:
        with pytest.raises(PolicyError, match="torn at s2"):
            await app.planner_executor().ainvoke({"task": "?", "run": "r"} | given, THREAD)
    tearing.whole = True
    async with scripted_app(*models, **options) as app:
        yield app.planner_executor(), tearing


async def test_a_resumed_run_has_no_more_money_than_what_it_had_left(tmp_path):
    async with torn(tmp_path, {"budget": 1.0}) as (agent, tearing):
        assert (await agent.ainvoke(None, THREAD))["state"] == "done"
    assert tearing.told["s2"].money_left == pytest.approx(0.996)


async def test_the_deadline_of_a_resumed_run_counts_the_seconds_it_was_at_work_before(tmp_path):
    async with torn(tmp_path, {"deadline": 900.0}) as (agent, _):
        await agent.aupdate_state(THREAD, {"seconds": 1000.0}, as_node="plan")
        answer = await agent.ainvoke(None, THREAD)
    assert answer["state"] == "failed"
    assert "deadline" in answer["reason"]


async def test_a_second_task_on_a_thread_inherits_no_wish_of_the_first(tmp_path):
    tearing = Tearing()
    tearing.whole = True
    models = (
        ScriptedModel("small", lambda _: "done"),
        ScriptedModel("strong", lambda _: plan(("s2", [], [])), tier="capable"),
    )
    async with scripted_app(*models, policies=[BOTH, tearing], ledger=tmp_path / "l.db") as app:
        agent = app.planner_executor(deadline=1000, step_deadline=5000)
        wishes = {"plan_only": True, "budget": 0.5, "mode": "cost", "deadline": 10.0}
        first = await agent.ainvoke({"task": "plan it"} | wishes, THREAD)
        asked = tearing.told["plan"]
        second = await agent.ainvoke({"task": "do it"}, THREAD)
    assert (first["reason"], first["steps"]) == ("plan only", {})
    assert (asked.money_left, asked.mode) == (0.5, "cost")
    assert (second["state"], second["answer"]) == ("done", "done")
    told = tearing.told["s2"]
    assert (told.money_left, told.mode) == (None, None)
    assert told.deadline is not None
    assert told.deadline > 10
