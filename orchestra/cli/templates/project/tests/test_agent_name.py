"""The agent and its tool, on models that say what they are told to: no key, no network, no cost."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from orchestra import Fleet, ToolRejected
from orchestra.runtime.catalog import load_agent
from orchestra.testing import CallTool, ScriptedModel, scripted_app
from orchestra.toolbox import load_tools

PROJECT = Path(__file__).parents[1]
TASK = "How many words has 'to be or not to be'?"
STEP = {"id": "s1", "goal": TASK, "needs": [], "tools": ["count_words"], "difficulty": "easy"}
PLAN = json.dumps({"steps": [STEP]})

count_words = load_tools(PROJECT / "tools" / "count_words.py").count_words


async def ask(model: ScriptedModel) -> dict[str, Any]:
    async with scripted_app(model) as app:
        return await load_agent("agent_name", PROJECT).build(app).ainvoke({"task": TASK})


def test_a_question_is_answered_from_what_the_tool_counted() -> None:
    model = ScriptedModel("model", [PLAN, CallTool("count_words", text="to be or not to be"), "It has 6 words."])
    answer = asyncio.run(ask(model))
    assert (answer["state"], answer["answer"]) == ("done", "It has 6 words.")
    assert '"words": 6' in model.requests[-1]["messages"][-1]["content"]


def test_a_bad_call_comes_back_to_the_model_which_mends_it() -> None:
    calls = [CallTool("count_words", text="…"), CallTool("count_words", text="to be")]
    model = ScriptedModel("model", [PLAN, *calls, "2"])
    assert asyncio.run(ask(model))["answer"] == "2"


def test_words_are_counted_whatever_their_case() -> None:
    counted = count_words("Größe, größe: don't!")
    assert counted == {"words": 3, "different": 2, "most_frequent": {"größe": 2, "don't": 1}}


def test_a_text_without_words_is_rejected() -> None:
    with pytest.raises(ToolRejected, match="no words"):
        count_words("…")


def test_the_fleet_file_can_be_read() -> None:
    fleet = Fleet.from_toml((PROJECT / "fleet.toml").read_text(encoding="utf-8"))
    assert set(fleet.models) == {"small", "strong"}
