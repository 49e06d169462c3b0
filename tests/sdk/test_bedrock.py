"""botocore judges both sides: its service model our requests, its event stream ours, its client our fake provider."""

import json
import struct
from dataclasses import replace
from zlib import crc32

import boto3
import botocore.auth
import pytest
from botocore.compat import get_current_datetime
from botocore.config import Config
from botocore.eventstream import ChecksumMismatch, EventStreamBuffer
from botocore.exceptions import ClientError, EventStreamError
from botocore.parsers import EventStreamJSONParser
from botocore.session import get_session

from orchestra.dialects.aws_events import AwsEventStream
from orchestra.testing import CallTool, Error, FakeProvider, MalformedChunk, Say
from orchestra.testing.bedrock_wire import BedrockWire, aws_message, event, exception
from orchestra.transport import AwsCredentials, WireRequest
from orchestra.types import Document, Image, Message, Price, Reasoning, Settings, Text, ToolCall, ToolResult
from tests.dialects.bedrock import EVENTS, FULL, NOW, ORIGIN, ROWS, card, encoded, read
from tests.sdk.closed import EVENTS as SHAPES
from tests.sdk.closed import REPLIES, REQUESTS, check

DIALECT = "bedrock-converse"
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
MEDIA = (Image("image/png", data="QUJD"), Document("application/pdf", "a.b.pdf", data="QUJD"))
EVERYTHING = (
    Message.system("s"),
    Message("user", (Text("look"), *MEDIA)),
    Message(
        "assistant",
        (
            Reasoning("hm", ORIGIN, '{"signature": "c2ln"}'),
            Reasoning("", ORIGIN, '{"redactedContent": "c2VjcmV0"}'),
            Text("so"),
            ToolCall("call/1", "rows", {"sql": "1"}),
            ToolCall("call 2", "now", {}),
        ),
    ),
    Message("tool", (ToolResult("call/1", "rows", (Text("1"), *MEDIA), True), ToolResult("call 2", "now", ()))),
    Message.user("and?"),
)
REQUESTED = [
    {},
    {"tools": (ROWS, NOW), "tool_choice": "required", "parallel_tools": False},
    {"extra": {"bedrock.top_k": 5, "bedrock.topP": 0.5, "bedrock.serviceTier": {"type": "priority"}}},
    {"output_schema": SCHEMA, "settings": Settings(50, "high"), "temperature": 1.5, "seed": 1, "stop": ("a",)},
]
MODELS = ["anthropic.claude-x-v1:0", "openai.gpt-oss-20b-1:0", "amazon.nova-2-lite-v1:0"]


@pytest.mark.parametrize("fields", REQUESTED)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("price", [None, Price(1, 5, 0.1)])
def test_requests_are_what_the_service_model_says(fields, model, price):
    asked = card(model=model, price=price)
    own = tuple(Message(message.role, tuple(_of(part, model) for part in message.parts)) for message in EVERYTHING)
    for messages in ((Message.user("q"),), own):
        check(REQUESTS[DIALECT], {"modelId": model} | json.loads(encoded(*messages, card=asked, **fields).body))


def _of(part, model):
    return replace(part, origin=replace(ORIGIN, model=model)) if isinstance(part, Reasoning) else part


def test_botocore_reads_the_events_that_we_write():
    buffer = EventStreamBuffer()
    buffer.add_data(FULL)
    told = list(buffer)
    assert [message.headers[":event-type"] for message in told][:2] == ["messageStart", "contentBlockDelta"]
    for message in told:
        if (name := message.headers[":event-type"]) != "somethingNew":
            check(SHAPES[DIALECT], {name: json.loads(message.payload)})
    assert len(told) == len(EVENTS) + 1


def _headers(*values):
    return b"".join(bytes([1, 97 + place]) + value for place, value in enumerate(values))


@pytest.mark.parametrize(
    "head",
    [
        b"",
        _headers(b"\x07\x00\x02\xc3\xbc"),
        _headers(b"\x00", b"\x01", b"\x02\x01", b"\x03\x00\x01", b"\x04" + bytes(4), b"\x07\x00\x01x"),
        _headers(b"\x05" + bytes(8), b"\x06\x00\x02ab", b"\x08" + bytes(8), b"\x09" + bytes(16), b"\x07\x00\x00"),
    ],
)
@pytest.mark.parametrize("payload", [b"", b"\x00\xff" * 30])
def test_headers_of_every_type_are_read_as_botocore_reads_them(head, payload):
    prelude = struct.pack("!II", len(head) + len(payload) + 16, len(head))
    prelude += struct.pack("!I", crc32(prelude))
    data = prelude + head + payload
    data += struct.pack("!I", crc32(data))
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    (theirs,) = list(buffer)
    (ours,) = AwsEventStream().messages(data)
    assert ours.payload == theirs.payload
    assert ours.headers == {name: value for name, value in theirs.headers.items() if isinstance(value, str)}


@pytest.mark.parametrize("place", range(0, 90, 3))
def test_both_refuse_a_message_with_another_bit(place):
    data = bytearray(event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "x"}}))
    data[place] ^= 4
    buffer = EventStreamBuffer()
    buffer.add_data(bytes(data))
    with pytest.raises(ChecksumMismatch):
        list(buffer)
    with pytest.raises(ValueError, match="checksum"):
        list(AwsEventStream().messages(bytes(data)))


@pytest.fixture
def client(monkeypatch):
    """The official client, at the fake provider."""
    for name, value in (("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "secret")):
        monkeypatch.setenv(name, value)

    def at(provider):
        return boto3.client(
            "bedrock-runtime",
            region_name="eu-west-1",
            endpoint_url=provider.base_url_of(DIALECT),
            config=Config(retries={"max_attempts": 0}),
        )

    return at


MODEL = "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.x.y-v1:0"
TOOLS = [{"toolSpec": {"name": "rows", "inputSchema": {"json": {"type": "object"}}}}]
QUESTION = {
    "modelId": MODEL,
    "messages": [{"role": "user", "content": [{"text": "q"}]}],
    "toolConfig": {"tools": TOOLS},
}
SAID = Say("Grüße", (CallTool("rows", sql="ü"),), reasoning="hm, so", usage=(9, 4))


def test_the_client_reads_a_whole_reply(client):
    with FakeProvider({MODEL: SAID}) as provider:
        reply = client(provider).converse(**QUESTION)
    thought, text, call = reply["output"]["message"]["content"]
    assert thought["reasoningContent"]["reasoningText"]["text"] == "hm, so"
    assert text["text"] == "Grüße"
    assert call["toolUse"] == {"toolUseId": "tooluse_1", "name": "rows", "input": {"sql": "ü"}}
    assert (reply["stopReason"], reply["usage"]["inputTokens"]) == ("tool_use", 9)


def test_the_client_reads_a_stream(client):
    with FakeProvider({MODEL: SAID}) as provider:
        events = list(client(provider).converse_stream(**QUESTION)["stream"])
    deltas = [one["contentBlockDelta"]["delta"] for one in events if "contentBlockDelta" in one]
    assert "".join(delta.get("text", "") for delta in deltas) == "Grüße"
    assert "".join(delta.get("toolUse", {}).get("input", "") for delta in deltas) == '{"sql": "ü"}'
    assert [next(iter(one)) for one in events][-2:] == ["messageStop", "metadata"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "ValidationException"), (429, "ThrottlingException"), (503, "ServiceUnavailableException")],
)
def test_the_client_reads_an_error(client, status, kind):
    with FakeProvider({MODEL: Error(status)}) as provider, pytest.raises(ClientError) as caught:
        client(provider).converse(**QUESTION)
    assert caught.value.response["Error"]["Code"] == kind
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_the_client_refuses_a_garbled_stream(client):
    with FakeProvider({MODEL: MalformedChunk("garbled in the middle")}) as provider:
        stream = client(provider).converse_stream(**QUESTION)["stream"]
        with pytest.raises(ChecksumMismatch):
            list(stream)


def test_an_exception_in_a_stream_is_one_for_botocore_too(client):
    operation = get_session().get_service_model("bedrock-runtime").operation_model("ConverseStream")
    buffer = EventStreamBuffer()
    buffer.add_data(exception("throttlingException", "slow"))
    shape = operation.output_shape.members["stream"]
    parsed = EventStreamJSONParser().parse(next(buffer).to_response_dict(), shape)
    assert parsed["Error"] == {"Code": "throttlingException", "Message": "slow"}
    assert str(EventStreamError(parsed, "ConverseStream"))


@pytest.mark.parametrize("ended", [True, False])
def test_whole_replies_are_what_the_service_model_says(ended):
    reply = BedrockWire().writer(SAID, "", {}).whole(ended=True)
    check(REPLIES[DIALECT], reply)
    assert ("stopReason" in BedrockWire().writer(SAID, "", {}).whole(ended=ended)) is ended


def test_our_reading_takes_what_botocore_takes():
    buffer = EventStreamBuffer()
    buffer.add_data(FULL)
    again = b"".join(aws_message(message.headers, message.payload) for message in buffer)
    assert read(again)[1] == read(FULL)[1]


def test_our_signature_is_the_clients_own(client, monkeypatch):
    now = get_current_datetime()
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: now)
    sent = []
    with FakeProvider({"eu.x.y": "hi"}) as provider:
        theirs = client(provider)
        theirs.meta.events.register("before-send.bedrock-runtime.Converse", lambda request, **_: sent.append(request))
        theirs.converse(**QUESTION | {"modelId": "eu.x.y"})
    headers = {name: value.decode() if isinstance(value, bytes) else value for name, value in sent[0].headers.items()}
    own = WireRequest(sent[0].url, (("content-type", headers["Content-Type"]),), sent[0].body)
    signed = AwsCredentials().signature("eu-west-1").signed(own)
    assert dict(signed.headers)["Authorization"] == headers["Authorization"]


def test_every_reason_to_stop_of_the_service_model_is_known():
    from orchestra.dialects.bedrock_reading import MEANINGS

    model = get_session().get_service_model("bedrock-runtime")
    assert {*model.shape_for("StopReason").enum} == {*MEANINGS}
