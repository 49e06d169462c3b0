import json
from collections import deque

import pytest

from orchestra import RecoveryPolicy, tool
from orchestra.errors import ConfigError
from orchestra.runtime import step_result, steps
from orchestra.testing import CallTool, ScriptedModel, scripted_app
from orchestra.types import Text

PLAN = json.dumps({"steps": [{"id": "s1", "goal": "say it", "needs": [], "tools": [], "difficulty": "easy"}]})


async def settled(settle, *replies):
    model = ScriptedModel("small", [PLAN, *replies])
    async with scripted_app(model, recovery=RecoveryPolicy(max_replans=0)) as app:
        return await app.planner_executor(settle=settle).ainvoke({"task": "Say it"}), model


async def test_one_fault_as_a_text_goes_to_the_model_as_it_is_not_letter_by_letter():
    out, model = await settled(
        lambda _, result, *__: result if "please" in result.text else "say please", "it", "it, please"
    )
    assert out["answer"] == "it, please"
    assert "- say please\n" in model.requests[2]["messages"][-1]["content"]


@pytest.mark.parametrize(
    "kind", [list, tuple, set, frozenset, deque, dict.fromkeys, iter, lambda faults: map(str, faults)]
)
async def test_faults_may_come_as_any_collection_of_texts(kind):
    out, model = await settled(
        lambda _, result, *__: result if "please" in result.text else kind(["say please"]), "it", "it, please"
    )
    assert out["answer"] == "it, please"
    assert "- say please\n" in model.requests[2]["messages"][-1]["content"]


@pytest.mark.parametrize("none", [[], (), "", set(), iter(())])
async def test_where_there_are_no_faults_the_result_stands(none):
    out, model = await settled(lambda *_: none, "it")
    assert (out["state"], out["answer"], len(model.requests)) == ("done", "it", 2)


@pytest.mark.parametrize("said", [None, True, 7])
async def test_what_is_neither_a_result_nor_faults_is_an_error_that_says_so(said):
    with pytest.raises(
        ConfigError, match=f"settle: got {type(said).__name__}; return the StepResult to take, or its faults"
    ):
        await settled(lambda *_: said, "it")


@pytest.mark.parametrize("fault", [ValueError("x"), None, 7])
async def test_a_fault_that_is_no_text_is_an_error_that_says_so(fault):
    with pytest.raises(ConfigError, match=f"settle: got a {type(fault).__name__} among the faults; return"):
        await settled(lambda *_: ["say please", fault], "it")


def test_what_settle_takes_and_gives_is_named_where_steps_are_worked_on():
    assert {"StepResult", "Settle", "Signals"} <= set(steps.__all__)
    assert steps.StepResult is step_result.StepResult


async def test_the_texts_of_a_result_are_told_a_line_apart():
    @tool
    def floors() -> list[Text]:
        """How many live on each floor."""
        return [Text("12"), Text("34")]

    told = []
    model = ScriptedModel("small", [PLAN.replace('"tools": []', '"tools": ["floors"]'), CallTool("floors"), "46"])
    async with scripted_app(model) as app:
        agent = app.planner_executor([floors], settle=lambda _, __, calls, ___: told.extend(calls) or ())
        await agent.ainvoke({"task": "Say it"})
    assert [text for _, text in told] == ["12\n34"]
