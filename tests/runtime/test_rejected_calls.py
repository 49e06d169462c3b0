"""A step all of whose calls were rejected has no result, whatever its model says of it."""

import json
from pathlib import Path
from typing import Any

from orchestra import RecoveryPolicy, StepPolicy, ToolRejected, tool
from orchestra.ledger import Judged
from orchestra.testing import CallTool, ScriptedModel, scripted_app
from orchestra.toolbox import ToolFailed

BOTH = StepPolicy([{"match": {"kind": "plan"}, "tier": "capable"}, {"tier": "efficient"}])
PLAN = json.dumps({"steps": [{"id": "s1", "goal": "find it", "needs": [], "tools": ["look"], "difficulty": "easy"}]})
EXCUSE = "The error says that there is no such column."


@tool(read_only=True)
def look(column: str) -> str:
    """Look a column up.

    Args:
        column: its name
    """
    if column == "gone":
        raise ToolFailed("the file is gone")
    if column != "mass":
        raise ToolRejected(f"no such column: {column}; known: mass")
    return "6300"


def calls(*columns: str) -> list[Any]:
    return [CallTool("look", column=column) for column in columns]


async def asked(small: list[Any], strong: list[Any], **recovery: int) -> tuple[Any, ScriptedModel, ScriptedModel]:
    models = ScriptedModel("small", small), ScriptedModel("strong", [PLAN, *strong], tier="capable")
    policy = RecoveryPolicy(**{"max_replans": 0} | recovery)
    async with scripted_app(*models, policies=[BOTH], recovery=policy) as app:
        ended = await app.planner_executor([look]).ainvoke({"task": "How heavy is it?"})
    assert [len(model.requests) for model in models] == [len(small), 1 + len(strong)]
    return ended, *models


async def test_a_model_that_only_explains_its_mistake_gives_way_to_a_stronger_one_that_sees_none_of_it():
    ended, _, strong = await asked([*calls("weight"), EXCUSE], [*calls("mass"), "6300"])
    assert (ended["state"], ended["answer"], ended["steps"]["s1"]["model"]) == ("done", "6300", "strong")
    assert "weight" not in json.dumps(strong.requests[1]["messages"])


async def test_while_it_has_another_chance_it_is_told_to_make_a_call_that_works():
    ended, small, _ = await asked([*calls("weight"), EXCUSE, *calls("mass"), "6300"], [], repairs=2)
    assert (ended["state"], ended["answer"]) == ("done", "6300")
    said, told = small.requests[2]["messages"][-2:]
    assert said["content"] == EXCUSE
    assert "every call of this step was rejected" in told["content"]


async def test_where_the_strongest_only_explains_the_step_fails_and_says_why():
    ended, *_ = await asked([*calls("weight"), EXCUSE], [*calls("grams"), EXCUSE])
    assert ended["state"] == "failed"
    assert "every call of this step was rejected" in ended["reason"]
    assert ended["steps"]["s1"]["trigger"] == "judged_bad"


async def test_a_step_is_planned_anew_where_the_run_may():
    again = json.dumps({"steps": [json.loads(PLAN)["steps"][0] | {"id": "s2"}]})
    script = [*calls("grams"), EXCUSE, again]
    ended, *_ = await asked([*calls("weight"), EXCUSE, *calls("mass"), "6300"], script, max_replans=1)
    assert (ended["state"], ended["answer"]) == ("done", "6300")


async def test_what_was_well_asked_for_and_is_not_there_is_an_answer():
    ended, *_ = await asked([*calls("gone"), "The file is gone."], [])
    assert (ended["state"], ended["answer"]) == ("done", "The file is gone.")


async def test_one_call_that_worked_is_enough():
    ended, *_ = await asked([*calls("mass"), *calls("weight"), "6300"], [])
    assert (ended["state"], ended["answer"]) == ("done", "6300")


async def test_a_stronger_model_is_not_judged_by_a_weaker_ones_calls():
    ended, *_ = await asked([*calls("weight"), EXCUSE], ["It cannot be known."] * 3)
    assert (ended["state"], ended["answer"]) == ("done", "It cannot be known.")


JOINED = [
    {"id": "s1", "goal": "find it", "needs": [], "tools": ["look"], "difficulty": "easy"},
    {"id": "s2", "goal": "say it", "needs": ["s1"], "tools": ["look"], "difficulty": "easy"},
]


async def after_one_step(strong: list[Any], tmp_path: Path) -> tuple[Any, list[Any]]:
    """A step that has what it needs from the one before makes a needless call, wrongly, and answers."""
    steps, script = json.dumps({"steps": JOINED}), [*calls("mass"), "6300 g", *calls("weight"), "It weighs 6300 g."]
    two = [ScriptedModel("small", script), ScriptedModel("strong", [steps, *strong], tier="capable")]
    models = two if strong else [ScriptedModel("small", [steps, *script])]
    async with scripted_app(*models, policies=[BOTH] if strong else [], ledger=tmp_path / "l.db") as app:
        ended = await app.planner_executor([look]).ainvoke({"task": "How heavy is it?"})
        return ended, [row.event for row in app.ledger.events(ended["run"]) if isinstance(row.event, Judged)]


async def test_where_a_call_was_not_needed_the_answer_is_asked_of_a_stronger_model(tmp_path):
    ended, _ = await after_one_step(["6300 g, the strong one says."], tmp_path)
    assert (ended["state"], ended["answer"]) == ("done", "6300 g, the strong one says.")


async def test_and_kept_where_none_is_left_as_the_ledger_says(tmp_path):
    ended, judged = await after_one_step([], tmp_path)
    assert (ended["state"], ended["answer"]) == ("done", "It weighs 6300 g.")
    assert any("every call of this step was rejected" in "".join(one.mended) for one in judged)


async def test_no_last_turn_is_paid_for_that_could_only_explain(tmp_path):
    small = ScriptedModel("small", [PLAN, *calls("a", "b")])
    async with scripted_app(small, recovery=RecoveryPolicy(max_replans=0, repairs=9)) as app:
        ended = await app.planner_executor([look], max_turns=3).ainvoke({"task": "How heavy is it?"})
    assert (ended["state"], len(small.requests)) == ("failed", 3)
