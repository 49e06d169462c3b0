"""What Mistral's answer on the wire becomes, whole or streamed, however its bytes are split."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.dialects.rate_limits import RateLimit
from orchestra.types import CallFault, ModelReply, Origin, Reasoning, Text, ToolCall, Trigger, Usage
from tests.dialects.mistral import CODEC, NOW, ROWS, call, calls, chunk, encoded, read, stream, thought

ORIGIN = Origin("mistral", "mistral", "m-1")
ASKED = encoded(tools=(ROWS, NOW))
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
FULL = stream(
    chunk({"role": "assistant", **thought("hm ")}),
    chunk(thought("so", signature="sig==")),
    chunk(thought("again")),
    chunk({"content": "Größe 😀"}),
    chunk({"content": [{"type": "text", "text": " ja"}, {"type": "reference", "reference_ids": [1]}]}),
    chunk(calls(call("abcdefghi", "rows", '{"sql": "ü"}'), call("null", "now", "", 1))),
    chunk({"content": ""}, "tool_calls", usage=USAGE),
)
REPLY = ModelReply(
    (
        Reasoning("hm so", ORIGIN, "sig=="),
        Reasoning("again", ORIGIN),
        Text("Größe 😀 ja", ORIGIN),
        ToolCall("abcdefghi", "rows", {"sql": "ü"}, '{"sql": "ü"}', ORIGIN),
        ToolCall("?", "now", {}, "", ORIGIN),
    ),
    "tool_calls",
    Usage(11, 7),
    "m-1-2512",
    raw='Größe 😀 ja\nrows({"sql": "ü"})\nnow()',
)


def same(reply):
    """The reply with the id that the codec made up left out of sight."""
    assert reply.parts[-1].id.startswith("call_")
    return ModelReply(
        (*reply.parts[:-1], ToolCall("?", "now", {}, "", ORIGIN)),
        reply.finish, reply.usage, reply.wire_model, raw=reply.raw,
    )  # fmt: skip


@pytest.mark.parametrize("size", [1, 2, 3, 7, None])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_stream_reads_the_same_however_it_is_split(size, end):
    deltas, reply = read(FULL.replace(b"\n", end), ASKED, size)
    assert same(reply) == REPLY
    assert "".join(delta.text for delta in deltas) == "hm soagainGröße 😀 ja"


@given(st.lists(st.integers(1, 60), min_size=1, max_size=30))
@settings(deadline=None, max_examples=50)
def test_any_split_gives_the_same_reply(sizes):
    reader, place = CODEC.reader(ASKED), 0
    for size in sizes:
        reader.feed(FULL[place : place + size])
        place += size
    reader.feed(FULL[place:])
    assert same(reader.close()) == REPLY


def test_a_stream_that_is_cut_anywhere_is_no_success():
    whole = FULL.index(b"tool_calls", FULL.rindex(b"finish_reason")) + len(b'tool_calls"}')
    for end in range(whole):
        fault = read(FULL[:end], ASKED)[1]
        assert isinstance(fault, CallFault), FULL[:end]
        assert fault.trigger in {Trigger.stream_cut, Trigger.bad_reply}


def test_done_without_a_finish_reason_is_no_end():
    fault = read(stream(chunk({"content": "a"})), ASKED)[1]
    assert (fault.trigger, fault.partial_text) == (Trigger.stream_cut, "a")


def body(message, finish="stop", **fields):
    choice = {"index": 0, "message": {"role": "assistant"} | message, "finish_reason": finish}
    return json.dumps({"model": "m-1-2512", "choices": [choice]} | fields).encode()


def test_a_whole_reply_says_the_same_as_a_streamed_one():
    content = [
        *thought("hm so", signature="sig==")["content"],
        *thought("again")["content"],
        {"type": "text", "text": "Größe 😀 ja"},
    ]
    made = calls(call("abcdefghi", "rows", {"sql": "ü"}), call("null", "now", {}))
    said = made | {"content": content}
    reply = CODEC.decode(ASKED, body(said, "tool_calls", usage=USAGE))
    assert [part for part in reply.parts if not isinstance(part, ToolCall)] == list(REPLY.parts[:3])
    assert [(one.name, one.arguments) for one in reply.tool_calls] == [("rows", {"sql": "ü"}), ("now", {})]
    assert (reply.finish, reply.usage, reply.wire_model) == ("tool_calls", Usage(11, 7), "m-1-2512")


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("model_length", "length"),
        ("tool_calls", "tool_calls"),
    ],
)
def test_finish_reasons_are_understood(reason, finish):
    assert read(stream(chunk({"content": "x"}, reason)), ASKED)[1].finish == finish
    assert CODEC.decode(ASKED, body({"content": "x"}, reason)).finish == finish


def test_a_reply_that_ends_in_an_error_is_a_fault():
    fault = read(stream(chunk({"content": "x"}), chunk({}, "error")), ASKED)[1]
    assert (fault.trigger, fault.partial_text) == (Trigger.server_error, "x")
    assert CODEC.decode(ASKED, body({"content": ""}, "error")).trigger is Trigger.server_error


def test_an_unknown_finish_reason_is_no_end_of_a_reply():
    for fault in (
        read(stream(chunk({"content": "x"}, "new")), ASKED)[1],
        CODEC.decode(ASKED, body({"content": "x"}, "new")),
    ):
        assert (fault.trigger, fault.partial_text) == (Trigger.bad_reply, "x")
        assert fault.text == "the provider stopped with 'new'"


def test_log_probabilities_are_averaged():
    said = {"content": [{"token": "x", "logprob": -0.5, "bytes": [], "top_logprobs": []}]}
    choice = {"index": 0, "delta": {"content": "x"}, "finish_reason": "stop", "logprobs": said}
    assert read(stream({"choices": [choice]}), ASKED)[1].logprob == -0.5


@pytest.mark.parametrize(
    ("data", "trigger"),
    [
        (b"", Trigger.bad_reply),
        (b"<html>", Trigger.bad_reply),
        (b"[]", Trigger.bad_reply),
        (b"{}", Trigger.bad_reply),
        (b'{"choices": 7}', Trigger.bad_reply),
        (b'{"choices": [{"message": {"content": "x"}}]}', Trigger.bad_reply),
        (b'{"object": "error", "message": "no", "type": "invalid_request_error"}', Trigger.bad_request),
        (b'{"detail": "overloaded"}', Trigger.overloaded),
        (b'{"error": {"message": "rate_limit"}}', Trigger.rate_limited),
    ],
)
def test_a_body_that_holds_no_reply_is_a_fault(data, trigger):
    assert CODEC.decode(ASKED, data).trigger is trigger


def test_an_error_amid_a_stream_is_a_fault_with_what_had_arrived():
    error = {"object": "error", "message": "Service tier capacity exceeded", "type": "service_unavailable", "code": 1}
    fault = read(stream(chunk({"content": "a"}), error), ASKED)[1]
    assert (fault.trigger, fault.partial_text) == (Trigger.overloaded, "a")
    assert "capacity exceeded" in fault.text


@pytest.mark.parametrize(
    ("status", "said", "trigger", "text"),
    [
        (401, {"message": "Unauthorized", "request_id": "1"}, Trigger.auth, "Unauthorized"),
        (429, {"message": "Requests rate limit exceeded"}, Trigger.rate_limited, "Requests rate limit exceeded"),
        (
            400,
            {
                "object": "error",
                "message": "Prompt too large for model with 8 maximum context length",
            },
            Trigger.context_overflow,
            "maximum context",
        ),
        (
            422,
            {"detail": [{"loc": ["body", "messages", 0], "msg": "Field required", "type": "missing", "input": "…"}]},
            Trigger.bad_request,
            "body.messages.0: Field required",
        ),
        (
            422,
            {"object": "error", "message": {"detail": [{"loc": ["x"], "msg": "Extra inputs"}]}, "code": "1"},
            Trigger.bad_request,
            "1: x: Extra inputs",
        ),
        (500, {"detail": "oops"}, Trigger.server_error, "oops"),
    ],
)
def test_error_bodies_in_mistrals_shapes_are_understood(status, said, trigger, text):
    fault = CODEC.error(status, {}, json.dumps(said).encode())
    assert (fault.trigger, fault.status) == (trigger, status)
    assert text in fault.text


def test_limits_are_counted_by_the_minute():
    headers = {
        "x-ratelimit-limit-tokens-minute": "500000",
        "x-ratelimit-remaining-tokens-minute": "499911",
        "x-ratelimit-limit-req-minute": "720",
        "x-ratelimit-remaining-req-minute": "717",
    }
    assert CODEC.limits(headers) == (
        RateLimit("requests", 720, 717, None),
        RateLimit("tokens", 500000, 499911, None),
    )
    assert CODEC.limits({}) == ()


MESSAGE = ("delta", "message", "content", "type", "text", "thinking", "signature", "logprobs", "finish_reason", "index")
KEYS = st.sampled_from(
    (*MESSAGE, "choices", "tool_calls", "function", "name", "arguments", "id", "usage", "object", "detail", "error")
)
LEAVES = st.none() | st.integers() | st.text() | st.booleans() | st.sampled_from(["text", "thinking", "error", "stop"])
SAID = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5))


@given(SAID)
@settings(deadline=None, max_examples=100)
def test_nothing_that_a_server_says_raises(value):
    data = json.dumps(value).encode()
    assert isinstance(CODEC.decode(ASKED, data), ModelReply | CallFault)
    assert isinstance(read(b"data: " + data + b"\n\n", ASKED)[1], ModelReply | CallFault)
    assert isinstance(CODEC.error(400, {}, data), CallFault)
