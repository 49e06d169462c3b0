"""Each kind of bad call from the cheap model: what the SDK makes of it alone, and beside it what ours does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from agents import AgentsException, RunConfig, Runner
from orchestra import StreamCut
from orchestra.integrations.openai_agents import run_config
from orchestra.ledger import Judged
from orchestra.testing import CallTool, Say
from tests.app.doubles import events, rows
from tests.integrations.fleets import world
from tests.integrations.openai_agents.doubles import agent, rain_tool, stock

GOOD = CallTool("rain", city="Oslo")
ASKED = "How much does it rain in Oslo?"
QUIET = RunConfig(tracing_disabled=True)

BAD: dict[str, tuple[Any, str, str]] = {  # what the cheap model says, our trigger, and what becomes of the SDK's run
    "an unknown tool": (CallTool("rainfall", city="Oslo"), "unknown_tool", "ModelBehaviorError"),
    "arguments that do not fit": (CallTool("rain", town="Oslo"), "schema_violation", "the bad call enters history"),
    "arguments that are no JSON": (
        CallTool.written("rain", '{"city": "Oslo" and more}'),
        "malformed_args",
        "the bad call enters history",
    ),
    "arguments cut off": (
        Say(calls=(CallTool.written("rain", '{"city": "Os'),), finish="length"),
        "truncated",
        "the bad call enters history",
    ),
    "an empty answer": ("", "empty", "an empty answer"),
    "a refusal": ("I'm sorry, but I can't assist with that.", "refusal", "a wrong answer"),
    "a call in text": ('{"name": "rain", "arguments": {"city": "Oslo"}}', "no_call", "a wrong answer"),
}


async def outcome(run: Callable[[], Awaitable[Any]]) -> str:
    """What becomes of a run: an error's name, or what its history and answer look like."""
    try:
        result = await run()
    except AgentsException as error:
        return type(error).__name__
    outputs = [str(item.get("output")) for item in result.to_input_list() if item.get("type") == "function_call_output"]
    if any("error" in output for output in outputs):
        return "the bad call enters history"
    return "an empty answer" if not result.final_output else "answered" if outputs else "a wrong answer"


@pytest.mark.parametrize("kind", BAD)
async def test_what_the_sdk_makes_of_a_bad_call_alone(kind, tmp_path: Path, ran):
    bad, _, expected = BAD[kind]
    async with world(tmp_path, [bad, bad, "800 mm."]) as (provider, _), stock(provider) as model:
        asked = agent(rain_tool(ran), model=model)
        assert await outcome(lambda: Runner.run(asked, ASKED, run_config=QUIET)) == expected
    assert ran == []


TWO = CallTool.written("rain", '{"city": "Oslo"}{"city": "Bergen"}')
WRITTEN = ("a refusal",)  # seen only when the text is whole


async def finished(asked: Any, config: RunConfig, *, stream: bool) -> Any:
    if not stream:
        return await Runner.run(asked, ASKED, run_config=config)
    result = Runner.run_streamed(asked, ASKED, run_config=config)
    async for _ in result.stream_events():
        pass
    return result


@pytest.mark.parametrize("stream", [False, True], ids=["run", "run_streamed"])
@pytest.mark.parametrize("kind", BAD)
async def test_ours_escalates_once_runs_the_tool_once_and_comes_back_down(kind, stream, tmp_path: Path, ran):
    bad, trigger, _ = BAD[kind]
    async with world(tmp_path, [bad, bad, "800 mm."], GOOD) as (_, app):
        config = run_config(app, hold=kind in WRITTEN)
        result = await finished(agent(rain_tool(ran)), config, stream=stream)
        judged = [(one.model, one.trigger, one.action) for one in events(rows(app), Judged)]
    assert (result.final_output, ran) == ("800 mm.", ["Oslo"])
    assert judged == [
        ("small", trigger, "repair"),
        ("small", trigger, "escalate"),
        ("strong", None, None),
        ("small", None, None),
    ]
    assert [item.get("type", "said") for item in result.to_input_list()] == [
        "said",
        "function_call",
        "function_call_output",
        "message",
    ]


@pytest.mark.parametrize("kind", WRITTEN)
async def test_text_that_was_handed_on_before_it_was_judged_ends_a_stream_with_what_was_said(kind, tmp_path: Path, ran):
    bad, trigger, _ = BAD[kind]
    async with world(tmp_path, [bad], GOOD) as (provider, app):
        with pytest.raises(StreamCut) as cut:
            await finished(agent(rain_tool(ran)), run_config(app), stream=True)
        assert provider.count("strong") == 0
    assert (cut.value.trigger, cut.value.partial_text) == (trigger, bad)


async def test_two_calls_written_as_one_confuse_the_sdk_alone(tmp_path: Path, ran):
    async with world(tmp_path, [TWO, "no idea"]) as (provider, _), stock(provider) as model:
        asked = agent(rain_tool(ran), model=model)
        assert await outcome(lambda: Runner.run(asked, ASKED, run_config=QUIET)) == "the bad call enters history"
    assert ran == []


async def test_two_calls_written_as_one_are_two_calls_with_ours(tmp_path: Path, ran):
    async with world(tmp_path, [TWO, "800 mm each."]) as (provider, app):
        result = await finished(agent(rain_tool(ran)), run_config(app), stream=False)
        assert provider.count("strong") == 0
    assert (result.final_output, sorted(ran)) == ("800 mm each.", ["Bergen", "Oslo"])
