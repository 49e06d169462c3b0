"""What Claude's answer on the wire becomes, whole or streamed, however its bytes are split."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.dialects.rate_limits import RateLimit
from orchestra.types import CallFault, ModelReply, Origin, Reasoning, Text, ToolCall, ToolSpec, Trigger, Usage
from tests.dialects.anthropic import (
    CODEC,
    END,
    NOW,
    ROWS,
    block,
    call,
    card,
    encoded,
    event,
    read,
    shown,
    start,
    stop,
    stream,
    text,
    thought,
)

ORIGIN = Origin("anthropic", "anthropic", "claude-sonnet-4-5")
ASKED = encoded(tools=(ROWS, NOW))
SIGNED = '{"type": "thinking", "signature": "c2lnbmVk+/="}'
REDACTED = '{"type": "redacted_thinking", "data": "b3BhcXVl"}'
FULL = stream(
    start(input_tokens=5, output_tokens=1, cache_read_input_tokens=4, cache_creation_input_tokens=2),
    event("ping"),
    block(
        0,
        "thinking",
        ("thinking_delta", "thinking", "hm "),
        ("thinking_delta", "thinking", "so"),
        ("signature_delta", "signature", "c2lnbmVk+/="),
        thinking="",
        signature="",
    ),
    block(1, "redacted_thinking", data="b3BhcXVl"),
    text(2, "Größe 😀", " ja"),
    call(3, "c1", "rows", "", '{"sql": "ü', '"}'),
    call(4, "c2", "now", ""),
    stop("tool_use", {"output_tokens": 7, "output_tokens_details": {"thinking_tokens": 3}}),
)
REPLY = ModelReply(
    (
        Reasoning("hm so", ORIGIN, SIGNED),
        Reasoning("", ORIGIN, REDACTED),
        Text("Größe 😀 ja", ORIGIN),
        ToolCall("c1", "rows", {"sql": "ü"}, '{"sql": "ü"}', ORIGIN),
        ToolCall("c2", "now", {}, "{}", ORIGIN),
    ),
    "tool_calls",
    Usage(11, 7, 4, 3, 2),
    "claude-sonnet-4-5-20250929",
    raw='Größe 😀 ja\nrows({"sql": "ü"})\nnow({})',
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, None])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_stream_reads_the_same_however_it_is_split(size, end):
    deltas, reply = read(FULL.replace(b"\n", end), ASKED, size)
    assert reply == REPLY
    assert (shown(deltas), thought(deltas)) == (REPLY.text, REPLY.reasoning)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40))
@settings(deadline=None, max_examples=50)
def test_any_split_gives_the_same_reply(sizes):
    reader, place = CODEC.reader(ASKED), 0
    for size in sizes:
        reader.feed(FULL[place : place + size])
        place += size
    reader.feed(FULL[place:])
    assert reader.close() == REPLY


def test_no_proper_beginning_of_a_stream_is_a_reply():
    whole = FULL.rstrip(b"\n")
    for length in range(len(whole)):
        fault = read(FULL[:length], ASKED)[1]
        assert isinstance(fault, CallFault), FULL[:length]
        assert fault.trigger is Trigger.stream_cut
    assert read(whole, ASKED)[1] == REPLY  # all but the empty line that closes the last event


CONTENT = [
    {"type": "thinking", "thinking": "hm so", "signature": "c2lnbmVk+/="},
    {"type": "redacted_thinking", "data": "b3BhcXVl"},
    {"type": "text", "text": "Größe 😀 ja"},
    {"type": "tool_use", "id": "c1", "name": "rows", "input": {"sql": "ü"}},
    {"type": "tool_use", "id": "c2", "name": "now", "input": {}},
]
USAGE = {
    "input_tokens": 5,
    "output_tokens": 7,
    "cache_read_input_tokens": 4,
    "cache_creation_input_tokens": 2,
    "output_tokens_details": {"thinking_tokens": 3},
}


def whole(*content, reason="end_turn", **fields):
    return json.dumps(
        {"type": "message", "model": "claude-sonnet-4-5-20250929", "content": content, "stop_reason": reason} | fields
    ).encode()


def test_a_whole_body_reads_like_the_same_reply_streamed():
    assert CODEC.decode(ASKED, whole(*CONTENT, reason="tool_use", usage=USAGE)) == REPLY


def test_a_server_that_does_not_stream_although_it_was_asked_to_is_read_all_the_same():
    assert read(whole(*CONTENT, reason="tool_use", usage=USAGE), ASKED, 1)[1] == REPLY


def test_blocks_that_grow_in_turns_stay_apart():
    one, two = text(0, "a", "b"), call(1, "c", "rows", '{"sql": ', '"1"}')
    mixed = [one[0], two[0], one[1], two[1], one[2], two[2], two[3], one[3]]
    _, reply = read(stream(mixed, stop("tool_use")), ASKED)
    assert (reply.text, [each.arguments for each in reply.tool_calls]) == ("ab", [{"sql": "1"}])


def test_an_index_that_comes_again_is_another_block():
    _, reply = read(stream(call(0, "a", "now"), call(0, "b", "now"), text(0, "x"), stop("tool_use")), ASKED)
    assert [type(part) for part in reply.parts] == [ToolCall, ToolCall, Text]
    unclosed = [*text(0, "x")[:-1], *text(0, "y")]
    assert [part.text for part in read(stream(unclosed, stop()), ASKED)[1].parts] == ["x", "y"]
    begun = [event("content_block_start", index=0, content_block=CONTENT[3])] * 2
    calls = read(stream(begun, stop("tool_use")), ASKED)[1].tool_calls
    assert [each.arguments for each in calls] == [{"sql": "ü"}, {"sql": "ü"}]


def test_calls_that_share_an_id_or_have_none_get_ids_of_their_own():
    _, reply = read(stream(call(0, "a", "now"), call(1, "a", "now"), call(2, "", "now"), stop("tool_use")), ASKED)
    assert len({each.id for each in reply.tool_calls}) == 3


def test_an_input_that_comes_whole_with_its_block_counts_once():
    began = [event("content_block_start", index=0, content_block=CONTENT[3])]
    _, reply = read(stream(began, stop("tool_use")), ASKED)
    assert [each.arguments for each in reply.tool_calls] == [{"sql": "ü"}]
    pieces = block(0, "tool_use", ("input_json_delta", "partial_json", '{"sql": "2"}'), **CONTENT[3] | {"type": "x"})
    pieces[0]["content_block"]["type"] = "tool_use"
    assert [each.arguments for each in read(stream(pieces, stop("tool_use")), ASKED)[1].tool_calls] == [{"sql": "2"}]


@pytest.mark.parametrize("raw", ['{"sql": ', "[1]", '{"sql": NaN}', "[" * 2_000])
def test_arguments_that_are_no_json_object_are_none_and_keep_what_was_written(raw):
    _, reply = read(stream(call(0, "a", "rows", raw), stop("tool_use")), ASKED)
    assert (reply.tool_calls[0].arguments, reply.tool_calls[0].raw) == (None, raw)


def test_a_call_cut_by_the_output_limit_is_no_call():
    _, reply = read(stream(call(0, "a", "rows", '{"sql": "SEL'), stop("max_tokens")), ASKED)
    assert (reply.finish, reply.tool_calls[0].arguments) == ("length", None)


def test_a_name_respelled_on_the_wire_comes_back_as_it_was_declared():
    asked = encoded(tools=(ToolSpec("shop.cart", "", {"type": "object", "properties": {}}),))
    name = json.loads(asked.body)["tools"][0]["name"]
    assert read(stream(call(0, "a", name), stop("tool_use")), asked)[1].tool_calls[0].name == "shop.cart"
    assert read(stream(call(0, "a", "made_up"), stop("tool_use")), asked)[1].tool_calls[0].name == "made_up"


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "length"),
        ("refusal", "refusal"),
    ],
)
def test_reasons_to_stop_are_understood(reason, finish):
    assert read(stream(text(0, "x"), stop(reason)), ASKED)[1].finish == finish
    assert CODEC.decode(ASKED, whole(CONTENT[2], reason=reason)).finish == finish


def test_an_unknown_reason_to_stop_is_no_end_of_a_reply_and_its_calls_are_not_handed_on():
    for said in (
        read(stream(text(0, "half of"), call(1, "a", "rows"), stop("new_reason")), ASKED)[1],
        CODEC.decode(ASKED, whole(*CONTENT, reason="new_reason")),
    ):
        assert (said.trigger, said.text) == (Trigger.bad_reply, "the provider stopped with 'new_reason'")
        assert said.partial_text


def test_a_refusal_says_why_without_handing_it_on():
    details = {"type": "refusal", "category": "cyber", "explanation": "I may not."}
    deltas, reply = read(stream(stop("refusal", stop_details=details)), ASKED)
    assert (reply.text, reply.finish, deltas) == ("I may not.", "refusal", [])


def test_blocks_of_the_providers_own_tools_are_kept_for_the_replay():
    asking = block(0, "server_tool_use", ("input_json_delta", "partial_json", '{"query": "x"}'), id="s", input={})
    found = block(1, "web_search_tool_result", tool_use_id="s", content=[{"title": "ü"}])
    _, reply = read(stream(asking, found, text(2, "done"), stop()), ASKED)
    assert [json.loads(part.provider_state or "null") for part in reply.parts] == [
        {"type": "server_tool_use", "id": "s", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"title": "ü"}]},
        None,
    ]
    assert (reply.text, reply.reasoning) == ("done", "")


def test_what_a_call_says_of_its_caller_is_kept_for_the_replay():
    began = block(0, "tool_use", id="a", name="now", input={}, caller={"type": "direct"}, toolset_name=None)
    _, reply = read(stream(began, stop("tool_use")), ASKED)
    assert json.loads(reply.tool_calls[0].provider_state) == {"caller": {"type": "direct"}}


def test_unknown_events_and_deltas_are_nothing():
    odd = [event("message_sparkle", index=0), *text(0, "a")]
    odd.insert(2, event("content_block_delta", index=0, delta={"type": "citations_delta", "citation": {}}))
    odd.insert(2, event("content_block_sparkle", index=0))
    assert read(stream(odd, stop()), ASKED)[1].text == "a"


def test_what_follows_the_end_is_no_part_of_the_reply():
    after = stream(text(0, "a"), stop()) + stream(start(), text(0, "b"), stop("max_tokens"))
    reply = read(after, ASKED)[1]
    assert (reply.text, reply.finish) == ("a", "stop")


def test_the_name_of_an_event_serves_where_its_data_has_no_type():
    data = stream(text(0, "a"), stop()).replace(b'"type": "message_stop"', b'"x": 1')
    assert read(data, ASKED)[1].text == "a"


def test_a_cut_stream_keeps_what_was_written_and_what_its_beginning_counted():
    counted = start(input_tokens=5, cache_read_input_tokens=4, output_tokens=1)
    hm = block(0, "thinking", ("thinking_delta", "thinking", "hm so"), thinking="")
    fault = read(stream(counted, hm, call(1, "c1", "rows", '{"sql"'), end=False), ASKED)[1]
    assert (fault.usage, fault.final) == (Usage(9, 1, 4), False)
    assert (fault.written, fault.partial_text) == ('hm sorows{"sql"', "")


def test_an_end_without_a_reason_to_stop_is_a_cut():
    fault = read(stream(text(0, "half")), ASKED)[1]
    assert (fault.trigger, fault.partial_text) == (Trigger.stream_cut, "half")
    assert read(stream(text(0, "half"), stop(), end=False), ASKED)[1].trigger is Trigger.stream_cut


@pytest.mark.parametrize(
    "bad",
    [
        event("content_block_delta", index=5, delta={"type": "text_delta", "text": "x"}),
        event("content_block_stop", index=5),
        event("content_block_start", content_block={"type": "text"}),
        event("content_block_delta", index="0", delta={"type": "text_delta", "text": "x"}),
    ],
)
def test_an_event_of_a_block_that_is_not_open_is_a_bad_reply(bad):
    fault = read(stream(text(0, "half"), bad, stop()), ASKED)[1]
    assert (fault.trigger, fault.partial_text) == (Trigger.bad_reply, "half")


@pytest.mark.parametrize("bad", [b"data: {nope\n\n", b"data: [1]\n\n", b"data: \xff\n\n"])
def test_a_malformed_event_is_a_bad_reply_with_what_had_arrived(bad):
    fault = read(stream(text(0, "half"), end=False) + bad, ASKED)[1]
    assert (fault.trigger, fault.partial_text) == (Trigger.bad_reply, "half")


@pytest.mark.parametrize(
    ("kind", "trigger"),
    [
        ("overloaded_error", Trigger.overloaded),
        ("api_error", Trigger.server_error),
        ("rate_limit_error", Trigger.rate_limited),
        ("invalid_request_error", Trigger.bad_request),
        ("timeout_error", Trigger.timeout),
    ],
)
def test_an_error_inside_a_stream_or_a_successful_body_is_a_fault(kind, trigger):
    error = {"type": "error", "error": {"type": kind, "message": "sorry"}, "request_id": "req_1"}
    fault = read(stream(text(0, "half"), error, end=False), ASKED)[1]
    assert (fault.trigger, fault.partial_text) == (trigger, "half")
    assert CODEC.decode(ASKED, json.dumps(error).encode()).trigger is trigger


@pytest.mark.parametrize(
    "data",
    [b"", b"<html>", b"[]", b"{}", b'{"content": {}}', b"\xff", whole(CONTENT[2], reason=None), whole(reason=7)],
)
def test_a_body_that_is_no_finished_message_is_a_bad_reply(data):
    assert CODEC.decode(ASKED, data).trigger is Trigger.bad_reply


def test_an_empty_reply_is_a_reply_without_parts():
    assert read(stream(stop()), ASKED)[1].parts == ()
    assert CODEC.decode(ASKED, whole()).parts == ()


def test_counts_at_the_end_are_totals_and_those_left_out_stand_from_the_beginning():
    data = stream(
        start(input_tokens=5, cache_read_input_tokens=4),
        stop("end_turn", {"output_tokens": 7, "input_tokens": 6, "cache_read_input_tokens": None}),
    )
    assert read(data, ASKED)[1].usage == Usage(10, 7, 4)
    assert read(stream(start(input_tokens=5, output_tokens=1), stop()), ASKED)[1].usage is None


@pytest.mark.parametrize("count", ["7", -1, True, 1.5, [], {"a": 1}])
def test_usage_that_is_no_count_is_unknown_rather_than_nothing(count):
    for name in USAGE.keys() - {"output_tokens_details"}:
        counts = USAGE | {name: count}
        if not count and name.startswith("cache"):
            continue
        data = json.dumps({"content": [], "stop_reason": "end_turn", "usage": counts})
        assert CODEC.decode(ASKED, data.encode()).usage is None
    assert CODEC.decode(ASKED, whole(usage={"output_tokens": 7})).usage is None


def test_a_model_that_writes_its_calls_as_json_is_read_as_such():
    asked = encoded(tools=(ROWS,), card=card(capabilities={"tools": "json"}))
    deltas, reply = read(stream(text(0, '{"tool": "rows", ', '"arguments": {"sql": "1"}}'), stop()), asked)
    assert ([each.arguments for each in reply.tool_calls], deltas) == ([{"sql": "1"}], [])
    deltas, reply = read(stream(text(0, '{"answer": "a', 'b"}'), stop()), asked)
    assert (reply.text, shown(deltas)) == ("ab", "ab")


def test_a_block_nested_beyond_all_reason_is_a_bad_reply_and_no_exception():
    for depth in range(900, 1_000):
        nested = '{"a":' * depth + "1" + "}" * depth
        for content in (f'{{"a": {nested}}}', f'[{{"type": "tool_use", "input": {nested}}}]'):
            body = f'{{"content": {content}, "stop_reason": "tool_use"}}'
            assert isinstance(CODEC.decode(ASKED, body.encode()), ModelReply | CallFault)
        began = f'{{"type": "content_block_start", "index": 0, "content_block": {{"type": "x", "input": {nested}}}}}'
        assert isinstance(read(f"data: {began}\n\n".encode(), ASKED)[1], CallFault)


def test_http_errors_are_faults_by_their_type():
    def fault(status, kind, message, headers=None):
        error = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}
        return CODEC.error(status, headers or {}, json.dumps(error).encode())

    limited = fault(429, "rate_limit_error", "slow down", {"retry-after": "12"})
    assert (limited.trigger, limited.status, limited.retry_after) == (Trigger.rate_limited, 429, 12.0)
    assert fault(529, "overloaded_error", "Overloaded").trigger is Trigger.overloaded
    assert fault(401, "authentication_error", "invalid x-api-key").trigger is Trigger.auth
    assert fault(403, "permission_error", "no").trigger is Trigger.auth
    assert fault(402, "billing_error", "no").trigger is Trigger.quota
    assert fault(400, "invalid_request_error", "Your credit balance is too low").trigger is Trigger.quota
    assert fault(400, "invalid_request_error", "You have reached your specified API usage limits").trigger is (
        Trigger.quota
    )
    assert fault(400, "invalid_request_error", "prompt is too long: 2 tokens > 1 maximum").trigger is (
        Trigger.context_overflow
    )
    both = "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000"
    assert fault(400, "invalid_request_error", both).trigger is Trigger.context_overflow
    assert fault(413, "request_too_large", "too large").trigger is Trigger.context_overflow
    assert fault(400, "invalid_request_error", "messages: at least one").trigger is Trigger.bad_request
    assert fault(500, "api_error", "boom").trigger is Trigger.server_error
    assert CODEC.error(502, {}, b"<html>").trigger is Trigger.server_error


def test_rate_limits_are_read_from_the_headers():
    headers = {
        "date": "Sat, 21 Nov 2026 10:00:00 GMT",
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-requests-reset": "2026-11-21T10:00:30Z",
        "anthropic-ratelimit-input-tokens-remaining": "1000",
    }
    assert CODEC.limits(headers) == (
        RateLimit("requests", 50, 49, 30.0),
        RateLimit("input_tokens", None, 1000, None),
    )
    assert CODEC.limits({}) == ()


KEYS = ["type", "index", "content_block", "delta", "text", "thinking", "signature", "id", "name", "input", "usage"]
KEYS += ["partial_json", "message", "content", "stop_reason", "stop_details", "model", "input_tokens", "output_tokens"]
WORDS = ["text", "thinking", "tool_use", "redacted_thinking", "text_delta", "input_json_delta", "signature_delta"]
WORDS += ["message_start", "message_delta", "message_stop", "content_block_start", "content_block_delta", "end_turn"]
LOOSE = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2) | st.floats() | st.text(max_size=4) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=25,
)
EVENTS = st.dictionaries(st.sampled_from(KEYS), LOOSE, max_size=4).flatmap(
    lambda data: st.builds(lambda kind: data | {"type": kind}, st.sampled_from(WORDS))
)


@given(st.lists(EVENTS, max_size=8), st.booleans())
@settings(deadline=None)
def test_no_events_however_strange_raise(events, json_tools):
    asked = encoded(tools=(ROWS, NOW), card=card(capabilities={"tools": "json" if json_tools else "native"}))
    assert isinstance(read(stream(events), asked)[1], ModelReply | CallFault)


@given(LOOSE, LOOSE)
@settings(deadline=None)
def test_no_body_however_strange_raises(content, rest):
    for data in ({"content": content, "stop_reason": "end_turn", "usage": rest}, {"content": [content, rest]}):
        assert isinstance(CODEC.decode(ASKED, json.dumps(data).encode()), ModelReply | CallFault)


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_no_bytes_raise(data):
    assert isinstance(read(data, ASKED, 3)[1], ModelReply | CallFault)
    assert isinstance(CODEC.decode(ASKED, data), ModelReply | CallFault)


@given(st.integers(0, len(FULL) - 1), st.integers(0, 60), st.binary(max_size=4))
@settings(deadline=None)
def test_a_damaged_stream_reads_the_same_however_it_is_split(place, length, bytes_):
    damaged = FULL[:place] + bytes_ + FULL[place + length :]
    assert read(damaged, ASKED, 5)[1] == read(damaged, ASKED)[1]


def test_the_end_event_alone_is_no_reply():
    assert read(stream(END, end=False), ASKED)[1].trigger is Trigger.stream_cut


def test_a_block_of_no_type_is_nothing_that_could_go_back():
    began = {"type": "content_block_start", "index": 0, "content_block": {"a": 1}}
    _, reply = read(stream(start(), began, {"type": "content_block_stop", "index": 0}, stop("end_turn")), ASKED)
    assert reply.parts == ()
