"""Of several questions some are answered: what was said stays said, whatever the run is given before the others are."""

from __future__ import annotations

from typing import Any

import pytest
from langgraph.types import Command

from orchestra import Tool, tool
from orchestra.ledger import HumanAnswered
from orchestra.testing import CallTool, Say
from orchestra.toolbox import ask_human
from orchestra.types import Price
from tests.runtime.scripts import THREAD, app_of, asked, events, obedient, plan, plans
from tests.runtime.till import TASK

BOTH_ASK = plan(("s1", [], ["ask_human"]), ("s2", [], ["ask_human"]), ("s3", ["s1", "s2"], []))


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


@pytest.mark.parametrize("more", [{"deadline": 1000}, {"budget": 5.0}, {"mode": "cost"}])
async def test_with_other_limits_the_others_alone_are_asked_again(more, tmp_path):
    async with app_of(tmp_path, plans(BOTH_ASK)) as app:
        agent = app.planner_executor([ask_human])
        questions = asked(await agent.ainvoke(TASK, THREAD))
        await agent.ainvoke(Command(resume={questions["s1"].id: "blue"}), THREAD)
        out = await agent.ainvoke({"run": "r", **more}, THREAD)
        assert list(asked(out)) == ["s2"]
        out = await agent.ainvoke(Command(resume="red"), THREAD)
        assert [one.text for one in events(app, "r", HumanAnswered)] == ["blue", "red"]
    assert [out["steps"][sid]["text"] for sid in ("s1", "s2")] == ["s1: blue", "s2: red"]


async def test_a_call_that_was_approved_is_made_though_the_rest_is_given_more_time_first(tmp_path):
    async with app_of(tmp_path, plans(plan(("s1", [], ["pay"]), ("s2", [], ["pay"]), ("s3", ["s1", "s2"], [])))) as app:
        agent = app.planner_executor([paying(paid := [])])
        questions = asked(await agent.ainvoke(TASK, THREAD))
        yes = {questions["s1"].value["question"]: True}
        await agent.ainvoke({"run": "r", "answers": yes}, THREAD)
        assert paid == []
        out = await agent.ainvoke({"run": "r", "deadline": 1000}, THREAD)
        assert (list(asked(out)), paid) == (["s2"], ["s1"])


async def test_what_a_person_said_of_an_act_is_known_when_the_rest_is_planned_anew(tmp_path):
    new = plan(("s4", [], ["ask_human"]))
    async with app_of(tmp_path, plans(BOTH_ASK, new)) as app:
        agent = app.planner_executor([ask_human])
        questions = asked(await agent.ainvoke(TASK, THREAD))
        name = questions["s1"].value["question"]
        await agent.ainvoke({"run": "r", "answers": {name: "blue"}}, THREAD)
        out = await agent.ainvoke({"run": "r", "changed": "all"}, THREAD)
    assert (list(asked(out)), out["answers"][name]["text"]) == (["s4"], "blue")


@pytest.mark.parametrize(("more", "cap"), [({"deadline": 1000}, 1.0), ({"deadline": 1000, "budget": 2.0}, 2.0)])
async def test_a_cap_that_was_raised_stays_raised_unless_the_resume_names_another(more, cap, tmp_path):
    def dear(body: Any) -> Any:
        reply = obedient(body)
        return Say(**({"calls": (reply,)} if isinstance(reply, CallTool) else {"text": reply}), usage=(1000, 1000))

    written = plan(("s1", [], ["pay"]), ("s2", [], []), ("s3", ["s1", "s2"], []))
    async with app_of(tmp_path, plans(written), dear, price=Price(1, 10)) as app:
        agent = app.planner_executor([paying(paid := [])], budget=0.0115, at_cap="pause")
        questions = asked(await agent.ainvoke(TASK, THREAD))
        assert [one.value["kind"] for one in questions.values()] == ["approval", "budget"]
        raised = {questions["s2"].value["question"]: 1.0}
        await agent.ainvoke({"run": "r", "answers": raised}, THREAD)
        out = await agent.ainvoke({"run": "r", **more}, THREAD)
    assert (out["budget"], list(asked(out)), list(out["steps"]), paid) == (cap, ["s1"], ["s2"], [])
