"""Cohere over real HTTP: our codec against the fake provider."""

import pytest

from orchestra.testing import CallTool, CutStream, Error, FakeProvider, MalformedChunk, NoEnd, Say
from orchestra.types import CallFault, Message, Text, ToolResult, Trigger, Usage
from tests.dialects.cohere import NOW, ROWS, card
from tests.testing.spoken import ask

QUESTION = Message.user("q")


@pytest.fixture(params=[True, False], ids=["streamed", "whole"])
def small(request):
    return card(model="small", capabilities={"streaming": request.param, "logprobs": True})


async def test_text_a_plan_calls_usage_and_log_probabilities_arrive(small):
    say = Say("Grüße", (CallTool("rows", sql="ü"), CallTool("now")), reasoning="hm, so", usage=(9, 4), logprob=-0.5)
    async with FakeProvider({"small": say}) as provider:
        deltas, reply = await ask(provider, small, QUESTION, tools=(ROWS, NOW), logprobs=True)
    assert (reply.text, reply.reasoning, reply.finish, reply.usage) == ("Grüße", "hm, so", "tool_calls", Usage(9, 4))
    assert reply.parts[0].provider_state == "tool_plan"
    assert [(call.name, call.arguments) for call in reply.tool_calls] == [("rows", {"sql": "ü"}), ("now", {})]
    assert reply.logprob == -0.5
    assert not small.capabilities.streaming or "".join(delta.text for delta in deltas) == "hm, soGrüße"


async def test_without_calls_reasoning_is_thinking(small):
    async with FakeProvider({"small": Say("so", reasoning="hm")}) as provider:
        _, reply = await ask(provider, small, QUESTION)
    assert [(type(part).__name__, part.text, part.provider_state) for part in reply.parts] == [
        ("Reasoning", "hm", None),
        ("Text", "so", None),
    ]


async def test_a_reply_of_nothing_is_one(small):
    async with FakeProvider({"small": Say()}) as provider:
        _, reply = await ask(provider, small, QUESTION)
    assert (reply.parts, reply.finish) == ((), "stop")


async def test_a_second_turn_replays_the_first_with_its_plan(small):
    async with FakeProvider({"small": [Say(calls=(CallTool("rows", sql="1"),), reasoning="plan"), "done"]}) as provider:
        _, first = await ask(provider, small, QUESTION, tools=(ROWS,))
        answered = Message("tool", (ToolResult(first.tool_calls[0].id, "rows", (Text("7"),)),))
        _, second = await ask(provider, small, QUESTION, Message("assistant", first.parts), answered, tools=(ROWS,))
        said = provider.requests[1].body["messages"]
    assert (said[1]["tool_plan"], said[1]["tool_calls"][0]["id"]) == ("plan", said[2]["tool_call_id"])
    assert second.text == "done"


@pytest.mark.parametrize(("finish", "read"), [("length", "length"), ("other", "stop"), ("refusal", "stop")])
async def test_finish_reasons_arrive(small, finish, read):
    async with FakeProvider({"small": Say("x", finish=finish)}) as provider:
        assert (await ask(provider, small, QUESTION))[1].finish == read


@pytest.mark.parametrize("broken", [NoEnd(Say("never finished")), MalformedChunk(Say("garbled"))])
async def test_a_broken_reply_is_a_fault(small, broken):
    async with FakeProvider({"small": broken}) as provider:
        fault = (await ask(provider, small, QUESTION))[1]
    assert isinstance(fault, CallFault)
    assert fault.trigger in {Trigger.stream_cut, Trigger.bad_reply}


async def test_errors_come_in_coheres_shape(small):
    async with FakeProvider({"small": [Error(429), Error(401), Say("x", finish="content_filter")]}) as provider:
        fault = (await ask(provider, small, QUESTION))[1]
        assert (fault.trigger, fault.text) == (Trigger.rate_limited, "HTTP 429: scripted 429")
        assert (await ask(provider, small, QUESTION))[1].trigger is Trigger.auth
        assert (await ask(provider, small, QUESTION))[1].trigger is Trigger.server_error


async def test_tools_called_through_json_come_as_text_and_are_understood(small):
    speaks_json = card(model="small", capabilities={"tools": "json"})
    async with FakeProvider({"small": CallTool("rows", sql="1")}) as provider:
        _, reply = await ask(provider, speaks_json, QUESTION, tools=(ROWS,))
    assert reply.tool_calls[0].arguments == {"sql": "1"}


def test_a_stream_may_break_after_any_piece_of_its_content():
    from orchestra.testing.wires import wire

    said = Say("abc", (CallTool("rows", sql="1"),), reasoning="hm", chunks=1)
    chunks = wire("cohere").writer(said, "/v2/chat", {}).chunks()
    assert [chunk.split(b"\n", 1)[0].decode() for chunk in chunks] == [
        "event: message-start",
        "event: content-start",
        "event: tool-call-start",
        "event: tool-call-delta",
    ]
    assert CutStream(said, after=2).after < len(chunks)
