"""Each kind of bad call from the cheap model: what CrewAI makes of it alone, and beside it what ours does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestra.integrations.crewai import OrchestraLLM
from orchestra.ledger import Judged
from orchestra.testing import CallTool, FakeProvider, Say
from tests.app.doubles import events, rows
from tests.integrations.crewai.doubles import KICKOFFS, crew, rain_tool, stock
from tests.integrations.fleets import world

GOOD = CallTool("rain", city="Oslo")

BAD: dict[str, tuple[Any, str, str]] = {  # what the cheap model says, our trigger, and what becomes of CrewAI's run
    "an unknown tool": (CallTool("rainfall", city="Oslo"), "unknown_tool", "the bad call enters history"),
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
    "an empty answer": ("", "empty", "ValueError"),
    "a refusal": ("I'm sorry, but I can't assist with that.", "refusal", "a wrong answer"),
    "a call in text": ('{"name": "rain", "arguments": {"city": "Oslo"}}', "no_call", "a wrong answer"),
}


def results(provider: FakeProvider) -> list[str]:
    """What the last request told the model of its tools."""
    request = provider.requests[-1].body
    return [message["content"] for message in request["messages"] if message["role"] == "tool"]


@pytest.mark.parametrize("kind", BAD)
async def test_what_crewai_makes_of_a_bad_call_alone(kind, tmp_path: Path, ran):
    bad, _, expected = BAD[kind]
    async with world(tmp_path, [bad, bad, bad, "800 mm."]) as (provider, _):
        found = "a wrong answer"
        try:
            await crew(stock(provider), rain_tool(ran)).akickoff()
        except ValueError as error:
            found = type(error).__name__
        if results(provider):
            found = "the bad call enters history"
    assert (found, ran) == (expected, [])


HALF = Say(calls=(GOOD, CallTool("rain", town="Bergen")))


async def test_of_two_calls_the_good_one_runs_twice_with_crewai_alone_and_once_with_ours(tmp_path: Path, ran):
    both = Say(calls=(GOOD, CallTool("rain", city="Bergen")))
    async with world(tmp_path, [HALF, both, "800 mm each."]) as (provider, _):
        await crew(stock(provider), rain_tool(ran)).akickoff()
    assert sorted(ran) == ["Bergen", "Oslo", "Oslo"]
    ran.clear()
    async with world(tmp_path, [HALF, both, "800 mm each."]) as (_, app):
        await crew(OrchestraLLM(app), rain_tool(ran)).akickoff()
    assert sorted(ran) == ["Bergen", "Oslo"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("kickoff", KICKOFFS)
@pytest.mark.parametrize("kind", BAD)
async def test_ours_escalates_once_runs_the_tool_once_and_comes_back_down(kind, kickoff, stream, tmp_path: Path, ran):
    bad, trigger, _ = BAD[kind]
    async with world(tmp_path, [bad, bad, "800 mm."], GOOD) as (provider, app):
        llm = OrchestraLLM(app, stream=stream, hold=True)
        result = await KICKOFFS[kickoff](crew(llm, rain_tool(ran)))
        judged = [(one.model, one.trigger, one.action) for one in events(rows(app), Judged)]
        assert results(provider) == ["800 mm"]
    assert (result.raw, ran) == ("800 mm.", ["Oslo"])
    assert judged == [
        ("small", trigger, "repair"),
        ("small", trigger, "escalate"),
        ("strong", None, None),
        ("small", None, None),
    ]
