"""Mistral's own SDK judges both sides: its types our requests, its client our fake provider."""

import json

import pytest
from mistralai.client import Mistral
from mistralai.client.errors import MistralError

from orchestra.testing import CallTool, Error, FakeProvider, Say
from orchestra.types import Document, Image, Message, Origin, Reasoning, Settings, Text, ToolCall, ToolResult
from tests.dialects.mistral import NOW, ROWS, card, encoded
from tests.sdk.closed import EVENTS, REPLIES, REQUESTS, check

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
OWN = Origin("mistral", "mistral", "m-1")
EVERYTHING = (
    Message.system("s"),
    Message("user", (Text("look"), Image("image/png", data="QUJD"), Document("application/pdf", "a.pdf", data="QUJD"))),
    Message("assistant", (Reasoning("hm", OWN, "sig"), Text("so"), ToolCall("call/1", "rows", {"sql": "1"}))),
    Message("tool", (ToolResult("call/1", "rows", (Text("1"), Image("image/png", url="https://x/y.png")), True),)),
    Message.user("and?"),
    Message.assistant("one, "),
)
ABLE = card(capabilities={"images": True, "documents": True, "logprobs": True, "reasoning_effort": True})


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"tools": (ROWS, NOW), "tool_choice": "required", "parallel_tools": False},
        {"tools": (ROWS,), "tool_choice": "none", "output_schema": SCHEMA, "logprobs": True},
        {"settings": Settings(max_tokens=9, reasoning_effort="low"), "temperature": 0.5, "seed": 1, "stop": ("x",)},
    ],
)
@pytest.mark.parametrize("messages", [(Message.user("u"),), EVERYTHING])
def test_the_official_types_accept_every_request(messages, asked):
    check(REQUESTS["mistral"], json.loads(encoded(*messages, card=ABLE, **asked).body))


SAY = Say("Grüße", (CallTool("rows", sql="ü"), CallTool("now")), reasoning="hm", usage=(9, 4))
TOOLS = [{"type": "function", "function": {"name": "rows", "parameters": {"type": "object", "properties": {}}}}]
ASK = {"model": "small", "messages": [{"role": "user", "content": "q"}], "tools": TOOLS}


def client(provider):
    return Mistral(api_key="key", server_url=provider.base_url_of("mistral"))


def test_the_official_client_reads_whole_replies():
    with FakeProvider({"small": SAY}) as provider, client(provider) as mistral:
        reply = mistral.chat.complete(**ASK, logprobs=True)
    choice = reply.choices[0]
    thought, said = choice.message.content
    assert (thought.thinking[0].text, said.text, choice.finish_reason) == ("hm", "Grüße", "tool_calls")
    assert [json.loads(call.function.arguments) for call in choice.message.tool_calls] == [{"sql": "ü"}, {}]
    assert reply.usage.total_tokens == 13


def test_the_official_client_reads_streams():
    with FakeProvider({"small": SAY}) as provider, client(provider) as mistral:
        chunks = [event.data for event in mistral.chat.stream(**ASK)]
    deltas = [chunk.choices[0].delta for chunk in chunks]
    assert "".join(delta.content for delta in deltas if isinstance(delta.content, str)) == "Grüße"
    assert [call.function.name for delta in deltas for call in delta.tool_calls or ()] == ["rows", "now"]
    assert (chunks[-1].choices[0].finish_reason, chunks[-1].usage.completion_tokens) == ("tool_calls", 4)


def test_the_official_client_reads_errors():
    with (
        FakeProvider({"small": Error(429)}) as provider,
        client(provider) as mistral,
        pytest.raises(MistralError, match="scripted 429") as caught,
    ):
        mistral.chat.complete(**ASK)
    assert caught.value.status_code == 429


@pytest.mark.parametrize("say", [SAY, Say("x", finish="length"), Say(refusal="no"), Say()])
def test_the_official_types_accept_what_the_fake_provider_says(say):
    from orchestra.testing.wires import wire

    writer = wire("mistral").writer(say, "/v1/chat/completions", ASK | {"logprobs": True})
    check(REPLIES["mistral"], writer.whole(ended=True))
    for frame in [*writer.chunks(), *writer.end()][:-1]:
        check(EVENTS["mistral"], json.loads(frame.removeprefix(b"data: ")))
