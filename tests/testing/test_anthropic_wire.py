"""Anthropic over real HTTP: our codec against the fake provider."""

import pytest

from orchestra.testing import CallTool, CutStream, Error, FakeProvider, MalformedChunk, NoEnd, RawReply, Say
from orchestra.transport import TransportFault
from orchestra.types import CallFault, Message, Text, ToolCall, ToolResult, ToolSpec, Trigger, Usage
from tests.dialects.anthropic import NOW, ROWS, card
from tests.testing.spoken import ask

QUESTION = Message.user("q")


@pytest.fixture(params=[True, False], ids=["streamed", "whole"])
def small(request):
    return card("small", capabilities={"streaming": request.param})


async def test_text_reasoning_calls_and_usage_arrive(small):
    say = Say("Grüße", (CallTool("rows", sql="ü"), CallTool("now")), reasoning="hm, so", usage=(9, 4))
    async with FakeProvider({"small": say}) as provider:
        deltas, reply = await ask(provider, small, QUESTION, tools=(ROWS, NOW))
    assert (reply.text, reply.reasoning, reply.finish, reply.usage) == ("Grüße", "hm, so", "tool_calls", Usage(9, 4))
    assert [(call.name, call.arguments) for call in reply.tool_calls] == [("rows", {"sql": "ü"}), ("now", {})]
    assert (reply.wire_model, reply.parts[0].provider_state is None) == ("small", False)
    assert not small.capabilities.streaming or "".join(delta.text for delta in deltas) == "hm, soGrüße"


async def test_a_second_turn_replays_the_signed_thought_and_brings_other_ids(small):
    async with FakeProvider({"small": Say(reasoning="hm", calls=(CallTool("rows", sql="1"),))}) as provider:
        _, first = await ask(provider, small, QUESTION, tools=(ROWS,))
        results = Message("tool", (ToolResult(first.tool_calls[0].id, "rows", (Text("7"),)),))
        history = (QUESTION, Message("assistant", first.parts), results)
        _, second = await ask(provider, small, *history, tools=(ROWS,))
        sent = provider.requests[1].body["messages"]
    assert sent[1]["content"][0] == {"type": "thinking", "thinking": "hm", "signature": "c2lnbmVkIDI="}
    assert sent[2]["content"][0]["tool_use_id"] == sent[1]["content"][1]["id"] == "toolu_1"
    assert isinstance(second.parts[1], ToolCall)
    assert second.parts[1].id == "toolu_2"


async def test_the_key_and_the_version_are_sent_to_the_path_below_the_base_url(small):
    async with FakeProvider({"small": "hi"}) as provider:
        await ask(provider, small, QUESTION)
        [request] = provider.requests
    assert (request.path, request.headers["x-api-key"]) == ("/v1/messages", "key")
    assert request.headers["anthropic-version"] == "2026-10-21"


async def test_scripts_name_tools_as_the_agent_does(small):
    dotted = ToolSpec("shop.cart", "", {"type": "object", "properties": {}})
    async with FakeProvider({"small": CallTool("shop.cart")}) as provider:
        assert (await ask(provider, small, QUESTION, tools=(dotted,)))[1].tool_calls[0].name == "shop.cart"
        assert provider.requests[0].body["tools"][0]["name"] != "shop.cart"


@pytest.mark.parametrize("finish", ["stop", "length"])
async def test_reasons_to_stop_arrive(small, finish):
    async with FakeProvider({"small": Say("x", finish=finish)}) as provider:
        assert (await ask(provider, small, QUESTION))[1].finish == finish


async def test_a_refusal_and_a_filtered_reply_arrive_as_refusals(small):
    async with FakeProvider({"small": [Say(refusal="I may not."), Say("x", finish="content_filter")]}) as provider:
        reply = (await ask(provider, small, QUESTION))[1]
        assert (reply.finish, reply.text) == ("refusal", "I may not.")
        assert (await ask(provider, small, QUESTION))[1].finish == "refusal"


async def test_an_empty_reply_and_malformed_arguments_arrive_as_they_are(small):
    async with FakeProvider({"small": [Say(), CallTool.written("rows", '{"sql": ')]}) as provider:
        assert (await ask(provider, small, QUESTION))[1].parts == ()
        call = (await ask(provider, small, QUESTION, tools=(ROWS,)))[1].tool_calls[0]
    assert (call.arguments, call.raw) == (None, '{"sql": ')


@pytest.mark.parametrize("broken", [NoEnd(Say("never finished")), MalformedChunk(Say("garbled"))])
async def test_a_broken_reply_is_a_fault(small, broken):
    async with FakeProvider({"small": broken}) as provider:
        assert isinstance((await ask(provider, small, QUESTION))[1], CallFault)


async def test_a_cut_comes_after_the_chunks_that_were_asked_for():
    async with FakeProvider({"small": CutStream(Say("0123456789", chunks=10), after=4)}) as provider:
        with pytest.raises(TransportFault):
            await ask(provider, card("small"), QUESTION)


@pytest.mark.parametrize(
    ("error", "trigger"),
    [
        (Error(400), Trigger.bad_request),
        (Error(401), Trigger.auth),
        (Error(402), Trigger.quota),
        (Error(404), Trigger.bad_request),
        (Error(413), Trigger.context_overflow),
        (Error(429, headers={"retry-after": "2"}), Trigger.rate_limited),
        (Error(500), Trigger.server_error),
        (Error(529), Trigger.overloaded),
        (Error.context_overflow(), Trigger.context_overflow),
        (Error.content_filter(), Trigger.content_filter),
    ],
)
async def test_errors_arrive_as_what_they_are(small, error, trigger):
    async with FakeProvider({"small": error}) as provider:
        fault = (await ask(provider, small, QUESTION))[1]
    assert (fault.trigger, fault.status) == (trigger, error.status)
    assert fault.retry_after == (2.0 if error.status == 429 else None)


async def test_a_model_that_writes_its_calls_as_json_is_served():
    written = card("small", capabilities={"tools": "json"})
    async with FakeProvider({"small": [CallTool("rows", sql="1"), RawReply('{"answer": "7"}')]}) as provider:
        assert (await ask(provider, written, QUESTION, tools=(ROWS,)))[1].tool_calls[0].arguments == {"sql": "1"}
        assert (await ask(provider, written, QUESTION, tools=(ROWS,)))[1].text == "7"
        assert "anyOf" in provider.requests[0].body["output_config"]["format"]["schema"]


async def test_an_unknown_model_is_not_found(small):
    async with FakeProvider({"small": "hi"}) as provider:
        fault = (await ask(provider, card("none"), QUESTION))[1]
    assert (fault.status, fault.trigger) == (404, Trigger.bad_request)
    assert "not_found_error" in fault.text
