"""Each kind of bad call from the cheap model: what the framework makes of it alone, and beside it what ours does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent, UnexpectedModelBehavior
from pydantic_ai.messages import ModelRequest, RetryFeedbackPart, ToolReturnPart

from orchestra import StreamCut
from orchestra.integrations.pydantic_ai import OrchestraModel
from orchestra.ledger import Judged
from orchestra.testing import CallTool, Say
from tests.app.doubles import events, rows
from tests.integrations.fleets import world
from tests.integrations.pydantic_ai.doubles import ASKED, rain_tool, stock

GOOD = CallTool("rain", city="Oslo")
TWO = CallTool.written("rain", '{"city": "Oslo"}{"city": "Bergen"}')
ENDS = "UnexpectedModelBehavior"

BAD: dict[str, tuple[Any, str, str]] = {  # what the cheap model says, our trigger, and what becomes of the run alone
    "an unknown tool": (CallTool("rainfall", city="Oslo"), "unknown_tool", ENDS),
    "arguments that do not fit": (CallTool("rain", town="Oslo"), "schema_violation", ENDS),
    "arguments that are no JSON": (CallTool.written("rain", '{"city": "Oslo" and more}'), "malformed_args", ENDS),
    "arguments cut off": (
        Say(calls=(CallTool.written("rain", '{"city": "Os'),), finish="length"),
        "truncated",
        "IncompleteToolCall",
    ),
    "an empty answer": ("", "empty", ENDS),
    "a refusal": ("I'm sorry, but I can't assist with that.", "refusal", "a wrong answer"),
    "a call in text": ('{"name": "rain", "arguments": {"city": "Oslo"}}', "no_call", "a wrong answer"),
}
WRITTEN = ("a refusal",)  # seen only when the text is whole


async def finished(agent: Agent[None, str], *, stream: bool) -> tuple[str, list[Any]]:
    if not stream:
        result = await agent.run(ASKED)
        return result.output, result.all_messages()
    async with agent.run_stream(ASKED) as streamed:
        return await streamed.get_output(), streamed.all_messages()


@pytest.mark.parametrize("kind", BAD)
async def test_what_the_framework_makes_of_a_bad_call_alone(kind, tmp_path: Path, ran):
    bad, _, expected = BAD[kind]
    async with world(tmp_path, [bad, bad, "800 mm."]) as (provider, _), stock(provider) as model:
        try:
            output, _ = await finished(Agent(model, tools=[rain_tool(ran)]), stream=False)
            found = "answered" if output == "800 mm." else "a wrong answer"
        except UnexpectedModelBehavior as error:
            found = type(error).__name__
    assert (found, ran) == (expected, [])


@pytest.mark.parametrize("stream", [False, True], ids=["run", "run_stream"])
@pytest.mark.parametrize("kind", BAD)
async def test_ours_escalates_once_runs_the_tool_once_and_comes_back_down(kind, stream, tmp_path: Path, ran):
    bad, trigger, _ = BAD[kind]
    async with world(tmp_path, [bad, bad, "800 mm."], GOOD) as (_, app):
        model = OrchestraModel(app, "research", hold=kind in WRITTEN)
        output, messages = await finished(Agent(model, tools=[rain_tool(ran)]), stream=stream)
        judged = [(one.model, one.trigger, one.action) for one in events(rows(app), Judged)]
    assert (output, ran) == ("800 mm.", ["Oslo"])
    assert judged == [
        ("small", trigger, "repair"),
        ("small", trigger, "escalate"),
        ("strong", None, None),
        ("small", None, None),
    ]
    told = [part for message in messages if isinstance(message, ModelRequest) for part in message.parts]
    assert not any(isinstance(part, RetryFeedbackPart) for part in told)
    assert [part.outcome for part in told if isinstance(part, ToolReturnPart)] == ["success"]


@pytest.mark.parametrize("kind", WRITTEN)
async def test_text_that_was_handed_on_before_it_was_judged_ends_a_stream_with_what_was_said(kind, tmp_path: Path, ran):
    bad, trigger, _ = BAD[kind]
    async with world(tmp_path, [bad], GOOD) as (provider, app):
        with pytest.raises(StreamCut) as cut:
            await finished(Agent(OrchestraModel(app, "research"), tools=[rain_tool(ran)]), stream=True)
        assert provider.count("strong") == 0
    assert (cut.value.trigger, cut.value.partial_text) == (trigger, bad)


async def test_two_calls_written_as_one_end_the_run_of_the_framework_alone(tmp_path: Path, ran):
    async with world(tmp_path, [TWO]) as (provider, _), stock(provider) as model:
        with pytest.raises(UnexpectedModelBehavior):
            await Agent(model, tools=[rain_tool(ran)]).run(ASKED)
    assert ran == []


async def test_two_calls_written_as_one_are_two_calls_with_ours(tmp_path: Path, ran):
    async with world(tmp_path, [TWO, "800 mm each."]) as (provider, app):
        output, _ = await finished(Agent(OrchestraModel(app, "research"), tools=[rain_tool(ran)]), stream=False)
        assert provider.count("strong") == 0
    assert (output, sorted(ran)) == ("800 mm each.", ["Bergen", "Oslo"])
