"""The helper: sums are computed, files are read below one folder, and a person is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from orchestra.errors import AgentError
from orchestra.runtime.catalog import load_agent
from orchestra.testing import CallTool, scripted_app
from tests.agents.doubles import BOTH, ask, models, plan, results, step, told, tools, write

LOOK = CallTool("search_files", query="x")
SUM = plan(step(1, "compute 17 * 23", "calculator"))


async def test_arithmetic_is_computed_and_not_guessed() -> None:
    small, strong = models(SUM, [CallTool("calculator", expression="17 * 23"), "391"])
    answer = await ask("helper", (small, strong), "What is 17 * 23?")
    assert (answer["answer"], results(small)) == ("391", ["391"])
    assert "calculator" in told(strong)


async def test_a_task_without_tools_is_answered() -> None:
    small, strong = models(plan(step(1, "say hello")), ["Grüß Gott!"])
    assert (await ask("helper", (small, strong), "Say hello in Bavarian"))["answer"] == "Grüß Gott!"


async def test_files_are_read_only_where_a_folder_is_given(tmp_path: Path) -> None:
    write(tmp_path, plan__md="The meeting is on Tuesday.")
    (tmp_path / "in").mkdir()
    write(tmp_path / "in", größe__txt="42")
    look = plan(step(1, "find the day", "search_files", "read_file"))
    small, strong = models(look, [CallTool("read_file", path="plan.md"), "Tuesday"])
    answer = await ask("helper", (small, strong), "When is the meeting?", data=tmp_path)
    assert (answer["answer"], results(small)) == ("Tuesday", ["1: The meeting is on Tuesday."])
    assert "Files: in/größe.txt, plan.md" in told(strong) or "Files: plan.md, in/größe.txt" in told(strong)
    without = models(SUM, [CallTool("calculator", expression="1"), "1"])
    await ask("helper", without, "1?")
    assert not any(word in told(without[1]) for word in ("read_file", "search_files", "Files:"))


async def test_what_lies_outside_the_folder_cannot_be_read(tmp_path: Path) -> None:
    write(tmp_path, secret__txt="s3cret")
    (tmp_path / "mine").mkdir()
    look = plan(step(1, "read it", "read_file"))
    small, strong = models(look, [CallTool("read_file", path="../secret.txt"), *["I cannot read that."] * 2], [""] * 9)
    answer = await ask("helper", (small, strong), "Read ../secret.txt", data=tmp_path / "mine")
    assert answer["state"] == "failed"
    assert "lies outside" in results(small)[0]
    assert "s3cret" not in told(small)
    assert "Files: none" in told(strong, 0)


async def test_of_many_files_the_first_are_told_to_the_planner(tmp_path: Path) -> None:
    write(tmp_path, **{f"note_{number:03}__md": "x" for number in range(50)})
    small, strong = models(plan(step(1, "say hello")), ["hello"])
    await ask("helper", (small, strong), "Say hello", data=tmp_path)
    assert "note_019.md, ... (see search_files)" in told(strong)
    assert "note_020.md" not in told(strong)


async def test_a_person_is_asked_and_the_run_goes_on_with_the_answer() -> None:
    asking = plan(step(1, "ask for the colour", "ask_human"), step(2, "say it", needs=(1,)))
    question = CallTool("ask_human", question="Which colour?")
    small, strong = models(asking, [question, "The colour is blue.", "blue"])
    config: Any = {"configurable": {"thread_id": "one"}}
    async with scripted_app(small, strong, policies=[BOTH]) as app:
        agent = load_agent("helper").build(app)
        agent.checkpointer = InMemorySaver()
        waiting = await agent.ainvoke({"task": "Paint it in my favourite colour"}, config)
        (pending,) = waiting["__interrupt__"]
        assert (pending.value["kind"], pending.value["text"]) == ("question", "Which colour?")
        answer = await agent.ainvoke(Command(resume="blue"), config)
    assert (answer["state"], answer["answer"]) == ("done", "blue")
    assert "blue" in results(small, 1)[0]


async def test_it_offers_few_tools_to_a_small_planner(tmp_path: Path) -> None:
    names = ("calculator", "ask_human", "search_files", "read_file")
    small, strong = models(plan(step(1, "all", *names)), [LOOK, "x"])
    await ask("helper", (small, strong), "x", data=tmp_path)
    assert sorted(tools(small, 0)) == sorted(names)
    assert len(strong.requests[0]["messages"][1]["content"]) < 1_500


async def test_a_file_where_a_folder_is_wanted_is_told() -> None:
    async with scripted_app(*models(SUM, [])) as app:
        with pytest.raises(AgentError, match=r"reads files below a folder, and .*test_helper\.py is none"):
            load_agent("helper").build(app, data=Path(__file__))
