"""A step all of whose calls were rejected has no result, whatever its model says of it."""

import json
from typing import Any

from orchestra import RecoveryPolicy, StepPolicy, ToolRejected, tool
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
    assert ended["steps"]["s1"]["trigger"] == "tool_rejected"


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
