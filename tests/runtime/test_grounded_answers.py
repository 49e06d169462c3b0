"""Answers of look-up steps: doubted where they tell what nothing told them, and asked of a stronger model."""

import json
from contextlib import closing
from typing import Any

import pytest

from orchestra import StepPolicy, tool
from orchestra.ledger import Judged, Ledger, Planned
from orchestra.runtime.turn_call import _grounds
from orchestra.testing import CallTool, ScriptedModel, scripted_app
from orchestra.types import Message, Text, ToolResult

BOTH = StepPolicy([{"match": {"kind": "plan"}, "tier": "capable"}, {"tier": "efficient"}])


@tool(read_only=True, terms=["flipper_mm", "mass_g"])
def measure(what: str) -> int:
    """Measure the largest bird.

    Args:
        what: what to measure
    """
    return {"flipper_mm": 231, "mass_g": 6300}[what]


@tool
def note(text: str) -> str:
    """Write a note.

    Args:
        text: what to write
    """
    return text


def plan(*steps: dict[str, Any]) -> str:
    return json.dumps({"steps": [{"needs": [], "tools": [], "difficulty": "easy"} | step for step in steps]})


LOOK = {"id": "s1", "goal": "find the flipper", "tools": ["measure"]}


async def asked(small: list[Any], strong: list[Any], *, ledger: Any = None) -> Any:
    models = [ScriptedModel("small", small), ScriptedModel("strong", strong, tier="capable")]
    async with scripted_app(*models, policies=[BOTH], ledger=ledger) as app:
        ended = await app.planner_executor([measure, note]).ainvoke({"task": "How long is it?"})
    assert [len(model.requests) for model in models] == [len(small), len(strong)]
    return ended


async def test_a_number_that_no_tool_told_goes_up_a_rung_and_the_stronger_models_answer_is_taken():
    right = CallTool("measure", what="flipper_mm")
    ended = await asked([right, "It is 213 mm."], [plan(LOOK), "It is 231 mm."])
    assert ended["answer"] == "It is 231 mm."


def test_texts_of_one_result_are_no_number_together():
    rows = Message("tool", (ToolResult("1", "measure", (Text("231"), Text("6300"))),))
    assert [*_grounds([rows])] == ["231\n6300"]


async def test_where_nobody_stronger_is_left_the_answer_is_kept_and_the_ledger_says_why(tmp_path):
    right = CallTool("measure", what="flipper_mm")
    ended = await asked([right, "213 mm"], [plan(LOOK), "It is 213 mm."], ledger=tmp_path / "l.db")
    with closing(Ledger(tmp_path / "l.db")) as ledger:
        notes = [one.event.mended for one in ledger.events(ended["run"]) if isinstance(one.event, Judged)]
    assert ended["answer"] == "It is 213 mm."
    assert any("kept although 213 stands neither" in said for mended in notes for said in mended)


async def test_a_call_that_reads_something_else_than_the_goal_names_is_not_made():
    wrong, right = CallTool("measure", what="mass_g"), CallTool("measure", what="flipper_mm")
    ended = await asked([wrong], [plan(LOOK), right, "It is 231 mm."])
    assert ended["answer"] == "It is 231 mm."


async def test_a_step_that_acts_may_tell_any_number():
    ended = await asked([CallTool("note", text="x"), "77"], [plan({"id": "s1", "goal": "note", "tools": ["note"]})])
    assert ended["answer"] == "77"


async def test_the_step_that_joins_results_may_compute_but_not_invent():
    two = plan(LOOK, {**LOOK, "id": "s2", "goal": "find the mass"})

    def measured(body: dict[str, Any]) -> Any:  # the two look-ups run at once, in any order
        last = body["messages"][-1]
        if last["role"] == "tool":
            return "231 mm" if last["content"] == "231" else "6300 g"
        return CallTool("measure", what="mass_g" if "find the mass" in last["content"] else "flipper_mm")

    first = [measured] * 4
    assert (await asked([*first, "27.3 g each"], [two]))["answer"] == "27.3 g each"
    assert (await asked([*first, "28.3 g each"], [two, "27.3 g each"]))["answer"] == "27.3 g each"


async def test_a_step_must_call_where_it_starts_afresh_or_joins_results_but_not_to_go_on_from_one():
    call = CallTool("measure", what="flipper_mm")
    chain = plan(LOOK, {**LOOK, "id": "s2", "needs": ["s1"]}, {**LOOK, "id": "s3", "needs": ["s1", "s2"]})
    small = ScriptedModel("small", [call, "231 mm", "231 mm", call, "231 mm"])
    async with scripted_app(small, ScriptedModel("strong", [chain], tier="capable"), policies=[BOTH]) as app:
        ended = await app.planner_executor([measure]).ainvoke({"task": "How long is it?"})
    assert ended["answer"] == "231 mm"
    assert [one.get("tool_choice") for one in small.requests] == ["required", None, None, "required", None]


@pytest.mark.parametrize("copies", [1, 2])
async def test_a_plan_copied_from_the_examples_goes_back(copies):
    copied = plan({"id": "s1", "goal": "Find the rain in Quito"})
    strong = ScriptedModel("strong", [*[copied] * copies, plan({"id": "s1", "goal": "think"})][:2], tier="capable")
    async with scripted_app(ScriptedModel("small", ["done"]), strong, policies=[BOTH]) as app:
        ended = await app.planner_executor([]).ainvoke({"task": "How long is it?"})
    assert ended["plan"]["flags"] == (["single_step"] if copies > 1 else [])
    assert "speaks of Quito, which stands only in the example" in json.dumps(strong.requests[1])


async def test_a_need_of_itself_is_left_out_and_stands_in_the_ledger(tmp_path):
    own = plan({"id": "s1", "goal": "think", "needs": ["s1"]})
    ended = await asked(["done"], [own], ledger=tmp_path / "l.db")
    with closing(Ledger(tmp_path / "l.db")) as ledger:
        (planned,) = [one.event for one in ledger.events(ended["run"]) if isinstance(one.event, Planned)]
    assert planned.plan.flags == ("self_need",)
    assert ended["answer"] == "done"
