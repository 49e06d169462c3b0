"""Converse over real HTTP: our codec against the fake provider, signed requests too."""

import time

import pytest

from orchestra.dialects import codec
from orchestra.dispatch.call import Endpoint
from orchestra.dispatch.deadlines import Deadlines
from orchestra.dispatch.exchange import Exchange
from orchestra.testing import CallTool, CutStream, Error, FakeProvider, MalformedChunk, NoEnd, RawReply, Say
from orchestra.testing.bedrock_wire import SIGNATURE
from orchestra.transport import HttpxTransport, Signature
from orchestra.types import CallFault, Message, Request, Text, Timeouts, ToolCall, ToolResult, Trigger, Usage
from tests.dialects.bedrock import NOW, ROWS, card
from tests.testing.spoken import ask

QUESTION = Message.user("q")


@pytest.fixture(params=[True, False], ids=["streamed", "whole"])
def small(request):
    return card(model="small-v1:0", capabilities={"streaming": request.param})


async def test_text_reasoning_calls_and_usage_arrive(small):
    say = Say("Grüße", (CallTool("rows", sql="ü"), CallTool("now")), reasoning="hm, so", usage=(9, 4))
    async with FakeProvider({"small-v1:0": say}) as provider:
        deltas, reply = await ask(provider, small, QUESTION, tools=(ROWS, NOW))
        assert provider.requests[0].headers["authorization"] == "Bearer key"
    assert (reply.text, reply.reasoning, reply.finish, reply.usage) == ("Grüße", "hm, so", "tool_calls", Usage(9, 4))
    assert [(call.id, call.name, call.arguments) for call in reply.tool_calls] == [
        ("tooluse_1", "rows", {"sql": "ü"}),
        ("tooluse_2", "now", {}),
    ]
    assert not small.capabilities.streaming or "".join(delta.text for delta in deltas) == "hm, soGrüße"


async def test_a_second_turn_brings_back_the_thought_and_other_ids(small):
    async with FakeProvider({"small-v1:0": Say("", (CallTool("rows", sql="1"),), reasoning="hm")}) as provider:
        _, first = await ask(provider, small, QUESTION, tools=(ROWS,))
        answered = Message("tool", (ToolResult(first.tool_calls[0].id, "rows", (Text("7"),)),))
        _, second = await ask(provider, small, QUESTION, Message("assistant", first.parts), answered, tools=(ROWS,))
        sent = provider.requests[1].body["messages"]
    assert sent[1]["content"][0] == {"reasoningContent": {"reasoningText": {"text": "hm", "signature": SIGNATURE}}}
    assert sent[2]["content"][0]["toolResult"]["toolUseId"] == first.tool_calls[0].id
    assert isinstance(second.parts[1], ToolCall)
    assert second.parts[1].id != first.tool_calls[0].id


@pytest.mark.parametrize(
    ("said", "finish"),
    [
        (Say("x"), "stop"),
        (Say("x", finish="length"), "length"),
        (Say("x", finish="content_filter"), "content_filter"),
        (Say(refusal="no"), "content_filter"),
    ],
)
async def test_finish_reasons_arrive(small, said, finish):
    async with FakeProvider({"small-v1:0": said}) as provider:
        reply = (await ask(provider, small, QUESTION))[1]
    assert (reply.finish, reply.text) == (finish, said.text + said.refusal)


async def test_arguments_that_are_no_json_arrive_as_written(small):
    async with FakeProvider({"small-v1:0": CallTool.written("rows", "{broken")}) as provider:
        (call,) = (await ask(provider, small, QUESTION, tools=(ROWS,)))[1].tool_calls
    assert (call.arguments, call.raw) == (None, "{broken")


async def test_a_reply_that_says_nothing_is_one(small):
    async with FakeProvider({"small-v1:0": ""}) as provider:
        assert (await ask(provider, small, QUESTION))[1].parts == ()


async def test_calls_written_as_json_follow_the_schema(small):
    small = card(model="small-v1:0", capabilities={"tools": "json", "streaming": small.capabilities.streaming})
    async with FakeProvider({"small-v1:0": [CallTool("rows", sql="1"), RawReply('{"answer": "7"}')]}) as provider:
        (call,) = (await ask(provider, small, QUESTION, tools=(ROWS,)))[1].tool_calls
        assert call.arguments == {"sql": "1"}
        assert (await ask(provider, small, QUESTION, tools=(ROWS,)))[1].text == "7"


@pytest.mark.parametrize(
    ("broken", "trigger"),
    [
        (NoEnd(), {True: Trigger.stream_cut, False: Trigger.bad_reply}),
        (MalformedChunk(), {True: Trigger.bad_reply, False: Trigger.bad_reply}),
    ],
)
async def test_a_broken_reply_is_a_fault(small, broken, trigger):
    async with FakeProvider({"small-v1:0": broken}) as provider:
        fault = (await ask(provider, small, QUESTION))[1]
    assert isinstance(fault, CallFault)
    assert fault.trigger is trigger[small.capabilities.streaming]


@pytest.mark.parametrize(
    ("status", "trigger", "name"),
    [
        (400, Trigger.bad_request, "ValidationException"),
        (403, Trigger.auth, "AccessDeniedException"),
        (429, Trigger.rate_limited, "ThrottlingException"),
        (424, Trigger.server_error, "ModelErrorException"),
        (503, Trigger.overloaded, "ServiceUnavailableException"),
        (502, Trigger.server_error, "InternalServerException"),
    ],
)
async def test_errors_have_bedrocks_names(small, status, trigger, name):
    async with FakeProvider({"small-v1:0": Error(status)}) as provider:
        fault = (await ask(provider, small, QUESTION))[1]
    assert (fault.status, fault.trigger) == (status, trigger)
    assert name in fault.text


@pytest.mark.parametrize("left_out", ["header", "body"])
async def test_either_name_of_an_error_is_enough(small, left_out):
    told = Error(429, headers={"x-amzn-errortype": ""}) if left_out == "header" else Error(429, body={"message": "m"})
    async with FakeProvider({"small-v1:0": told}) as provider:
        fault = (await ask(provider, small, QUESTION))[1]
    assert fault.text.startswith("HTTP 429: ThrottlingException: ")


async def test_the_provider_has_other_faults_in_store(small):
    overflow = Error.context_overflow()
    async with FakeProvider({"small-v1:0": overflow}) as provider:
        assert (await ask(provider, small, QUESTION))[1].trigger is Trigger.context_overflow
        fault = (await ask(provider, card(model="none"), QUESTION))[1]
    assert (fault.status, fault.trigger) == (404, Trigger.bad_request)


async def exchanged(provider, small, key=None, signature=None):
    """What dispatch's own exchange makes of it."""
    spoken, transport = codec("bedrock-converse"), HttpxTransport()
    asked = spoken.encode(Request((QUESTION,)), small)
    deadlines = Deadlines(Timeouts(), 60.0, lambda: 0.0, streamed=asked.stream)
    endpoint = Endpoint(provider.base_url_of("bedrock-converse"), key, signature)
    exchange = Exchange(transport, spoken, asked, endpoint, deadlines, lambda said: None, time.time)
    while exchange.result is None:
        await exchange.more()
    await exchange.aclose()
    await transport.aclose()
    return exchange.result


async def test_an_api_key_that_an_error_quotes_is_struck_out():
    async with FakeProvider({"small-v1:0": Error(403, {"message": "no such key: a-bedrock-key"})}) as provider:
        fault = await exchanged(provider, card(model="small-v1:0"), key="a-bedrock-key")
    assert fault.text.endswith("no such key: [redacted]")


async def test_a_cut_stream_is_a_fault_with_what_had_arrived():
    async with FakeProvider({"small-v1:0": CutStream("cut in the middle", after=1)}) as provider:
        fault = await exchanged(provider, card(model="small-v1:0"))
    assert (fault.trigger, fault.partial_text) == (Trigger.stream_cut, "cut in")


async def test_a_signed_request_arrives_with_its_signature(small):
    pytest.importorskip("botocore")
    async with FakeProvider({"small-v1:0": "hi"}) as provider:
        reply = await exchanged(provider, small, signature=Signature("eu-west-1", "AKIDEXAMPLE", "secret", "token"))
        headers = provider.requests[0].headers
    assert reply.text == "hi"
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert headers["x-amz-security-token"] == "token"


async def test_secrets_that_an_error_quotes_are_struck_out():
    pytest.importorskip("botocore")
    signature = Signature("eu-west-1", "AKIDEXAMPLE", "a-secret-key", "a-session-token")
    quoted = Error(403, {"message": "expected a-session-token and a-secret-key of AKIDEXAMPLE"})
    async with FakeProvider({"small-v1:0": quoted}) as provider:
        fault = await exchanged(provider, card(model="small-v1:0"), signature=signature)
    assert fault.text.endswith("expected [redacted] and [redacted] of [redacted]")
