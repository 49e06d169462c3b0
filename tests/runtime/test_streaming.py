"""An agent is watched in every way LangGraph offers, with and without an event loop, and drawn."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from orchestra import StepPolicy, tool
from orchestra.errors import ConfigError, SyncInLoop
from orchestra.ledger import Row, RunEnded, RunStarted, StepStarted
from orchestra.testing import CallTool, ScriptedModel, scripted_app

BOTH = StepPolicy([{"match": {"kind": "plan"}, "tier": "capable"}, {"tier": "efficient"}])
STEPS = [
    {"id": "s1", "goal": "count", "needs": [], "tools": ["count"], "difficulty": "easy"},
    {"id": "s2", "goal": "say it", "needs": ["s1"], "tools": [], "difficulty": "easy"},
]
MODES = ["values", "updates", "custom", "tasks", "checkpoints", "debug", "messages"]


@tool(read_only=True)
def count() -> int:
    """Count what there is."""
    return 7


def small(request: dict[str, Any]) -> Any:
    if request["messages"][-1]["role"] == "tool" or "tools" not in request:
        return "seven"
    return CallTool("count")


def app_of(**options: Any) -> Any:
    strong = ScriptedModel("strong", lambda _: json.dumps({"steps": STEPS}), tier="capable")
    return scripted_app(ScriptedModel("small", small), strong, policies=[BOTH], **options)


async def watched(mode: Any, folder: Any, **options: Any) -> list[Any]:
    async with app_of(ledger=folder / "l.db") as app:
        agent = app.planner_executor([count])
        return [one async for one in agent.astream({"task": "How many?"}, stream_mode=mode, **options)]


async def test_values_are_the_state_after_each_node_and_the_last_is_the_answer(tmp_path):
    found = await watched("values", tmp_path)
    assert found[0]["task"] == "How many?"
    assert [step["id"] for step in found[1]["plan"]["steps"]] == ["s1", "s2"]
    assert (found[-1]["answer"], found[-1]["state"]) == ("seven", "done")


async def test_updates_name_the_node_that_made_them(tmp_path):
    names = [name for one in await watched("updates", tmp_path) for name in one]
    assert [name for name in names if name != "step"] == ["plan", "execute", "finish"]
    assert names.count("step") == 2


async def test_custom_is_the_runs_rows_as_typed_events_from_its_first_word_to_its_last(tmp_path):
    found = await watched("custom", tmp_path)
    assert all(isinstance(row, Row) for row in found)
    assert isinstance(found[0].event, RunStarted)
    assert isinstance(found[-1].event, RunEnded)
    assert [row.seq for row in found] == sorted(row.seq for row in found)
    assert [row.step for row in found if isinstance(row.event, StepStarted)] == ["plan", "s1", "s2"]


async def test_tasks_tell_when_each_node_and_each_step_begins_and_ends(tmp_path):
    found = await watched("tasks", tmp_path)
    begun = {one["id"]: one["name"] for one in found if "input" in one}
    ended = {one["id"]: one["name"] for one in found if "result" in one}
    assert begun == ended
    assert sorted(begun.values()) == ["execute", "finish", "plan", "step", "step"]
    assert {one["error"] for one in found if "result" in one} == {None}


async def test_checkpoints_are_saved_states_in_plain_json(tmp_path):
    found = await watched("checkpoints", tmp_path)
    assert found[-1]["next"] == []
    assert found[-1]["values"]["answer"] == "seven"
    assert json.loads(json.dumps(found[-1]["values"])) == found[-1]["values"]


async def test_debug_is_tasks_and_checkpoints(tmp_path):
    found = await watched("debug", tmp_path)
    assert {one["type"] for one in found} == {"checkpoint", "task", "task_result"}


async def test_messages_are_those_of_langchain_models_of_which_an_agent_has_none(tmp_path):
    assert await watched("messages", tmp_path) == []


async def test_several_modes_at_once_say_which_is_which(tmp_path):
    found = await watched(MODES, tmp_path)
    assert {mode for mode, _ in found} == set(MODES) - {"messages"}
    assert [value for mode, value in found if mode == "values"][-1]["answer"] == "seven"


async def test_with_subgraphs_every_chunk_says_where_it_comes_from(tmp_path):
    found = await watched("custom", tmp_path, subgraphs=True)
    assert {place[0].partition(":")[0] if place else "" for place, _ in found} == {"", "execute"}
    assert isinstance(found[-1][1].event, RunEnded)


async def test_astream_events_tells_of_nodes_and_ends_with_the_state(tmp_path):
    async with app_of(ledger=tmp_path / "l.db") as app:
        agent = app.planner_executor([count], name="counter")
        found = [one async for one in agent.astream_events({"task": "How many?"}, version="v2")]
    assert (found[0]["event"], found[0]["name"]) == ("on_chain_start", "counter")
    assert (found[-1]["event"], found[-1]["data"]["output"]["answer"]) == ("on_chain_end", "seven")
    assert {"plan", "execute", "finish"} <= {one["name"] for one in found if one["event"] == "on_chain_end"}


@pytest.mark.parametrize("mode", MODES)
def test_without_an_event_loop_every_mode_works_the_same(mode, tmp_path):
    app = app_of(ledger=tmp_path / "l.db")
    found = list(app.planner_executor([count]).stream({"task": "How many?"}, stream_mode=mode))
    app.close()
    assert bool(found) == (mode != "messages")


def test_without_an_event_loop_several_modes_stream_together(tmp_path):
    app = app_of(ledger=tmp_path / "l.db")
    found = list(app.planner_executor([count]).stream({"task": "How many?"}, stream_mode=["custom", "values"]))
    app.close()
    assert isinstance([row for mode, row in found if mode == "custom"][-1].event, RunEnded)
    assert [value for mode, value in found if mode == "values"][-1]["answer"] == "seven"


def test_a_stream_that_is_left_without_an_event_loop_ends_the_run_as_cancelled(tmp_path):
    app = app_of(ledger=tmp_path / "l.db")
    stream: Any = app.planner_executor([count]).stream({"task": "?", "run": "r"}, stream_mode="custom")
    for row in stream:
        if isinstance(row.event, StepStarted) and row.step == "s1":
            break
    stream.close()
    assert [row.event.state for row in app.ledger.events("r") if isinstance(row.event, RunEnded)] == ["cancelled"]
    app.close()


def test_errors_of_the_input_come_through_a_synchronous_stream(tmp_path):
    app = app_of(ledger=tmp_path / "l.db")
    with pytest.raises(ConfigError, match="did you mean 'budget'"):
        list(app.planner_executor([count]).stream({"task": "?", "bugdet": 1}))
    app.close()


async def test_inside_an_event_loop_a_synchronous_stream_refuses_and_names_the_way_out():
    async with app_of() as app:
        with pytest.raises(SyncInLoop, match=r"stream was called inside a running event loop; .*astream"):
            app.planner_executor([count]).stream({"task": "?"})


async def test_the_graph_is_drawn_as_mermaid_with_every_way_it_can_go():
    async with app_of() as app:
        drawn = app.planner_executor([count], name="counter").get_graph().draw_mermaid()
    for arrow in (
        "__start__ --> plan",
        "plan -.-> execute",
        "plan -.-> finish",
        "execute -.-> finish",
        "finish --> __end__",
    ):
        assert f"\t{arrow};" in drawn


def test_the_example_of_a_drawing_runs_as_it_stands(capsys):
    page = (Path(__file__).parents[2] / "docs" / "graphs.md").read_text("utf-8")
    exec(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[-1], {})  # our own page
    assert 's0["s1: find the rain in Oslo"]:::done' in capsys.readouterr().out
