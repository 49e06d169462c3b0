"""Cohere's own SDK judges both sides: its types our requests, its client our fake provider."""

import json

import cohere
import pytest

from orchestra.testing import CallTool, Error, FakeProvider, Say
from orchestra.testing.wires import wire
from orchestra.types import Image, Message, Origin, Reasoning, Settings, Text, ToolCall, ToolResult
from tests.dialects.cohere import NOW, ROWS, card, encoded
from tests.sdk.closed import EVENTS, REPLIES, REQUESTS, check

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
OWN = Origin("cohere", "cohere", "c-1")
EVERYTHING = (
    Message.system("s"),
    Message("user", (Text("look"), Image("image/png", data="QUJD"))),
    Message(
        "assistant",
        (Reasoning("hm", OWN), Reasoning("p", OWN, "tool_plan"), Text("so"), ToolCall("call/1", "rows", {"sql": "1"})),
    ),
    Message("tool", (ToolResult("call/1", "rows", (Text("1"), Image("image/png", url="https://x/y.png")), True),)),
    Message.assistant("one"),
    Message.user("and?"),
)
ABLE = card(capabilities={"images": True, "logprobs": True})


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"tools": (ROWS, NOW), "tool_choice": "required"},
        {"tools": (ROWS,), "tool_choice": "none", "logprobs": True},
        {"output_schema": SCHEMA},
        {"settings": Settings(max_tokens=9), "temperature": 0.5, "seed": 1, "stop": ("x",)},
    ],
)
@pytest.mark.parametrize("messages", [(Message.user("u"),), EVERYTHING])
def test_the_official_types_accept_every_request(messages, asked):
    check(REQUESTS["cohere"], json.loads(encoded(*messages, card=ABLE, **asked).body))


SAY = Say("Grüße", (CallTool("rows", sql="ü"), CallTool("now")), reasoning="hm", usage=(9, 4))
TOOLS = [{"type": "function", "function": {"name": "rows", "parameters": {"type": "object", "properties": {}}}}]
ASK = {"model": "small", "messages": [{"role": "user", "content": "q"}], "tools": TOOLS}


def client(provider):
    return cohere.ClientV2("key", base_url=provider.base_url_of("cohere"), max_retries=0)


def test_the_official_client_reads_whole_replies():
    with FakeProvider({"small": SAY}) as provider, client(provider) as official:
        reply = official.chat(**ASK, logprobs=True)
    message = reply.message
    assert (message.content[0].text, message.tool_plan, reply.finish_reason) == ("Grüße", "hm", "TOOL_CALL")
    assert [json.loads(call.function.arguments) for call in message.tool_calls] == [{"sql": "ü"}, {}]
    assert (reply.usage.billed_units.input_tokens, reply.logprobs[0].logprobs) == (9, [-0.1])


def test_the_official_client_reads_streams():
    with FakeProvider({"small": SAY}) as provider, client(provider) as official:
        events = list(official.chat_stream(**ASK))
    said = {kind: [event for event in events if event.type == kind] for kind in {event.type for event in events}}
    assert "".join(event.delta.message.content.text for event in said["content-delta"]) == "Grüße"
    assert "".join(event.delta.message.tool_plan for event in said["tool-plan-delta"]) == "hm"
    assert [event.delta.message.tool_calls.function.name for event in said["tool-call-start"]] == ["rows", "now"]
    assert events[0].type == "message-start"
    assert (events[-1].delta.finish_reason, events[-1].delta.usage.tokens.output_tokens) == ("TOOL_CALL", 4)


def test_the_official_client_reads_errors():
    with (
        FakeProvider({"small": Error(429)}) as provider,
        client(provider) as official,
        pytest.raises(cohere.TooManyRequestsError, match="scripted"),
    ):
        official.chat(**ASK)


@pytest.mark.parametrize("say", [SAY, Say("x", reasoning="hm", finish="length"), Say(refusal="no"), Say()])
def test_the_official_types_accept_what_the_fake_provider_says(say):
    writer = wire("cohere").writer(say, "/v2/chat", ASK | {"logprobs": True})
    check(REPLIES["cohere"], writer.whole(ended=True))
    for line in b"".join([*writer.chunks(), *writer.end()]).splitlines():
        if line.startswith(b"data: "):
            check(EVENTS["cohere"], json.loads(line.removeprefix(b"data: ")))
