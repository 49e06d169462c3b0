"""What Cohere's answer on the wire becomes, whole or streamed, however its bytes are split."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.dialects.rate_limits import RateLimit
from orchestra.types import CallFault, ModelReply, Origin, Reasoning, Text, ToolCall, Trigger, Usage
from tests.dialects.cohere import CODEC, NOW, ROWS, content, encoded, ended, event, read, started, stream, written

ORIGIN = Origin("cohere", "cohere", "c-1")
ASKED = encoded(tools=(ROWS, NOW))
USAGE = {
    "billed_units": {"input_tokens": 11.0, "output_tokens": 7},
    "tokens": {"input_tokens": 70, "output_tokens": 9},
    "cached_tokens": 4,
}
FULL = stream(
    {"type": "message-start", "id": "1", "delta": {"message": {"role": "assistant", "content": []}}},
    event("content-start", 0, content={"type": "thinking", "thinking": "h"}),
    content(0, thinking="m"),
    {"type": "content-end", "index": 0},
    event("tool-plan-delta", tool_plan="first "),
    event("tool-plan-delta", tool_plan="rows"),
    event("content-start", 1, content={"type": "text", "text": ""}),
    content(1, text="Größe 😀"),
    {"type": "citation-start", "index": 0, "delta": {"message": {"citations": {"start": 0, "text": "x"}}}},
    {"type": "citation-end", "index": 0},
    content(1, text=" ja"),
    started(0, "rows_1", "rows"),
    written(0, '{"sql": "ü'),
    started(1, "now_1", "now"),
    written(0, '"}'),
    {"type": "tool-call-end", "index": 0},
    {"type": "tool-call-end", "index": 1},
    {"type": "something-new", "delta": 7},
    ended("TOOL_CALL", usage=USAGE),
)
REPLY = ModelReply(
    (
        Reasoning("hm", ORIGIN),
        Reasoning("first rows", ORIGIN, "tool_plan"),
        Text("Größe 😀 ja", ORIGIN),
        ToolCall("rows_1", "rows", {"sql": "ü"}, '{"sql": "ü"}', ORIGIN),
        ToolCall("now_1", "now", {}, "", ORIGIN),
    ),
    "tool_calls",
    Usage(11, 7, 4),
    None,
    raw='Größe 😀 ja\nrows({"sql": "ü"})\nnow()',
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, None])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_stream_reads_the_same_however_it_is_split(size, end):
    deltas, reply = read(FULL.replace(b"\n", end), ASKED, size)
    assert reply == REPLY
    assert "".join(delta.text for delta in deltas) == "hmfirst rowsGröße 😀 ja"


@given(st.lists(st.integers(1, 60), min_size=1, max_size=30))
@settings(deadline=None, max_examples=50)
def test_any_split_gives_the_same_reply(sizes):
    reader, place = CODEC.reader(ASKED), 0
    for size in sizes:
        reader.feed(FULL[place : place + size])
        place += size
    reader.feed(FULL[place:])
    assert reader.close() == REPLY


def test_a_stream_that_is_cut_anywhere_is_no_success():
    for end in range(0, len(FULL) - len("\n\n"), 3):
        fault = read(FULL[:end], ASKED)[1]
        assert isinstance(fault, CallFault), FULL[:end]
        assert fault.trigger in {Trigger.stream_cut, Trigger.bad_reply}


def test_an_end_that_gives_no_reason_is_no_end():
    assert read(stream(content(0, text="a"), {"type": "message-end"}))[1].trigger is Trigger.stream_cut
    assert read(stream(content(0, text="a")) + b"data: [DONE]\n\n")[1].trigger is Trigger.stream_cut


def test_the_type_of_an_event_may_stand_in_its_name_alone():
    said = [("content-delta", content(0, text="a")), ("message-end", ended())]
    data = "".join(f"event: {kind}\ndata: {json.dumps({'delta': each['delta']})}\n\n" for kind, each in said)
    assert read(data.encode())[1].text == "a"


def body(message, finish="COMPLETE", **fields):
    said = {"id": "1", "message": {"role": "assistant"} | message, "finish_reason": finish} | fields
    return json.dumps({key: value for key, value in said.items() if value is not None}).encode()


def test_a_whole_reply_holds_the_same():
    calls = [
        {"id": "rows_1", "type": "function", "function": {"name": "rows", "arguments": '{"sql": "ü"}'}},
        {"id": "now_1", "type": "function", "function": {"name": "now", "arguments": ""}},
    ]
    blocks = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Größe 😀 ja"}]
    message = {"tool_plan": "first rows", "tool_calls": calls, "content": blocks, "citations": [{"start": 0}]}
    reply = CODEC.decode(ASKED, body(message, "TOOL_CALL", usage=USAGE, logprobs=[{"logprobs": [-0.5, -1.5]}]))
    plan, thought, *rest = reply.parts
    assert (thought, plan, *rest) == REPLY.parts
    assert (reply.finish, reply.usage, reply.logprob) == ("tool_calls", Usage(11, 7, 4), -1.0)
    assert CODEC.decode(ASKED, body({"content": "plain"})).text == "plain"


def test_calls_without_a_place_follow_one_another():
    said = stream(
        started(None, "a", "rows", '{"sql": "1"}'), started(None, "b", "rows"), written(None, '{"sql": "2"}'), ended()
    )
    assert [(call.id, call.arguments) for call in read(said)[1].tool_calls] == [
        ("a", {"sql": "1"}),
        ("b", {"sql": "2"}),
    ]


def test_calls_that_share_a_place_are_two():
    said = stream(started(0, "a", "now"), started(0, "b", "rows"), written(0, '{"sql": "2"}'), ended("TOOL_CALL"))
    assert [(call.id, call.arguments) for call in read(said)[1].tool_calls] == [("a", {}), ("b", {"sql": "2"})]


def test_log_probabilities_of_a_stream_are_averaged():
    one = content(0, text="a") | {"logprobs": {"text": "a", "token_ids": [1], "logprobs": [-0.5, "x"]}}
    assert read(stream(one, ended()))[1].logprob == -0.5


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("COMPLETE", "stop"),
        ("STOP_SEQUENCE", "stop"),
        ("MAX_TOKENS", "length"),
        ("TOOL_CALL", "tool_calls"),
    ],
)
def test_finish_reasons_are_understood(reason, finish):
    assert read(stream(content(0, text="x"), ended(reason)))[1].finish == finish
    assert CODEC.decode(ASKED, body({"content": "x"}, reason)).finish == finish


@pytest.mark.parametrize(
    ("reason", "trigger"),
    [("ERROR", Trigger.server_error), ("TIMEOUT", Trigger.timeout), ("SOMETHING_NEW", Trigger.bad_reply)],
)
def test_a_reply_that_failed_is_a_fault_with_what_had_arrived(reason, trigger):
    fault = read(stream(content(0, text="x"), ended(reason, error="it broke")))[1]
    assert (fault.trigger, fault.partial_text, fault.text) == (
        trigger,
        "x",
        f"the provider stopped with {reason!r}: it broke",
    )
    assert CODEC.decode(ASKED, body({"content": "x"}, reason)).trigger is trigger


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        (USAGE, Usage(11, 7, 4)),
        ({"tokens": {"input_tokens": 70, "output_tokens": 9}, "cached_tokens": 99}, Usage(70, 9, 70)),
        ({"billed_units": {"input_tokens": -1, "output_tokens": 9}}, None),
        ({"billed_units": {"input_tokens": True, "output_tokens": 9}}, None),
        ({"billed_units": {"search_units": 1}}, None),
        ({}, None),
    ],
)
def test_usage_is_what_is_billed_and_unknown_is_never_nothing(said, usage):
    assert read(stream(ended("COMPLETE", usage=said)))[1].usage == usage


@pytest.mark.parametrize(
    ("data", "trigger"),
    [
        (b"", Trigger.bad_reply),
        (b"<html>", Trigger.bad_reply),
        (b"[]", Trigger.bad_reply),
        (b"{}", Trigger.bad_reply),
        (b'{"message": {"content": "x"}}', Trigger.bad_reply),
        (b'{"message": "no such model"}', Trigger.server_error),
        (b'{"error": {"message": "rate_limit"}}', Trigger.rate_limited),
    ],
)
def test_a_body_that_holds_no_reply_is_a_fault(data, trigger):
    assert CODEC.decode(ASKED, data).trigger is trigger


def test_an_error_amid_a_stream_is_a_fault_with_what_had_arrived():
    fault = read(stream(content(0, text="a")) + b'data: {"message": "the model is overloaded"}\n\n')[1]
    assert (fault.trigger, fault.partial_text) == (Trigger.overloaded, "a")


@pytest.mark.parametrize(
    ("status", "message", "trigger"),
    [
        (401, "invalid api token", Trigger.auth),
        (429, "You are using a Trial key, which is limited to 20 API calls / minute.", Trigger.rate_limited),
        (
            400,
            "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292.",
            Trigger.context_overflow,
        ),
        (400, "too many tokens: size limit exceeded by 11326 tokens.", Trigger.context_overflow),
        (400, "too many tokens: max tokens must be less than or equal to 4096", Trigger.bad_request),
        (404, "model 'x' not found", Trigger.auth),
        (499, "request cancelled", Trigger.timeout),
        (500, "internal server error", Trigger.server_error),
        (503, "x", Trigger.overloaded),
        (504, "x", Trigger.timeout),
    ],
)
def test_error_bodies_of_nothing_but_a_message_are_understood(status, message, trigger):
    fault = CODEC.error(status, {}, json.dumps({"id": "1", "message": message}).encode())
    assert (fault.trigger, fault.status) == (trigger, status)
    assert message in fault.text


def test_a_trial_keys_limits_are_read():
    headers = {"x-trial-endpoint-call-limit": "20", "x-trial-endpoint-call-remaining": "19"}
    assert CODEC.limits(headers) == (RateLimit("requests", 20, 19, None),)
    assert CODEC.limits({}) == ()


FIELDS = ("delta", "message", "content", "text", "thinking", "tool_plan", "tool_calls", "function", "name", "arguments")
KEYS = st.sampled_from((*FIELDS, "type", "index", "id", "finish_reason", "usage", "billed_units", "logprobs", "error"))
KINDS = st.sampled_from(["content-delta", "tool-plan-delta", "tool-call-start", "tool-call-delta", "message-end"])
LEAVES = st.none() | st.integers() | st.text() | st.booleans() | KINDS
SAID = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5))


@given(SAID)
@settings(deadline=None, max_examples=100)
def test_nothing_that_a_server_says_raises(value):
    data = json.dumps(value).encode()
    assert isinstance(CODEC.decode(ASKED, data), ModelReply | CallFault)
    assert isinstance(read(b"data: " + data + b"\n\n", ASKED)[1], ModelReply | CallFault)
    assert isinstance(CODEC.error(400, {}, data), CallFault)
