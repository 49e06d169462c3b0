"""OpenAI's own SDK judges both sides of its Responses: its types our requests, its client our fake provider."""

import json

import openai
import pytest

from orchestra.testing import CallTool, Error, FakeProvider, Say
from orchestra.testing.wires import wire
from orchestra.types import Document, Image, Message, ModelReply, Settings, Text, ToolCall, ToolResult
from tests.dialects.responses import CODEC, NOW, ROWS, call, card, encoded, message, reasoning
from tests.sdk.closed import EVENTS, REPLIES, REQUESTS, check, decode

DIALECT = "openai-responses"
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
ABLE = card(capabilities={"images": True, "documents": True, "logprobs": True, "reasoning_effort": True})
MEDIA = (
    Image("image/png", data="QUJD"),
    Image("image/png", url="https://x/y.png"),
    Document("application/pdf", "a.pdf", data="QUJD"),
    Document("application/pdf", url="https://x/b.pdf"),
)
OUTPUT = (
    reasoning("hm", status="completed"),
    message("so", phase="commentary"),
    reasoning(id="rs_2", content=[{"type": "reasoning_text", "text": "hm"}]),
    call("c2", "rows", '{"sql": "1"}', namespace=None, caller={"type": "direct"}),
)
OWN = CODEC.decode(encoded(card=ABLE, tools=(ROWS,)), json.dumps({"status": "completed", "output": OUTPUT}).encode())
EVERYTHING = (
    Message.system("s"),
    Message("user", (Text("look"), *MEDIA)),
    Message("assistant", (Text("so"), ToolCall("call/1", "rows", {"sql": "1"}))),
    Message("tool", (ToolResult("call/1", "rows", (Text("1"), *MEDIA), is_error=True),)),
    Message.system("s2"),
    Message("assistant", OWN.parts),
    Message("tool", (ToolResult("c2", "rows", (Text("1"),)),)),
)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"tools": (ROWS, NOW), "tool_choice": "required", "parallel_tools": False},
        {"tools": (ROWS,), "tool_choice": "none", "output_schema": SCHEMA, "logprobs": True},
        {"settings": Settings(max_tokens=99, reasoning_effort="low"), "temperature": 0.5, "seed": 1, "stop": ("x",)},
    ],
)
@pytest.mark.parametrize("messages", [(Message.user("u"),), EVERYTHING])
def test_the_official_types_accept_every_request(messages, asked):
    check(REQUESTS[DIALECT], json.loads(encoded(*messages, card=ABLE, **asked).body))


SAY = Say("Grüße", (CallTool("rows", sql="ü"), CallTool("now")), reasoning="hm", usage=(9, 4))
TOOLS = [{"type": "function", "name": "rows", "parameters": {"type": "object", "properties": {}}, "strict": False}]
INCLUDE = ["reasoning.encrypted_content", "message.output_text.logprobs"]
ASK = {"model": "small", "input": "q", "tools": TOOLS, "include": INCLUDE}


def client(provider):
    return openai.OpenAI(base_url=provider.base_url_of(DIALECT), api_key="key", max_retries=0)


def test_the_official_client_reads_whole_replies():
    with FakeProvider({"small": SAY}) as provider, client(provider) as ai:
        reply = ai.responses.create(**ASK)
    assert (reply.output_text, reply.status, reply.usage.total_tokens) == ("Grüße", "completed", 13)
    thought, said, *calls = reply.output
    assert (thought.summary[0].text, said.content[0].logprobs[0].logprob) == ("hm", -0.1)
    assert [json.loads(each.arguments) for each in calls] == [{"sql": "ü"}, {}]


def test_the_official_client_accumulates_streams():
    with FakeProvider({"small": SAY}) as provider, client(provider) as ai, ai.responses.stream(**ASK) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert "".join(each.delta for each in events if each.type == "response.output_text.delta") == "Grüße"
    assert [each.sequence_number for each in events] == list(range(len(events)))
    assert (final.output_text, final.usage.output_tokens) == ("Grüße", 4)
    assert [each.arguments for each in final.output if each.type == "function_call"] == ['{"sql": "ü"}', "{}"]


def test_the_official_client_parses_structured_answers():
    from pydantic import BaseModel

    class Count(BaseModel):
        n: int

    with FakeProvider({"small": '{"n": 7}'}) as provider, client(provider) as ai:
        assert ai.responses.parse(model="small", input="q", text_format=Count).output_parsed == Count(n=7)


def test_the_official_client_reads_errors():
    limited = pytest.raises(openai.RateLimitError, match="scripted 429")
    with FakeProvider({"small": Error(429)}) as provider, client(provider) as ai, limited:
        ai.responses.create(**ASK)


SAYINGS = [
    SAY,
    Say("x", finish="length"),
    Say("x", finish="content_filter"),
    Say("x", finish="other"),
    Say(refusal="no"),
    Say(),
]


@pytest.mark.parametrize("say", SAYINGS)
def test_the_official_types_accept_what_the_fake_provider_says(say):
    asked = encoded(card=ABLE, tools=(ROWS, NOW), logprobs=True)
    writer = wire(DIALECT).writer(say, "/responses", json.loads(asked.body))
    check(REPLIES[DIALECT], writer.whole(ended=True))
    frames = b"".join([*writer.chunks(), *writer.end()]).split(b"\n\n")
    events = [json.loads(frame.partition(b"data: ")[2]) for frame in frames if frame]
    for event in events:
        check(EVENTS[DIALECT], event)
    assert events[-1]["type"] in {"response.completed", "response.incomplete"}


def test_what_the_official_types_hold_is_what_we_read():
    official = decode(REPLIES[DIALECT], wire(DIALECT).writer(SAY, "/responses", ASK).whole(ended=True))
    reply = CODEC.decode(encoded(tools=(ROWS, NOW)), official.to_json().encode())
    assert isinstance(reply, ModelReply)
    assert (reply.text, reply.reasoning) == (official.output_text, "hm")
    assert [each.id for each in reply.tool_calls] == [each.call_id for each in official.output[2:]]
