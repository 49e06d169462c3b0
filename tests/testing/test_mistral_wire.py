"""Mistral over real HTTP: our codec against the fake provider."""

import pytest

from orchestra.testing import CallTool, Error, FakeProvider, MalformedChunk, NoEnd, Say
from orchestra.types import CallFault, Message, Text, ToolCall, ToolResult, Trigger, Usage
from tests.dialects.mistral import NOW, ROWS, card
from tests.testing.spoken import ask

QUESTION = Message.user("q")


@pytest.fixture(params=[True, False], ids=["streamed", "whole"])
def small(request):
    return card(model="small", capabilities={"streaming": request.param, "logprobs": True})


async def test_text_reasoning_calls_usage_and_log_probabilities_arrive(small):
    say = Say("Grüße", (CallTool("rows", sql="ü"), CallTool("now")), reasoning="hm, so", usage=(9, 4), logprob=-0.5)
    async with FakeProvider({"small": say}) as provider:
        deltas, reply = await ask(provider, small, QUESTION, tools=(ROWS, NOW), logprobs=True)
    assert (reply.text, reply.reasoning, reply.finish, reply.usage) == ("Grüße", "hm, so", "tool_calls", Usage(9, 4))
    assert [(call.name, call.arguments) for call in reply.tool_calls] == [("rows", {"sql": "ü"}), ("now", {})]
    assert all(len(call.id) == 9 for call in reply.tool_calls)
    assert reply.logprob == -0.5
    assert reply.wire_model == "small"
    assert not small.capabilities.streaming or "".join(delta.text for delta in deltas) == "hm, soGrüße"


async def test_a_reply_of_nothing_is_one(small):
    async with FakeProvider({"small": Say()}) as provider:
        _, reply = await ask(provider, small, QUESTION)
    assert (reply.parts, reply.finish) == ((), "stop")


async def test_a_second_turn_brings_other_ids(small):
    async with FakeProvider({"small": CallTool("rows", sql="1")}) as provider:
        _, first = await ask(provider, small, QUESTION, tools=(ROWS,))
        answered = Message("tool", (ToolResult(first.tool_calls[0].id, "rows", (Text("7"),)),))
        _, second = await ask(provider, small, QUESTION, Message("assistant", first.parts), answered, tools=(ROWS,))
        assert provider.requests[1].body["messages"][2]["tool_call_id"] == first.tool_calls[0].id
    assert isinstance(second.parts[0], ToolCall)
    assert second.parts[0].id != first.tool_calls[0].id


@pytest.mark.parametrize(("finish", "read"), [("length", "length"), ("other", "stop"), ("stop", "stop")])
async def test_finish_reasons_arrive(small, finish, read):
    async with FakeProvider({"small": Say("x", finish=finish)}) as provider:
        assert (await ask(provider, small, QUESTION))[1].finish == read


async def test_what_the_provider_cannot_answer_is_a_fault(small):
    async with FakeProvider({"small": Say("x", finish="content_filter")}) as provider:
        assert (await ask(provider, small, QUESTION))[1].trigger is Trigger.server_error
        fault = (await ask(provider, card(model="none"), QUESTION))[1]
    assert (fault.status, fault.trigger) == (404, Trigger.bad_request)
    assert "none" in fault.text


@pytest.mark.parametrize("broken", [NoEnd(Say("never finished")), MalformedChunk(Say("garbled"))])
async def test_a_broken_reply_is_a_fault(small, broken):
    async with FakeProvider({"small": broken}) as provider:
        fault = (await ask(provider, small, QUESTION))[1]
    assert isinstance(fault, CallFault)
    assert fault.trigger in {Trigger.stream_cut, Trigger.bad_reply}


async def test_errors_come_in_mistrals_shape(small):
    async with FakeProvider({"small": [Error(429), Error(503)]}) as provider:
        assert (await ask(provider, small, QUESTION))[1].trigger is Trigger.rate_limited
        fault = (await ask(provider, small, QUESTION))[1]
    assert (fault.trigger, fault.text) == (Trigger.overloaded, "HTTP 503: 503: scripted 503")


async def test_tools_called_through_json_come_as_text_and_are_understood(small):
    speaks_json = card(model="small", capabilities={"tools": "json"})
    async with FakeProvider({"small": CallTool("rows", sql="1")}) as provider:
        _, reply = await ask(provider, speaks_json, QUESTION, tools=(ROWS,))
    assert reply.tool_calls[0].arguments == {"sql": "1"}
