"""A thread that another run takes over: until it has, the first one loses nothing; once it has, nothing is kept."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from orchestra import Tool, tool
from orchestra.ledger import RunEnded
from orchestra.runtime.saver import Saver
from tests.runtime.scripts import THREAD, app_of, events, plan, plans
from tests.runtime.till import TASK, to_its_end

PAYS_THEN_HANGS = plans(plan(("s1", [], ["pay", "hang"])))


class Hanging:
    """Pays, and is left in the next call; the payment's end is recorded."""

    def __init__(self) -> None:
        self.paid: list[str] = []
        self.in_use, self.go = asyncio.Event(), asyncio.Event()

    def tools(self) -> list[Tool]:
        @tool
        def pay(item: str) -> str:
            """Pay.

            Args:
                item: for what
            """
            self.paid.append(item)
            return "paid"

        @tool(idempotent=True)
        async def hang(item: str) -> str:
            """Hang.

            Args:
                item: what
            """
            self.in_use.set()
            await self.go.wait()
            return "ok"

        return [pay, hang]


async def left_behind(folder: Path) -> Hanging:
    """What run r has paid for, and hangs in."""
    hanging = Hanging()
    async with app_of(folder, PAYS_THEN_HANGS) as app:
        run = asyncio.create_task(to_its_end(app.planner_executor(hanging.tools()), TASK))
        await hanging.in_use.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
    hanging.go.set()
    return hanging


async def taken_over(agent: Any, way: str) -> Any:
    """The thread is another run's: a fork's, or a new task's."""
    states = [one async for one in agent.aget_state_history(THREAD)]
    given = (None, states[1].config) if way == "fork" else ({"task": "another", "run": "new"}, THREAD)
    return await agent.ainvoke(*given, durability="sync")


@pytest.mark.parametrize("way", ["fork", "new"])
async def test_where_the_other_run_never_gets_a_checkpoint_the_first_goes_on_and_repeats_nothing(
    way, tmp_path, monkeypatch
):
    hanging = await left_behind(tmp_path)

    async def full(*_: object) -> None:
        raise OSError("disk full")

    async with app_of(tmp_path, PAYS_THEN_HANGS) as app:
        agent = app.planner_executor(hanging.tools())
        with monkeypatch.context() as broken:
            broken.setattr(Saver, "aput", full)
            with pytest.raises(OSError, match="disk full"):
                await taken_over(agent, way)
        assert events(app, "r", RunEnded)[-1].state == "cancelled"
        out = await agent.ainvoke({"run": "r"}, THREAD)
        assert events(app, "r", RunEnded)[-1].state == "done"
    assert (out["answer"], hanging.paid) == ("s1: paid, ok", ["s1"])


@pytest.mark.parametrize("way", ["fork", "new"])
async def test_once_the_other_run_has_the_thread_the_journal_of_the_first_is_gone(way, tmp_path):
    hanging = await left_behind(tmp_path)
    async with app_of(tmp_path, PAYS_THEN_HANGS) as app:
        assert app.ledger.kept("r", "s1")
        out = await taken_over(app.planner_executor(hanging.tools()), way)
        assert not app.ledger.kept("r", "s1")
        assert events(app, "r", RunEnded)[-1].reason.endswith(f"run {out['run']}, was begun on its thread")
    assert (out["state"], hanging.paid) == ("done", ["s1", "s1"])
