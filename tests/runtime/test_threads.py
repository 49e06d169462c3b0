"""A stream that is left before its end: its run gives the thread back, and who goes on there at once is not refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from orchestra.errors import RunOwned
from orchestra.ledger import RunEnded, ToolStarted
from orchestra.runtime import threads
from tests.runtime.scripts import THREAD, app_of, events, plans
from tests.runtime.till import PAYS, TASK, Till, approved


@pytest.mark.parametrize("given", [{"run": "r"}, {"task": "another", "run": "new"}])
async def test_after_a_break_the_run_is_resumed_at_once_or_another_begins_on_its_thread(given, tmp_path):
    till = Till(idempotent=True)
    async with app_of(tmp_path, plans(PAYS)) as app:
        agent = app.planner_executor([till.pay])
        async for row in agent.astream(TASK, THREAD, stream_mode="custom"):
            if isinstance(row.event, ToolStarted):
                break
        till.go.set()
        out = await agent.ainvoke(given, THREAD)
        assert events(app, "r", RunEnded)[0].reason == "cancelled by the caller"
    assert (out["run"], out["state"]) == (given["run"], "done")


async def test_a_question_that_was_seen_in_a_stream_is_answered_without_reading_on(tmp_path):
    async with app_of(tmp_path, plans(PAYS)) as app:
        agent, question = app.planner_executor([approved()]), ""
        async for one in agent.astream(TASK, THREAD, stream_mode="updates"):
            if "__interrupt__" in one:
                question = one["__interrupt__"][0].value["question"]
                break
        out = await agent.ainvoke({"run": "r", "answers": {question: True}}, THREAD)
    assert (out["state"], out["answer"]) == ("done", "s1: paid")


async def test_a_run_that_nobody_leaves_is_not_waited_for(tmp_path):
    till = Till()
    async with app_of(tmp_path, plans(PAYS)) as app:
        agent = app.planner_executor([till.pay])
        run = asyncio.create_task(agent.ainvoke(TASK, THREAD))
        await till.in_use.wait()
        with pytest.raises(RunOwned, match="run r is at work"):
            await agent.ainvoke({"task": "another"}, THREAD)
        till.go.set()
        assert (await run)["state"] == "done"


@pytest.mark.parametrize("saver", [None, "one's own"])
async def test_a_run_that_is_left_and_does_not_end_is_waited_for_no_longer_than_it_may_take(
    saver, tmp_path, monkeypatch
):
    monkeypatch.setattr(threads, "PATIENCE", 0.02)
    async with app_of(tmp_path, plans(PAYS)) as app:
        thread = await threads.claim(app.ledger, "t", saver)
        with pytest.raises(asyncio.CancelledError), thread.watched():
            raise asyncio.CancelledError
        with pytest.raises(RunOwned, match=r"^run of thread t is at work in another task of this process"):
            await threads.claim(app.ledger, "t", saver)
        with thread:
            pass
        with await threads.claim(app.ledger, "t", saver):
            pass


async def test_a_stream_that_is_left_and_outlives_its_app_is_logged_and_raises_nothing(tmp_path, caplog):
    unheard: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
    till = Till()
    async with app_of(tmp_path, plans(PAYS)) as app:
        rows = app.planner_executor([till.pay]).astream(TASK, THREAD, stream_mode="custom")
        async for row in rows:
            if isinstance(row.event, ToolStarted):
                break
    await rows.aclose()
    assert "run r has no last word: cancelled (cancelled by the caller)" in caplog.records[0].getMessage()
    assert unheard == []
