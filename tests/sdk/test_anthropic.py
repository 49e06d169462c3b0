"""Anthropic's own SDK as judge: its types of our requests, its client of the fake provider's replies."""

import json

import anthropic
import pytest

from orchestra.testing import CallTool, Error, FakeProvider, MalformedChunk, Say
from orchestra.types import Document, Image, Message, Request, Settings, Text, ToolCall, ToolResult
from tests.dialects.anthropic import CODEC, NOW, ROWS, card, encoded, signed_reply
from tests.sdk.closed import EVENTS, REPLIES, REQUESTS, NotAccepted, check, decode

ANSWER = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}
EFFORT = Settings(max_tokens=5000, reasoning_effort="high")
MEDIA = (
    Text("look"),
    Image("image/png", data="QUJD"),
    Image("image/png", url="https://x/y.png"),
    Image("image/bmp", data="QUJD"),
    Document("application/pdf", "a.pdf", data="QUJD"),
    Document("application/pdf", url="https://x/b.pdf"),
    Document("text/plain", "c.txt", data="QUJD"),
)
TURN = (
    Message("assistant", (Text("so"), ToolCall("c1", "rows", {"sql": "1"}), ToolCall("c2", "rows", None, "{"))),
    Message("tool", (ToolResult("c1", "rows", MEDIA), ToolResult("c2", "rows", MEDIA, is_error=True))),
)
ASKED = [
    Request((Message.system("s"), Message.user("u"), Message.system("t")), settings=EFFORT, stop=("x",)),
    Request((Message.user("u"),), tools=(ROWS, NOW), tool_choice="required", parallel_tools=False, settings=EFFORT),
    Request((Message.user("u"),), tools=(ROWS,), tool_choice="none"),
    Request((Message("user", MEDIA), *TURN), tools=(ROWS,), output_schema=ANSWER, parallel_tools=False),
    Request((Message.user("u"),), output_schema={"type": "object"}, extra={"anthropic.service_tier": "auto"}),
    Request((Message.assistant("a"),)),
    Request((Message.user("u"), signed_reply()), tools=(ROWS,)),
]


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("support", ["native", "json"])
@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(
    "model", ["claude-haiku-4-5", "claude-opus-4-6", "claude-opus-5", "claude-sonnet-5-5", "other"]
)
def test_the_official_types_accept_every_request(asked, support, streaming, model):
    sent = CODEC.encode(asked, card(model, capabilities={"tools": support, "streaming": streaming}))
    check(REQUESTS["anthropic"], json.loads(sent.body))


def test_the_judge_refuses_what_the_types_do_not_know():
    with pytest.raises(NotAccepted):
        check(REQUESTS["anthropic"], json.loads(encoded(extra={"anthropic.nonsense": 1}).body))


@pytest.mark.parametrize("words", [*anthropic.types.StopReason.__args__])
def test_every_reason_to_stop_of_the_official_types_is_known(words):
    data = json.dumps({"content": [{"type": "text", "text": "x"}], "stop_reason": words}).encode()
    assert CODEC.decode(encoded(), data).finish != "other"


SAY = Say("one two three", (CallTool("rows", sql="ü"), CallTool("now")), reasoning="hm, so", usage=(9, 4), chunks=5)
QUESTION = [{"role": "user", "content": "q"}]
TOOLS = [{"name": name, "input_schema": {"type": "object"}} for name in ("rows", "now")]


def client(provider):
    return anthropic.Anthropic(base_url=provider.base_url_of("anthropic"), api_key="key", max_retries=0)


def ask(provider):
    with client(provider) as ai:
        return ai.messages.create(model="small", max_tokens=99, messages=QUESTION, tools=TOOLS)


def streamed(provider):
    asked = {"model": "small", "max_tokens": 99, "messages": QUESTION, "tools": TOOLS}
    with client(provider) as ai, ai.messages.stream(**asked) as stream:
        kinds = [event.type for event in stream]
        return kinds, stream.get_final_message()


def seen(message):
    thinking, text, *uses = message.content
    assert thinking.signature
    calls = [(use.name, use.input) for use in uses]
    return thinking.thinking, text.text, calls, message.stop_reason, message.usage.output_tokens


READ = ("hm, so", "one two three", [("rows", {"sql": "ü"}), ("now", {})], "tool_use", 4)


def test_the_official_client_reads_whole_replies():
    with FakeProvider({"small": SAY}) as provider:
        message = ask(provider)
    assert seen(message) == READ
    assert message.usage.input_tokens == 9


def test_the_official_client_reads_streams():
    with FakeProvider({"small": SAY}) as provider:
        kinds, message = streamed(provider)
    assert seen(message) == READ
    assert (kinds.count("text"), kinds[-1]) == (5, "message_stop")


@pytest.mark.parametrize("say", [SAY, Say(), Say("x", finish="length"), Say("x", finish="content_filter")])
def test_the_official_types_accept_what_the_fake_provider_says(say):
    from orchestra.testing.wires import wire

    writer = wire("anthropic").writer(say, "", {"model": "claude-haiku-4-5", "messages": []})
    decode(REPLIES["anthropic"], writer.whole(ended=True))
    for part in b"".join([*writer.chunks(), *writer.end()]).decode().split("\n\n"):
        name, _, data = part.partition("\ndata: ")
        if name not in ("", "event: ping"):
            decode(EVENTS["anthropic"], json.loads(data))


def test_the_official_client_reads_a_refusal():
    with FakeProvider({"small": Say(refusal="I may not.")}) as provider:
        message = ask(provider)
    assert (message.stop_reason, message.stop_details.explanation) == ("refusal", "I may not.")


@pytest.mark.parametrize(
    ("status", "kind", "word"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (401, anthropic.AuthenticationError, "authentication_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (529, anthropic.OverloadedError, "overloaded_error"),
    ],
)
def test_the_official_client_reads_errors(status, kind, word):
    with FakeProvider({"small": Error(status)}) as provider, pytest.raises(kind) as caught:
        ask(provider)
    assert caught.value.body["error"]["type"] == word


def test_the_official_client_finds_a_garbled_stream_garbled():
    with FakeProvider({"small": MalformedChunk()}) as provider, pytest.raises(ValueError, match="Expecting"):
        streamed(provider)
