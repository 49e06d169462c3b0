"""A fork of a run whose people were asked: what they told holds, what they allowed is asked again."""

from __future__ import annotations

from typing import Any

from orchestra import Tool, tool
from orchestra.ledger import HumanAsked
from orchestra.toolbox import ask_human
from tests.runtime.scripts import THREAD, app_of, asked, events, plan, plans
from tests.runtime.till import TASK


def paying(paid: list[str]) -> Tool:
    @tool(needs_approval=True)
    def pay(item: str) -> str:
        """Pay.

        Args:
            item: for what
        """
        paid.append(item)
        return "paid"

    return pay


async def answered(agent: Any, answer: Any) -> Any:
    """The configuration of the state in which the run's one question was answered, and its steps come next."""
    (question,) = asked(await agent.ainvoke(TASK, THREAD)).values()
    out = await agent.ainvoke({"run": "r", "answers": {question.value["question"]: answer}}, THREAD)
    assert out["state"] == "done"
    states = [one async for one in agent.aget_state_history(THREAD) if one.next == ("execute",)]
    return next(one.config for one in states if one.values["answers"])


async def test_an_act_that_was_approved_for_the_first_run_is_approved_for_the_fork_before_it_is_done_again(tmp_path):
    async with app_of(tmp_path, plans(plan(("s1", [], ["pay"]), ("s2", ["s1"], [])))) as app:
        agent = app.planner_executor([paying(paid := [])])
        fork = await agent.ainvoke(None, await answered(agent, True))
        (question,) = asked(fork).values()
        assert (fork["state"], paid) == ("interrupted", ["s1"])
        assert len(events(app, fork["run"], HumanAsked)) == 1  # by its own step, not by the first run's
        out = await agent.ainvoke({"run": fork["run"], "answers": {question.value["question"]: True}}, THREAD)
    assert (out["state"], paid) == ("done", ["s1", "s1"])


async def test_what_a_person_told_the_first_run_holds_for_the_fork(tmp_path):
    async with app_of(tmp_path, plans(plan(("s1", [], ["ask_human"]), ("s2", ["s1"], [])))) as app:
        agent = app.planner_executor([ask_human])
        fork = await agent.ainvoke(None, await answered(agent, "blue"))
    assert (fork["state"], fork["steps"]["s1"]["text"]) == ("done", "s1: blue")


async def test_a_fork_from_where_a_question_is_open_asks_it_at_once(tmp_path):
    async with app_of(tmp_path, plans(plan(("s1", [], ["ask_human"])))) as app:
        agent = app.planner_executor([ask_human])
        await answered(agent, "blue")
        states = [one async for one in agent.aget_state_history(THREAD)]
        fork = await agent.ainvoke(None, next(one.config for one in states if one.next == ("ask",)))
        (question,) = asked(fork).values()
        out = await agent.ainvoke({"run": fork["run"], "answers": {question.value["question"]: "red"}}, THREAD)
    assert (out["state"], out["answer"]) == ("done", "s1: red")
