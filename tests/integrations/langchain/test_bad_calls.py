"""create_agent on a cheap model that calls tools badly: what happens with LangChain's own model, and with ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.tools import BaseTool
from langchain_core.tools import tool as langchain_tool
from langchain_openai import ChatOpenAI

from orchestra import Fleet, Orchestra, StepPolicy, StreamCut
from orchestra.ledger import AttemptEnded, Judged
from orchestra.testing import CallTool, FakeProvider, Say
from orchestra.types import Action, ModelCard, Price, Trigger
from tests.app.doubles import events, rows

ASKED = {"messages": [("user", "How much does it rain in Oslo?")]}
ANSWER = "800 mm a year."
TIERS = {"small": "efficient", "strong": "capable"}

BAD_CALL = CallTool("rainfall", city="Oslo")
BAD = {
    "unknown tool": (BAD_CALL, Trigger.unknown_tool),
    "invalid arguments": (CallTool("rain", town="Oslo"), Trigger.schema_violation),
    "arguments not JSON": (CallTool.written("rain", "city=Oslo"), Trigger.malformed_args),
    "cut in the middle": (Say(calls=(CallTool.written("rain", '{"city": "Os'),), finish="length"), Trigger.truncated),
    "empty answer": (Say(""), Trigger.empty),
    "call in text": ('{"name": "rain", "arguments": {"city": "Oslo"}}', Trigger.no_call),
}
every_kind = pytest.mark.parametrize(("bad", "trigger"), BAD.values(), ids=BAD)


@pytest.fixture
def ran() -> list[str]:
    """The cities that the tool was run for."""
    return []


@pytest.fixture
def rain(ran: list[str]) -> BaseTool:
    @langchain_tool
    def rain(city: str) -> str:
        """Millimetres of rain in a year."""
        ran.append(city)
        return "800"

    return rain


def serving(bad: Any) -> FakeProvider:
    """The cheap model calls badly, and again when it is told so; then it answers. The strong one calls well."""
    return FakeProvider({"small": [bad, bad, ANSWER], "strong": [CallTool("rain", city="Oslo")]})


def an_app(provider: FakeProvider, folder: Path) -> Orchestra:
    cards = [
        ModelCard(name, name, name, "openai-chat", tier, provider.base_url, Price(1, 2)) for name, tier in TIERS.items()
    ]
    policies = [StepPolicy([{"prefer": ["small"], "escalate": ["capable"]}])]
    return Orchestra(Fleet.from_cards(cards), policies=policies, ledger=folder / "l.db")


@every_kind
def test_with_langchains_own_model_the_tool_never_runs_and_the_answer_is_made_up_or_none(bad, trigger, rain, ran):
    with serving(bad) as provider:
        model = ChatOpenAI(model="small", base_url=provider.base_url, api_key="x", max_retries=0)
        last = create_agent(model, [rain]).invoke(ASKED)["messages"][-1]
    assert ran == []
    assert last.tool_calls == []  # the agent takes it for the answer


@every_kind
def test_ours_escalates_once_runs_the_tool_once_and_comes_back_down(bad, trigger, rain, ran, tmp_path):
    with serving(bad) as provider:
        app = an_app(provider, tmp_path)
        messages = create_agent(app.chat_model(), [rain]).invoke(ASKED)["messages"]
        held(messages, rows(app), trigger)
        app.close()
        assert (provider.count("small"), provider.count("strong")) == (3, 1)
    assert ran == ["Oslo"]


@every_kind
async def test_ours_does_so_asynchronously_and_while_it_streams_too(bad, trigger, rain, ran, tmp_path):
    with serving(bad) as provider:
        async with an_app(provider, tmp_path) as app:
            seen = create_agent(app.chat_model(), [rain]).astream(ASKED, stream_mode=["values", "messages"])
            states = [state async for mode, state in seen if mode == "values"]
            held(states[-1]["messages"], rows(app), trigger)
    assert ran == ["Oslo"]


def test_two_calls_written_as_one_are_two_calls_with_ours_and_none_with_langchains_own(rain, ran, tmp_path):
    both = CallTool.written("rain", '{"city": "Oslo"}{"city": "Bergen"}')
    with FakeProvider({"small": [both, ANSWER]}) as provider:
        model = ChatOpenAI(model="small", base_url=provider.base_url, api_key="x", max_retries=0)
        assert create_agent(model, [rain]).invoke(ASKED)["messages"][-1].text == ""
        assert ran == []
    with FakeProvider({"small": [both, ANSWER], "strong": "not asked"}) as provider:
        app = an_app(provider, tmp_path)
        assert create_agent(app.chat_model(), [rain]).invoke(ASKED)["messages"][-1].text == ANSWER
        app.close()
        assert provider.count("strong") == 0
    assert sorted(ran) == ["Bergen", "Oslo"]


@pytest.mark.parametrize("said", [Say("Let me see.", calls=(BAD_CALL,)), Say(calls=(BAD_CALL,), reasoning="hm")])
async def test_a_bad_call_after_something_was_shown_cuts_the_stream_unless_replies_come_whole(
    said, rain, ran, tmp_path
):
    with serving(said) as provider:
        async with an_app(provider, tmp_path) as app:
            agent = create_agent(app.chat_model(), [rain])
            with pytest.raises(StreamCut):
                [one async for one in agent.astream(ASKED, stream_mode="messages")]
    with serving(said) as provider:
        async with an_app(provider, tmp_path / "whole") as app:
            whole = create_agent(app.chat_model(disable_streaming="tool_calling"), [rain])
            states = [
                state
                async for mode, state in whole.astream(ASKED, stream_mode=["values", "messages"])
                if mode == "values"
            ]
            held(states[-1]["messages"], rows(app), Trigger.unknown_tool)
    assert ran == ["Oslo"]


def held(messages: list[Any], found: list[Any], trigger: Trigger) -> None:
    """The thread holds no bad call, and says who served each turn; the ledger tells every attempt and why."""
    assert [message.type for message in messages] == ["human", "ai", "tool", "ai"]
    assert [message.response_metadata["model_name"] for message in messages if message.type == "ai"] == [
        "strong",
        "small",
    ]
    assert messages[-1].text == ANSWER
    verdicts = [(one.model, one.trigger, one.action) for one in events(found, Judged)]
    assert verdicts == [
        ("small", trigger, Action.repair),
        ("small", trigger, Action.escalate),
        ("strong", None, None),
        ("small", None, None),
    ]
    assert len(events(found, AttemptEnded)) == 4
