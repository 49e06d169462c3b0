"""What Google's answer becomes, whole or streamed, however its bytes are split."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.dialects.gemini_arguments import assembled
from orchestra.types import CallFault, Message, ModelReply, Reasoning, Text, ToolCall, ToolResult, Trigger, Usage
from tests.dialects.gemini import (
    CODEC,
    NEW,
    NOW,
    ROWS,
    call,
    card,
    chunk,
    encoded,
    origin,
    read,
    shown,
    stream,
    thought,
    turns,
)

ORIGIN = origin()
ASKED = encoded(tools=(ROWS, NOW))
USAGE = {
    "promptTokenCount": 11,
    "cachedContentTokenCount": 4,
    "toolUsePromptTokenCount": 2,
    "candidatesTokenCount": 5,
    "thoughtsTokenCount": 3,
    "totalTokenCount": 21,
}
FULL = stream(
    chunk({"text": "hm ", "thought": True}),
    chunk({"text": "so", "thought": True}, usageMetadata={"promptTokenCount": 11}),
    chunk({"text": "Größe 😀"}),
    chunk({"text": " j"}, {"text": "a"}),
    chunk(call("rows", "c2lnbmVk", id="gc_1", args={"sql": "ü"}), call("now", id="gc_2", args={})),
    chunk({"text": ""}, finish="STOP", usageMetadata=USAGE),
)
REPLY = ModelReply(
    (
        Reasoning("hm so", ORIGIN),
        Text("Größe 😀 ja", ORIGIN),
        ToolCall(
            "gc_1", "rows", {"sql": "ü"}, '{"sql": "ü"}', ORIGIN, '{"id": "gc_1", "thoughtSignature": "c2lnbmVk"}'
        ),
        ToolCall("gc_2", "now", {}, "{}", ORIGIN, '{"id": "gc_2"}'),
    ),
    "tool_calls",
    Usage(input=13, output=8, cached_input=4, reasoning=3),
    "gemini-3-flash-001",
    raw='Größe 😀 ja\nrows({"sql": "ü"})\nnow({})',
)


def whole(*parts, finish="STOP", **fields):
    return json.dumps(chunk(*parts, finish=finish, **fields)).encode()


@pytest.mark.parametrize("size", [1, 2, 3, 7, None])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_stream_reads_the_same_however_it_is_split(size, end):
    deltas, reply = read(FULL.replace(b"\r\n", end), ASKED, size)
    assert reply == REPLY
    assert (shown(deltas), thought(deltas)) == (REPLY.text, REPLY.reasoning)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=30))
@settings(deadline=None, max_examples=50)
def test_any_split_gives_the_same_reply(sizes):
    reader, place = CODEC.reader(ASKED), 0
    for size in sizes:
        reader.feed(FULL[place : place + size])
        place += size
    reader.feed(FULL[place:])
    assert reader.close() == REPLY


def test_no_stream_that_is_cut_before_its_finish_reason_is_a_reply():
    end = FULL.index(b'"finishReason"')
    for length in range(0, end, 3):
        _, fault = read(FULL[:length], ASKED)
        assert isinstance(fault, CallFault)
        assert fault.trigger is Trigger.stream_cut
        assert REPLY.text.startswith(fault.partial_text)


def test_a_whole_body_reads_like_the_same_reply_streamed():
    calls = (call("rows", "c2lnbmVk", id="gc_1", args={"sql": "ü"}), call("now", id="gc_2", args={}))
    body = whole({"text": "hm so", "thought": True}, {"text": "Größe 😀 ja"}, *calls, usageMetadata=USAGE)
    assert CODEC.decode(ASKED, body) == REPLY
    assert read(body, ASKED, 5)[1] == REPLY


def test_thoughts_texts_and_calls_keep_the_order_in_which_they_came():
    parts = [
        {"text": "t1", "thought": True},
        {"text": "a"},
        call("now", args={}),
        {"text": "b"},
        {"text": "c"},
        {"text": "t2", "thought": True},
        {"text": "d"},
    ]
    reply = read(stream(*map(chunk, parts), chunk(finish="STOP")))[1]
    said = [(type(part), getattr(part, "text", "")) for part in reply.parts]
    assert said == [
        (Reasoning, "t1"), (Text, "a"), (ToolCall, ""), (Text, "bc"), (Reasoning, "t2"), (Text, "d")
    ]  # fmt: skip


def test_what_a_reply_signed_goes_back_byte_for_byte():
    parts = [
        {"text": "plan", "thought": True, "thoughtSignature": "AAE+/w=="},
        {"text": "a"},
        {"text": "b", "thoughtSignature": "BBE-_w"},
        {"text": "c"},
        {"executableCode": {"language": "PYTHON", "code": "1"}},
        call("rows", "c2ln", id="gc_1", args={"sql": "1"}),
        call("now", id="gc_2", args={}),
        {"text": "", "thoughtSignature": "last"},
    ]
    reply = read(stream(*map(chunk, parts), chunk(finish="STOP")))[1]
    results = tuple(ToolResult(each.id, each.name, (Text("1"),)) for each in reply.tool_calls)
    said = turns(Message.user("q"), Message("assistant", reply.parts), Message("tool", results))
    assert said[1]["parts"] == parts
    other = turns(Message.user("q"), Message("assistant", reply.parts), Message("tool", results), card=card(model="x"))
    assert other[1]["parts"] == [
        {"text": "a"},
        {"text": "b"},
        {"text": "c"},
        {"functionCall": {"name": "rows", "args": {"sql": "1"}}},
        {"functionCall": {"name": "now", "args": {}}},
    ]


def test_calls_without_an_id_get_one_that_is_theirs_alone_and_never_goes_back():
    data = stream(chunk(call("now", args={}), call("now", args={})), chunk(finish="STOP"))
    reply = read(data)[1]
    ids = [each.id for each in reply.tool_calls]
    assert len(set(ids)) == 2
    assert all(ids)
    assert ids == [each.id for each in read(data, None, 1)[1].tool_calls]
    assert [each.provider_state for each in reply.tool_calls] == [None, None]


def test_an_id_used_twice_is_renamed_here_and_goes_back_as_it_was_given():
    reply = read(stream(chunk(call("now", id="x", args={}), call("now", id="x", args={}), finish="STOP")))[1]
    assert len({each.id for each in reply.tool_calls}) == 2
    said = turns(Message.user("q"), Message("assistant", reply.parts))
    assert [part["functionCall"]["id"] for part in said[1]["parts"]] == ["x", "x"]


@pytest.mark.parametrize(
    ("given", "arguments"),
    [
        ({"args": {"a": 1}}, {"a": 1}),
        ({}, {}),
        ({"args": None}, {}),
        ({"args": [1]}, None),
        ({"args": '{"a": 1}'}, None),
    ],
)
def test_arguments_are_an_object_or_none_at_all(given, arguments):
    reply = read(stream(chunk(call("now", **given), finish="STOP")))[1]
    assert [each.arguments for each in reply.tool_calls] == [arguments]


def test_a_number_too_large_to_be_one_is_no_reply():
    data = stream(chunk(call("now", args={"n": 0}), finish="STOP")).replace(b'"n": 0', b'"n": 1e999')
    fault = read(data)[1]
    assert (fault.trigger, "1e999 is no JSON" in fault.text) == (Trigger.bad_reply, True)


def piece(path, will_continue=None, **value):
    return {"jsonPath": path} | value | ({} if will_continue is None else {"willContinue": will_continue})


STREAMED_CALL = stream(
    chunk(call("rows", "c2ln", willContinue=True)),
    chunk(call("rows", partialArgs=[piece("$.sql", True, stringValue="SEL")], willContinue=True)),
    chunk({"functionCall": {"partialArgs": [piece("$.sql", stringValue="ECT")], "willContinue": True}}),
    chunk({"functionCall": {"partialArgs": [piece("$.in[0]", numberValue=1)]}}),
    chunk(call("now", willContinue=True)),
    chunk({"functionCall": {}}),
    chunk(finish="STOP"),
)


@pytest.mark.parametrize("size", [1, 5, None])
def test_arguments_that_arrive_in_pieces_are_put_together(size):
    reply = read(STREAMED_CALL, None, size)[1]
    assert [(each.name, each.arguments) for each in reply.tool_calls] == [
        ("rows", {"sql": "SELECT", "in": [1]}),
        ("now", {}),
    ]
    assert reply.tool_calls[0].provider_state == '{"thoughtSignature": "c2ln"}'


def test_an_id_may_come_with_any_piece_of_a_call():
    for first, last in (({}, {"id": "a"}), ({"id": "a"}, {}), ({"id": "a"}, {"id": "a"})):
        pieces = (call("now", willContinue=True, **first), {"functionCall": last})
        reply = read(stream(chunk(*pieces, finish="STOP")))[1]
        assert [(each.id, each.arguments) for each in reply.tool_calls] == [("a", {})]


@pytest.mark.parametrize(
    "pieces",
    [
        [call("now", willContinue=True)],
        [call("now", willContinue=True), call("rows", args={"sql": "1"})],
        [call("now", id="a", willContinue=True), call("now", id="b", args={})],
        [call("now", partialArgs=[piece("nowhere", numberValue=1)])],
        [call("now", partialArgs=[7])],
    ],
)
def test_a_call_that_is_not_whole_has_no_arguments(pieces):
    reply = read(stream(chunk(*pieces, finish="STOP")))[1]
    assert (reply.tool_calls[0].name, reply.tool_calls[0].arguments) == ("now", None)
    assert len(reply.tool_calls) == len(pieces)
    assert reply.tool_calls[-1].arguments is not None or len(pieces) == 1


@pytest.mark.parametrize(
    ("pieces", "arguments"),
    [
        ([piece("$.a.b", stringValue="x"), piece("$['c d']", boolValue=True)], {"a": {"b": "x"}, "c d": True}),
        ([piece('$["a\\"b"]', nullValue="NULL_VALUE")], {'a"b': None}),
        ([piece("$['a\\'b']", numberValue=0.5)], {"a'b": 0.5}),
        ([piece("$['a\"b']", numberValue=1)], {'a"b': 1}),
        ([piece("$.a[1][0]", numberValue=2), piece("$.a[0]", numberValue=1)], {"a": [1, [2]]}),
        ([piece("$.a", stringValue="x"), piece("$.a", numberValue=1)], {"a": 1}),
        (
            [piece("$.z", stringValue="x"), piece("$.a", numberValue=1), piece("$.z", stringValue="y")],
            {"z": "xy", "a": 1},
        ),
        ([piece("$.grün", stringValue="")], {"grün": ""}),
    ],
)
def test_partial_arguments_say_where_they_belong(pieces, arguments):
    assert assembled(pieces) == arguments
    assert list(assembled(pieces)) == list(arguments)


@pytest.mark.parametrize(
    "pieces",
    [
        [{}],
        [piece("$", numberValue=1)],
        [piece("a", numberValue=1)],
        [piece("$.a.", numberValue=1)],
        [piece("$..a", numberValue=1)],
        [piece("$[*]", numberValue=1)],
        [piece("$[0]", numberValue=1)],
        [piece("$.a[7]", numberValue=1)],
        [piece("$.a[0]", numberValue=1), piece("$.a.b", numberValue=1)],
        [piece("$.a", numberValue=1), piece("$.a.b", numberValue=1)],
        [piece("$.a")],
        [piece("$.a", numberValue=True)],
        [piece("$.a", stringValue=7)],
        [piece("$" + ".a" * 5000, numberValue=1)],
        [piece("$['\\x']", numberValue=1)],
    ],
)
def test_partial_arguments_that_fit_nowhere_are_refused(pieces):
    with pytest.raises(ValueError):
        assembled(pieces)


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("CONTINUATION", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("SPII", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
    ],
)
def test_finish_reasons_are_understood(reason, finish):
    assert read(stream(chunk({"text": "x"}, finish=reason)))[1].finish == finish
    assert CODEC.decode(ASKED, whole({"text": "x"}, finish=reason)).finish == finish


@pytest.mark.parametrize(
    ("reason", "trigger"),
    [
        ("MALFORMED_FUNCTION_CALL", "malformed_args"),
        ("UNEXPECTED_TOOL_CALL", "unknown_tool"),
        ("MISSING_THOUGHT_SIGNATURE", "bad_request"),
        ("MALFORMED_RESPONSE", "bad_reply"),
        ("PUP_LIMITED_DISABLED", "auth"),
        ("TOO_MANY_TOOL_CALLS", "no_progress"),
        ("OTHER", "bad_reply"),
        ("LANGUAGE", "bad_reply"),
        ("NEVER_HEARD_OF", "bad_reply"),
    ],
)
def test_a_reply_that_broke_off_is_a_fault_with_what_google_says_of_it(reason, trigger):
    last = chunk(call("now", args={}), finish=reason, candidate={"finishMessage": "because " * 200})
    for _, fault in (
        read(stream(chunk({"text": "half"}), last)),
        (
            None,
            CODEC.decode(
                ASKED,
                whole(
                    {"text": "half"},
                    finish=reason,
                    candidate=last["candidates"][0] | {"content": {"parts": [{"text": "half"}]}},
                ),
            ),
        ),
    ):
        assert (fault.trigger, fault.partial_text) == (Trigger(trigger), "half")
        assert fault.text.startswith(f"the provider stopped with {reason!r}: because")
        assert len(fault.text) <= 600


def test_an_error_in_an_array_within_a_success_is_its_typed_fault():
    error = {"error": {"code": 429, "message": "Quota exceeded", "status": "RESOURCE_EXHAUSTED"}}
    body = json.dumps([error]).encode()
    for fault in (CODEC.decode(ASKED, body), read(body)[1], read(b"data: " + body + b"\n\n")[1]):
        assert (fault.trigger, fault.status) == (Trigger.rate_limited, 429)


def test_a_reason_that_is_none_does_not_end_a_reply():
    data = stream(chunk({"text": "half"}, finish="FINISH_REASON_UNSPECIFIED"))
    assert read(data)[1].trigger is Trigger.stream_cut
    assert read(data + stream(chunk(finish="STOP")))[1].text == "half"
    assert CODEC.decode(ASKED, whole({"text": "half"}, finish=None)).trigger is Trigger.bad_reply


def test_a_blocked_prompt_is_the_content_filters():
    blocked = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 3}}
    for fault in (read(stream(blocked))[1], CODEC.decode(ASKED, json.dumps(blocked).encode())):
        assert fault.trigger is Trigger.content_filter
        assert fault.text == "the prompt was blocked: PROHIBITED_CONTENT"
        assert (fault.usage, fault.final) == (Usage(3), True)


def test_a_cut_stream_keeps_what_was_counted_so_far():
    counted = {"promptTokenCount": 11, "thoughtsTokenCount": 8000}
    fault = read(stream(chunk({"text": "hm", "thought": True}, usageMetadata=counted)))[1]
    assert (fault.usage, fault.final) == (Usage(11, 8000, reasoning=8000), False)
    assert (fault.written, fault.partial_text) == ("hm", "")


def test_a_filtered_reply_executes_nothing():
    reply = read(stream(chunk(call("now", args={}), finish="SAFETY")))[1]
    assert reply.finish == "content_filter"


def test_usage_may_come_with_every_chunk_and_the_last_one_counts():
    first, last = chunk({"text": "a"}, usageMetadata={"promptTokenCount": 7}), chunk(finish="STOP", usageMetadata=USAGE)
    assert read(stream(first, last))[1].usage == Usage(13, 8, 4, 3)
    assert read(stream(first, chunk(finish="STOP")))[1].usage == Usage(7)
    assert read(stream(chunk(finish="STOP")))[1].usage is None


@pytest.mark.parametrize("count", ["7", -1, True, 1.5, [], {}])
def test_usage_that_is_no_count_is_unknown_rather_than_nothing(count):
    for name in USAGE.keys() - {"totalTokenCount"}:
        said = chunk(finish="STOP", usageMetadata=USAGE | {name: count})
        assert read(stream(said))[1].usage is None
    assert read(stream(chunk(finish="STOP", usageMetadata={"candidatesTokenCount": 3})))[1].usage is None


def test_the_mean_token_log_probability_is_reported():
    def said(text, *logprobs):
        tokens = [{"token": "x", "logProbability": one} for one in logprobs]
        return chunk({"text": text}, candidate={"logprobsResult": {"chosenCandidates": tokens}})

    assert read(stream(said("a", -0.5), said("b", -1.5, 10**400, "x", None), chunk(finish="STOP")))[1].logprob == -1.0
    assert read(stream(chunk({"text": "a"}, finish="STOP")))[1].logprob is None


def test_other_candidates_than_the_first_are_not_mixed_in():
    second = {"candidates": [{"index": 1, "content": {"parts": [{"text": "other"}]}, "finishReason": "STOP"}]}
    assert read(stream(chunk({"text": "a"}), second))[1].trigger is Trigger.stream_cut
    assert read(stream(chunk({"text": "a"}), second, chunk(finish="STOP")))[1].text == "a"


def test_a_surrogate_pair_split_over_two_chunks_is_one_character():
    deltas, reply = read(stream(chunk({"text": "a\ud83d"}), chunk({"text": "\ude00b"}, finish="STOP")))
    assert (reply.text, shown(deltas)) == ("a😀b", "a😀b")


def test_unknown_events_and_parts_are_nothing():
    noise = [{"modelStatus": {"message": "old"}}, {"candidates": []}, {"candidates": [{}]}, chunk({"novel": 1}, {})]
    reply = read(stream(*noise, chunk({"text": "a"}), *noise, chunk(finish="STOP"), *noise))[1]
    assert (reply.text, len(reply.parts)) == ("a", 1)


def test_a_tool_written_as_json_is_a_call():
    speaks_json = encoded(tools=(ROWS,), card=card(capabilities={"tools": "json"}))
    data = stream(chunk({"text": '{"tool": "rows", '}), chunk({"text": '"arguments": {"sql": "1"}}'}, finish="STOP"))
    assert read(data, speaks_json)[1].tool_calls[0].arguments == {"sql": "1"}
    answer = stream(chunk({"text": '{"answer": "no'}), chunk({"text": 'on"}'}, finish="STOP"))
    deltas, reply = read(answer, speaks_json)
    assert (shown(deltas), reply.text) == ("noon", "noon")


def test_a_structured_answer_beside_tools_as_json_is_handed_on_once_it_is_whole():
    asked = encoded(tools=(ROWS,), output_schema={"type": "object"}, card=card(capabilities={"tools": "json"}))
    data = stream(chunk({"text": '{"answer": {"n"'}), chunk({"text": ": 1}}"}, finish="STOP"), chunk())
    deltas, reply = read(data, asked)
    assert ([each.text for each in deltas], reply.text) == (['{"n": 1}'], '{"n": 1}')


@pytest.mark.parametrize(
    "bad", [b"data: {nope\n\n", b"data: [1]\n\n", b"data: \xff\n\n", b"data: " + b"[" * 9999 + b"\n\n"]
)
def test_a_malformed_chunk_is_a_bad_reply_with_what_had_arrived(bad):
    _, fault = read(stream(chunk({"text": "half"})) + bad)
    assert (fault.trigger, fault.partial_text) == (Trigger.bad_reply, "half")


def test_an_error_inside_the_stream_is_a_fault_with_what_had_arrived():
    error = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
    _, fault = read(stream(chunk({"text": "half"}), error))
    assert (fault.trigger, fault.partial_text) == (Trigger.overloaded, "half")
    assert CODEC.decode(ASKED, json.dumps(error).encode()).trigger is Trigger.overloaded


@pytest.mark.parametrize("data", [b"", b"<html>", b"[]", b"{}", b'{"candidates": []}', b'{"object": "list"}', b"\xff"])
def test_a_body_that_is_no_reply_is_a_bad_reply(data):
    assert CODEC.decode(ASKED, data).trigger is Trigger.bad_reply


def google(status, name, message="m", **details):
    error = {"code": status, "message": message, "status": name}
    return {"error": error | ({"details": [details]} if details else {})}


RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37s"}
QUOTA = "You exceeded your current quota, please check your plan and billing details."


@pytest.mark.parametrize(
    ("status", "body", "trigger"),
    [
        (400, google(400, "INVALID_ARGUMENT"), "bad_request"),
        (400, google(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."), "auth"),
        (400, google(400, "INVALID_ARGUMENT", "API key expired. Please renew the API key."), "auth"),
        (400, google(400, "FAILED_PRECONDITION", "User location is not supported for the API use."), "auth"),
        (400, google(400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens"),
         "context_overflow"),
        (401, google(401, "UNAUTHENTICATED"), "auth"),
        (403, google(403, "PERMISSION_DENIED"), "auth"),
        (404, google(404, "NOT_FOUND"), "bad_request"),
        (429, google(429, "RESOURCE_EXHAUSTED", QUOTA), "rate_limited"),
        (500, google(500, "INTERNAL"), "server_error"),
        (503, google(503, "UNAVAILABLE", "The model is overloaded."), "overloaded"),
        (504, google(504, "DEADLINE_EXCEEDED"), "timeout"),
    ],
)  # fmt: skip
def test_googles_errors_are_understood_in_an_array_too(status, body, trigger):
    for shape in (body, [body]):
        fault = CODEC.error(status, {}, json.dumps(shape).encode())
        assert (fault.trigger, fault.status) == (Trigger(trigger), status)
        assert body["error"]["message"] in fault.text


def test_retry_info_says_how_long_to_wait():
    body = json.dumps(google(429, "RESOURCE_EXHAUSTED", QUOTA, **RETRY)).encode()
    assert CODEC.error(429, {}, body).retry_after == 37.0
    assert CODEC.error(429, {"retry-after": "5"}, body).retry_after == 5.0


def test_limits_are_those_a_gateway_adds():
    assert CODEC.limits({"server": "scaffolding on HTTPServer2"}) == ()
    assert CODEC.limits({"x-ratelimit-remaining-requests": "3"})[0].remaining == 3


KEYS = ["candidates", "content", "parts", "text", "thought", "thoughtSignature", "functionCall", "args", "name", "id"]
KEYS += [
    "partialArgs",
    "jsonPath",
    "willContinue",
    "stringValue",
    "index",
    "finishReason",
    "finishMessage",
    "inlineData",
]
KEYS += ["promptFeedback", "blockReason", "usageMetadata", "promptTokenCount", "logprobsResult", "chosenCandidates"]
LOOSE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["$.a", "STOP"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=25,
)


@given(st.lists(LOOSE, max_size=4), st.booleans())
@settings(deadline=None, max_examples=100)
def test_no_json_however_strange_raises(chunks, json_tools):
    asked = encoded(tools=(ROWS, NOW), card=card(capabilities={"tools": "json" if json_tools else "native"}))
    _, reply = read(stream(*chunks), asked)
    assert isinstance(reply, ModelReply | CallFault)
    for each in chunks:
        assert isinstance(CODEC.decode(asked, json.dumps({"candidates": [each]}).encode()), ModelReply | CallFault)


@given(st.lists(LOOSE, max_size=4))
@settings(deadline=None, max_examples=150)
def test_no_part_however_strange_raises_and_all_of_it_can_go_back(parts):
    chunks = [chunk(each, {"functionCall": each}, candidate={"logprobsResult": each}) for each in parts]
    _, reply = read(stream(*chunks, chunk(finish="STOP")), ASKED)
    assert isinstance(reply, ModelReply)
    assert turns(Message.user("q"), Message("assistant", reply.parts))


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_no_bytes_raise(data):
    assert isinstance(read(data, ASKED, 3)[1], ModelReply | CallFault)
    assert isinstance(CODEC.decode(ASKED, data), ModelReply | CallFault)


@pytest.mark.parametrize("place", ["args", "executableCode"])
def test_nothing_nested_too_deeply_raises(place):
    part = call("now", args="HERE") if place == "args" else {place: "HERE"}
    for depth in range(800, 1000):  # somewhere there what can just be read can no longer be written
        deep = '{"a":' * depth + "1" + "}" * depth
        data = json.dumps(chunk(part, finish="STOP")).replace('"HERE"', deep).encode()
        assert isinstance(CODEC.decode(ASKED, data), ModelReply | CallFault)
        assert isinstance(CODEC.decode(ASKED, data.replace(b"STOP", b"FINISH_REASON_UNSPECIFIED")), CallFault)
        assert isinstance(read(b"data: " + data + b"\n\n")[1], ModelReply | CallFault)


def test_the_card_that_was_asked_is_the_origin_of_every_part():
    assert {part.origin for part in CODEC.decode(ASKED, whole({"text": "x"}, call("now"))).parts} == {ORIGIN}
    assert ASKED.card == NEW
