"""OpenAI's Responses over real HTTP: our codec against the fake provider."""

import httpx
import pytest

from orchestra.testing import CallTool, CutStream, Error, FakeProvider, MalformedChunk, NoEnd, Say
from orchestra.transport import TransportFault
from orchestra.types import Message, Text, ToolResult, Trigger, Usage
from tests.dialects.responses import NOW, ROWS, card, shown, thought
from tests.testing.spoken import ask

QUESTION = Message.user("q")
CALLS = (CallTool("rows", sql="ü"), CallTool("now"))


@pytest.fixture(params=[True, False], ids=["streamed", "whole"])
def small(request):
    return card(model="small", capabilities={"streaming": request.param, "logprobs": True, "reasoning_effort": True})


async def test_text_reasoning_calls_usage_and_log_probabilities_arrive(small):
    say = Say("Grüße", CALLS, reasoning="hm, so", usage=(9, 4), logprob=-0.5)
    async with FakeProvider({"small": say}) as provider:
        deltas, reply = await ask(provider, small, QUESTION, tools=(ROWS, NOW), logprobs=True)
    assert (reply.text, reply.reasoning, reply.finish, reply.wire_model) == ("Grüße", "hm, so", "tool_calls", "small")
    assert [(call.name, call.arguments) for call in reply.tool_calls] == [("rows", {"sql": "ü"}), ("now", {})]
    assert (reply.logprob, reply.usage) == (-0.5, Usage(9, 4, 0, 1))
    assert not small.capabilities.streaming or (shown(deltas), thought(deltas)) == ("Grüße", "hm, so")


async def test_the_next_turn_takes_the_providers_own_items_back_as_they_came(small):
    async with FakeProvider({"small": Say("wait", CALLS, reasoning="hm")}) as provider:
        _, first = await ask(provider, small, QUESTION, tools=(ROWS, NOW))
        results = tuple(ToolResult(call.id, call.name, (Text("7"),)) for call in first.tool_calls)
        history = (QUESTION, Message("assistant", first.parts), Message("tool", results))
        _, second = await ask(provider, small, *history, tools=(ROWS, NOW))
    items = provider.requests[1].body["input"]
    assert [item.get("id") for item in items] == [None, "rs_1", "msg_1", "fc_1", "fc_2", None, None]
    assert items[1]["encrypted_content"] == "sealed-rs_1=="
    assert not {call.id for call in first.tool_calls} & {call.id for call in second.tool_calls}


async def test_reasoning_comes_sealed_only_where_the_request_asks_for_it():
    async with FakeProvider({"small": Say("so", reasoning="hm")}) as provider:
        _, reply = await ask(provider, card(model="small"), QUESTION)
    assert (reply.parts[0].text, reply.parts[0].provider_state) == ("hm", None)


@pytest.mark.parametrize(
    ("finish", "read"),
    [("length", "length"), ("content_filter", "content_filter"), ("other", "length"), ("stop", "stop")],
)
async def test_finish_reasons_arrive(small, finish, read):
    async with FakeProvider({"small": Say("x", finish=finish)}) as provider:
        assert (await ask(provider, small, QUESTION))[1].finish == read


async def test_refusals_empty_replies_and_calls_without_arguments_arrive(small):
    script = [Say(refusal="I cannot."), Say(), CallTool.written("now", "")]
    async with FakeProvider({"small": script}) as provider:
        refused, empty, called = [(await ask(provider, small, QUESTION, tools=(NOW,)))[1] for _ in script]
    assert (refused.text, refused.finish) == ("I cannot.", "refusal")
    assert (empty.parts, empty.finish) == ((), "stop")
    assert [(call.name, call.arguments) for call in called.tool_calls] == [("now", {})]


async def test_a_reply_without_its_end_or_with_a_garbled_piece_is_a_fault(small):
    async with FakeProvider({"small": [NoEnd(Say("half", CALLS)), MalformedChunk()]}) as provider:
        cut, garbled = [(await ask(provider, small, QUESTION, tools=(ROWS, NOW)))[1] for _ in range(2)]
    assert cut.trigger is (Trigger.stream_cut if small.capabilities.streaming else Trigger.server_error)
    assert (cut.partial_text, garbled.trigger) == ("half", Trigger.bad_reply)


async def test_a_cut_comes_after_exactly_the_pieces_that_were_asked_for(small):
    said = Say("0123456789", (CallTool("rows", sql="1"),), reasoning="abcdefghij", chunks=10)
    async with FakeProvider({"small": CutStream(said, after=14)}) as provider:
        with pytest.raises(TransportFault):
            await ask(provider, small, QUESTION)
        body = b""
        async with httpx.AsyncClient() as http:
            asked = {"model": "small", "stream": True, "input": "q"}
            async with http.stream("POST", f"{provider.base_url}/responses", json=asked) as response:
                with pytest.raises(httpx.RemoteProtocolError):  # noqa: PT012  # what arrived before counts
                    async for piece in response.aiter_bytes():
                        body += piece
    assert body.count(b'.delta", "output_index"') == 14


async def test_errors_come_in_openais_shape(small):
    async with FakeProvider({"small": [Error(429), Error.context_overflow()]}) as provider:
        limited, overflow = [(await ask(provider, small, QUESTION))[1] for _ in range(2)]
        unknown = (await ask(provider, card(model="none"), QUESTION))[1]
    assert (limited.trigger, overflow.trigger) == (Trigger.rate_limited, Trigger.context_overflow)
    assert (unknown.status, unknown.trigger, "none" in unknown.text) == (404, Trigger.bad_request, True)


async def test_tools_called_through_json_come_as_text_and_are_understood(small):
    speaks_json = card(model="small", capabilities={"tools": "json"})
    async with FakeProvider({"small": CallTool("rows", sql="1")}) as provider:
        _, reply = await ask(provider, speaks_json, QUESTION, tools=(ROWS,))
    assert reply.tool_calls[0].arguments == {"sql": "1"}
