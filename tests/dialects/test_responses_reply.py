"""What an answer of openai-responses becomes, whole or streamed, however its bytes are split."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.types import (
    CallFault,
    Message,
    ModelReply,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    ToolSpec,
    Trigger,
    Usage,
)
from tests.dialects.responses import (
    CODEC,
    NOW,
    ORIGIN,
    ROWS,
    added,
    call,
    card,
    delta,
    done,
    encoded,
    end,
    message,
    read,
    reasoning,
    shown,
    stream,
    thought,
)

USAGE = {
    "input_tokens": 11,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 18,
}
ASKED = encoded(tools=(ROWS, NOW))
SUMMARY, ANSWER = "reasoning_summary_text", "output_text"
ARGUMENTS = "function_call_arguments"

OUTPUT = [
    reasoning("hm", "so"),
    message("Größe 😀 ja", phase="commentary"),
    call("c1", "rows", '{"sql": "ü"}'),
    call("c2", "now", "", "fc_2"),
]
EVENTS = (
    {"type": "response.created", "response": {"model": "m-1", "status": "in_progress", "usage": None}},
    added(0, reasoning(sealed="")),
    delta(SUMMARY, 0, "h", summary_index=0),
    delta(SUMMARY, 0, "m", summary_index=0),
    delta(SUMMARY, 0, "so", summary_index=1),
    done(0, OUTPUT[0]),
    added(1, message("")),
    {"type": "response.content_part.added", "output_index": 1, "content_index": 0, "part": {}},
    delta(ANSWER, 1, "Größe 😀"),
    added(2, call("c1", "rows", "")),
    delta(ARGUMENTS, 2, '{"sql"'),
    delta(ANSWER, 1, " ja"),
    added(3, call("c2", "now", "", "fc_2")),
    delta(ARGUMENTS, 2, ': "ü"}'),
    {"type": "response.function_call_arguments.done", "output_index": 2, "arguments": '{"sql": "ü"}'},
    done(2, OUTPUT[2]),
    done(1, OUTPUT[1]),
    {"type": "response.some_day.invented", "output_index": 1, "delta": "x"},
    done(3, OUTPUT[3]),
)
FULL = stream(*EVENTS, end(output=OUTPUT, usage=USAGE))


def state(item, *said):
    return json.dumps({key: value for key, value in item.items() if key not in said})


REPLY = ModelReply(
    (
        Reasoning("hm\n\nso", ORIGIN, state(OUTPUT[0])),
        Text("Größe 😀 ja", ORIGIN, '{"id": "msg_1", "status": "completed", "phase": "commentary"}'),
        ToolCall("c1", "rows", {"sql": "ü"}, '{"sql": "ü"}', ORIGIN, '{"id": "fc_1", "status": "completed"}'),
        ToolCall("c2", "now", {}, "", ORIGIN, '{"id": "fc_2", "status": "completed"}'),
    ),
    "tool_calls",
    Usage(11, 7, 4, 3, 2),
    "m-1-0613",
    raw='Größe 😀 ja\nrows({"sql": "ü"})\nnow()',
)


def whole(*output, status="completed", **fields):
    return json.dumps({"model": "m-1-0613", "status": status, "error": None, "output": output} | fields).encode()


@pytest.mark.parametrize("size", [1, 2, 3, 7, None])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_a_stream_reads_the_same_however_it_is_split(size, newline):
    deltas, reply = read(FULL.replace(b"\n", newline), ASKED, size)
    assert reply == REPLY
    assert (shown(deltas), thought(deltas)) == (REPLY.text, REPLY.reasoning)


@given(st.lists(st.integers(1, 90), min_size=1, max_size=40))
@settings(deadline=None, max_examples=50)
def test_any_split_gives_the_same_reply(sizes):
    reader, place = CODEC.reader(ASKED), 0
    for size in sizes:
        reader.feed(FULL[place : place + size])
        place += size
    reader.feed(FULL[place:])
    assert reader.close() == REPLY


@given(st.integers(0, len(FULL) - 3))
@settings(deadline=None, max_examples=100)
def test_a_stream_that_is_cut_anywhere_is_never_a_reply(length):
    _, fault = read(FULL[:length], ASKED)
    assert fault.trigger is Trigger.stream_cut
    assert REPLY.text.startswith(fault.partial_text)


def test_everything_but_the_end_is_cut_though_every_item_is_done():
    deltas, fault = read(stream(*EVENTS), ASKED)
    assert (fault.trigger, fault.partial_text, shown(deltas)) == (Trigger.stream_cut, REPLY.text, REPLY.text)
    assert read(stream(*EVENTS) + b"data: [DONE]\n\n", ASKED)[1].trigger is Trigger.stream_cut
    assert read(b"", ASKED)[1].trigger is Trigger.stream_cut


def test_a_whole_response_reads_like_the_same_one_streamed():
    assert CODEC.decode(ASKED, whole(*OUTPUT, usage=USAGE)) == REPLY


def test_a_response_that_does_not_say_that_it_is_complete_is_no_success():
    fault = CODEC.decode(ASKED, json.dumps({"output": [message("half")]}).encode())
    assert (fault.trigger, fault.partial_text) == (Trigger.server_error, "half")
    assert "the response was not completed" in fault.text


@pytest.mark.parametrize("item", [message("half"), {"type": "function_call", "name": "rows", "arguments": "{}"}])
def test_an_incomplete_item_of_a_response_that_is_called_completed_is_not_taken(item):
    output = [item | {"status": "incomplete"}]
    done = {"type": "response.output_item.done", "output_index": 0, "item": output[0]}
    completed = {"type": "response.completed", "response": {"status": "completed", "output": output}}
    for fault in (CODEC.decode(ASKED, whole(*output)), read(stream(done, completed), ASKED)[1]):
        assert fault.trigger is Trigger.bad_reply
        assert item["type"] in fault.text
    assert CODEC.decode(ASKED, whole(*output, status="incomplete")).finish == "length"


def test_a_server_that_does_not_stream_although_it_was_asked_to_is_read_all_the_same():
    body = b"\n" + whole(message("hello"))
    for size in (1, None):
        assert read(body, ASKED, size)[1].text == "hello"
    assert read(body[:-1], ASKED)[1].trigger is Trigger.bad_reply


@pytest.mark.parametrize(
    "events",
    [
        (end(output=OUTPUT, usage=USAGE),),
        (*(done(index, item) for index, item in enumerate(OUTPUT)), end(output=OUTPUT, usage=USAGE)),
        (*EVENTS, *(done(index, item) for index, item in enumerate(OUTPUT)), end(output=OUTPUT, usage=USAGE)),
        (*(done(index, item) for index, item in enumerate(OUTPUT) for _ in "12"), end(output=OUTPUT, usage=USAGE)),
    ],
    ids=["only at the end", "only when done", "done twice", "only when done twice"],
)
def test_what_is_told_once_or_more_is_read_once(events):
    deltas, reply = read(stream(*events), ASKED)
    assert (reply, shown(deltas)) == (REPLY, REPLY.text)


def test_a_model_that_thinks_openly_shows_it_and_gets_it_back():
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm so"}]}
    pieces = (delta("reasoning_text", 0, "hm ", content_index=0), delta("reasoning_text", 0, "so", content_index=0))
    for events in ((added(0, item), *pieces, done(0, item)), (done(0, item),)):
        _, reply = read(stream(*events, end()), ASKED)
        assert reply.parts == (Reasoning("hm so", ORIGIN, json.dumps(item)),)


def test_reasoning_without_anything_that_could_go_back_has_no_state_and_silent_reasoning_that_can_is_kept():
    looked_up, silent = reasoning("hm", sealed=None), reasoning(status=None)
    reply = CODEC.decode(ASKED, whole(looked_up, silent, message("so")))
    assert reply.parts[0] == Reasoning("hm", ORIGIN)
    assert json.loads(reply.parts[1].provider_state) == reasoning()


def test_what_was_thought_openly_does_not_go_back_beside_what_was_sealed_since_the_provider_refuses_it():
    item = reasoning(content=[{"type": "reasoning_text", "text": "hm"}])
    (part,) = CODEC.decode(ASKED, whole(item)).parts
    assert (part.text, json.loads(part.provider_state)) == ("hm", reasoning())


def test_what_a_reply_keeps_goes_back_byte_for_byte():
    from dataclasses import replace

    reply = CODEC.decode(ASKED, whole(*OUTPUT))
    results = Message("tool", tuple(ToolResult(each.id, each.name, (Text("1"),)) for each in reply.tool_calls))
    sent = json.loads(encoded(Message("assistant", reply.parts), results, tools=(ROWS, NOW)).body)["input"]
    assert sent[:3] == OUTPUT[:3]
    assert sent[3] == OUTPUT[3] | {"arguments": "{}"}
    plain = tuple(replace(part, provider_state=None) for part in reply.parts)
    sent = json.loads(encoded(Message("assistant", plain), results, tools=(ROWS, NOW)).body)["input"]
    assert [item.get("id") for item in sent] == [None] * 5


def test_items_that_share_an_index_stay_apart():
    pieces = (added(0, call("a", "rows", "")), delta(ARGUMENTS, 0, '{"sql": "1"}'), added(0, call("b", "now", "")))
    _, reply = read(stream(*pieces, delta(ARGUMENTS, 0, "{}"), end()), ASKED)
    assert [(each.id, each.arguments) for each in reply.tool_calls] == [("a", {"sql": "1"}), ("b", {})]


def test_a_text_at_the_place_of_a_thought_is_a_block_of_its_own():
    pieces = [("reasoning_text", "hm"), ("output_text", "hi")]
    events = [{"type": f"response.{kind}.delta", "delta": piece, "output_index": 0} for kind, piece in pieces]
    reply = read(stream(*events, end()))[1]
    assert (reply.reasoning, reply.text) == ("hm", "hi")


def test_items_keep_the_order_in_which_they_began():
    begun = (added(0, reasoning()), added(1, message("")), added(2, call("a", "now", "")))
    content = (delta(ARGUMENTS, 2, "{}"), delta(ANSWER, 1, "so"), delta(SUMMARY, 0, "hm"))
    _, reply = read(stream(*begun, *content, end()), ASKED)
    assert [part.type for part in reply.parts] == ["reasoning", "text", "tool_call"]


def test_items_without_an_index_are_told_apart_by_their_id():
    events = [
        {"type": "response.output_text.delta", "item_id": "m1", "delta": "a"},
        {"type": "response.output_text.delta", "item_id": "m2", "delta": "c"},
        {"type": "response.output_text.delta", "item_id": "m1", "delta": "b"},
    ]
    assert [part.text for part in read(stream(*events, end()), ASKED)[1].parts] == ["ab", "c"]


def test_the_name_of_an_event_counts_where_its_data_do_not_repeat_it():
    frames = (
        'event: response.output_text.delta\ndata: {"output_index": 0, "delta": "hi"}\n\n'
        'event: response.completed\ndata: {"response": {}}\n\n'
    )
    assert read(frames.encode(), ASKED)[1].text == "hi"


def test_the_whole_arguments_stand_for_their_pieces_and_may_come_alone():
    events = (added(0, call("a", "rows", "")), delta(ARGUMENTS, 0, '{"sq'), done(0, call("a", "rows", '{"sql": "1"}')))
    assert read(stream(*events, end()), ASKED)[1].tool_calls[0].arguments == {"sql": "1"}
    cut = (added(0, call("a", "rows", "")), delta(ARGUMENTS, 0, '{"sq'), end())
    assert read(stream(*cut), ASKED)[1].tool_calls[0].arguments is None


def test_arguments_of_two_calls_in_one_string_become_two_calls_of_which_one_is_the_providers_item():
    asked = encoded(tools=(ROWS,))
    reply = CODEC.decode(asked, whole(call("a", "rows", '{"sql": "1"}{"sql": "2"}')))
    assert [each.arguments for each in reply.tool_calls] == [{"sql": "1"}, {"sql": "2"}]
    sent = json.loads(encoded(Message("assistant", reply.parts), tools=(ROWS,)).body)["input"]
    assert [item.get("id") for item in sent] == ["fc_1", None, None, None]


def test_a_name_respelled_on_the_wire_comes_back_as_it_was_declared():
    asked = encoded(tools=(ToolSpec("shop.cart", "", ROWS.schema),))
    reply = CODEC.decode(asked, whole(call("a", "shop_cart", '{"sql": "1"}')))
    assert [(each.name, each.arguments) for each in reply.tool_calls] == [("shop.cart", {"sql": "1"})]


@pytest.mark.parametrize(
    ("status", "details", "finish"),
    [
        ("completed", None, "stop"),
        ("incomplete", {"reason": "max_output_tokens"}, "length"),
        ("incomplete", {"reason": "content_filter"}, "content_filter"),
        ("incomplete", {"reason": "max_messages"}, "length"),
        ("incomplete", {"reason": "a new one"}, "length"),
        ("incomplete", None, "length"),
    ],
)
def test_the_end_says_why_and_an_incomplete_response_never_counts_as_whole(status, details, finish):
    events = (delta(ANSWER, 0, "x"), end(status, incomplete_details=details))
    assert read(stream(*events), ASKED)[1].finish == finish
    assert CODEC.decode(ASKED, whole(message("x"), status=status, incomplete_details=details)).finish == finish


def test_a_response_that_is_called_completed_is_what_its_own_status_says():
    said = {"type": "response.output_text.delta", "delta": "hi", "output_index": 0}

    def ended(**response):
        return read(stream(said, {"type": "response.completed", "response": response}))[1]

    assert ended().finish == "stop"
    assert ended(status="completed").finish == "stop"
    assert ended(status="incomplete", incomplete_details={"reason": "max_output_tokens"}).finish == "length"
    fault = ended(status="failed", error={"code": "server_error", "message": "x"})
    assert (fault.trigger, fault.partial_text) == (Trigger.server_error, "hi")


def test_a_call_in_an_incomplete_response_does_not_make_it_whole():
    events = (added(0, call("a", "rows", "")), delta(ARGUMENTS, 0, '{"sql": "DELETE"}'), end("incomplete"))
    assert read(stream(*events), ASKED)[1].finish == "length"


def test_a_refusal_is_text_that_was_not_handed_on_and_a_finish_of_its_own():
    item = message("") | {"content": [{"type": "refusal", "refusal": "I cannot."}]}
    pieces = (delta("refusal", 0, "I can"), delta("refusal", 0, "not."))
    for events in ((added(0, message("")), *pieces, done(0, item)), (done(0, item),)):
        deltas, reply = read(stream(*events, end()), ASKED)
        assert (reply.text, reply.finish, deltas) == ("I cannot.", "refusal", [])


def test_an_empty_response_is_a_reply_without_parts():
    assert read(stream(end(output=[])), ASKED)[1].parts == ()
    assert CODEC.decode(ASKED, whole(message(""))).parts == ()


def test_the_mean_token_log_probability_is_reported_and_no_token_counts_twice():
    item = message("ab")
    item["content"][0]["logprobs"] = [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -1.5}]
    pieces = (delta(ANSWER, 0, "a", logprobs=[{"token": "a", "logprob": -0.5}]),
              delta(ANSWER, 0, "b", logprobs=[{"token": "b", "logprob": -1.5}]))  # fmt: skip
    assert read(stream(*pieces, done(0, item), end()), ASKED)[1].logprob == -1.0
    assert CODEC.decode(ASKED, whole(item)).logprob == -1.0
    assert CODEC.decode(ASKED, whole(message("a"))).logprob is None


@pytest.mark.parametrize("count", [None, "7", -1, True, 1.5])
def test_usage_that_is_no_count_is_unknown_rather_than_nothing(count):
    assert read(stream(end(usage={"input_tokens": count, "output_tokens": 7})), ASKED)[1].usage is None
    assert read(stream(end(usage={"input_tokens": 7, "output_tokens": count})), ASKED)[1].usage is None


def test_what_was_thought_beside_the_output_is_output_too():
    thought = {"output_tokens": 9, "output_tokens_details": {"reasoning_tokens": 94}, "total_tokens": 135}
    assert read(stream(end(usage={"input_tokens": 32} | thought)), ASKED)[1].usage == Usage(32, 103, reasoning=94)


def failed(code, text="no"):
    return end("failed", error={"code": code, "message": text})


@pytest.mark.parametrize(
    ("event", "trigger"),
    [
        (failed("server_error"), "server_error"),
        (failed("server_error", "The model is overloaded"), "overloaded"),
        (failed("rate_limit_exceeded"), "rate_limited"),
        (failed("vector_store_timeout"), "timeout"),
        (failed("invalid_prompt", "flagged as potentially violating our usage policy"), "content_filter"),
        (failed("bio_policy"), "content_filter"),
        (failed("misalignment_policy_violation"), "content_filter"),
        (failed("image_content_policy_violation"), "content_filter"),
        (failed("invalid_prompt"), "bad_request"),
        (failed("unsupported_image_media_type"), "bad_request"),
        (failed("data_residency_mismatch"), "bad_request"),
        (end("failed"), "server_error"),
        ({"type": "error", "code": "rate_limit_exceeded", "message": "slow down", "param": None}, "rate_limited"),
        ({"type": "error", "error": {"type": "invalid_request_error", "message": "bad"}}, "bad_request"),
        ({"type": "error", "error": {"code": "context_length_exceeded", "message": "x"}}, "context_overflow"),
    ],
)
def test_a_failure_inside_the_stream_is_a_fault_with_what_had_arrived(event, trigger):
    _, fault = read(stream(delta(ANSWER, 0, "half"), event), ASKED)
    assert (fault.trigger, fault.partial_text) == (Trigger(trigger), "half")
    unnamed = f"data: {json.dumps(event)}\n\n".encode()
    assert read(stream(delta(ANSWER, 0, "half")) + unnamed, ASKED)[1] == fault


@pytest.mark.parametrize("status", ["in_progress", "queued", "cancelled", "failed", "z" * 9000])
def test_a_whole_response_that_was_not_completed_is_a_fault(status):
    fault = CODEC.decode(ASKED, whole(message("half"), status=status))
    assert (fault.trigger, fault.partial_text, len(fault.text) < 700) == (Trigger.server_error, "half", True)


def test_an_error_in_a_whole_response_is_a_fault():
    error = {"code": "rate_limit_exceeded", "message": "slow down"}
    assert CODEC.decode(ASKED, whole(status="failed", error=error)).trigger is Trigger.rate_limited


@pytest.mark.parametrize("data", [b"", b"<html>", b"[]", b'{"output": {}}', b'{"object": "list"}', b"\xff"])
def test_a_body_that_is_no_response_is_a_bad_reply(data):
    fault = CODEC.decode(ASKED, data)
    assert (fault.trigger, len(fault.text) < 700) == (Trigger.bad_reply, True)


@pytest.mark.parametrize("bad", [b"data: {nope\n\n", b"data: [1]\n\n", b"data: \xff\n\n"])
def test_a_malformed_event_is_a_bad_reply_with_what_had_arrived(bad):
    _, fault = read(stream(delta(ANSWER, 0, "half")) + bad, ASKED)
    assert (fault.trigger, fault.partial_text) == (Trigger.bad_reply, "half")


@pytest.mark.parametrize("depth", [1, 15, 16, 40, *range(930, 1000, 7)])
def test_state_nested_too_deeply_to_be_the_providers_own_is_not_kept_and_raises_nothing(depth):
    body = whole(message("hi", strange="NEST")).replace(b'"NEST"', b"[" * depth + b"]" * depth)
    reply = CODEC.decode(ASKED, body)
    if isinstance(reply, ModelReply):
        (sent,) = json.loads(encoded(Message("assistant", reply.parts)).body)["input"]
        assert ("strange" in sent) == (depth < 16)


def test_json_tools_are_read_out_of_the_text():
    asked = encoded(tools=(ROWS,), card=card(capabilities={"tools": "json"}))
    pieces = (delta(ANSWER, 0, '{"answer": "h'), delta(ANSWER, 0, 'i"}'))
    deltas, reply = read(stream(*pieces, end()), asked)
    assert (shown(deltas), reply.text) == ("hi", "hi")
    deltas, reply = read(stream(delta(ANSWER, 0, "no JSON"), end()), asked)
    assert (shown(deltas), reply.text) == ("no JSON", "no JSON")


KEYS = [
    "type",
    "item",
    "id",
    "call_id",
    "name",
    "arguments",
    "content",
    "summary",
    "text",
    "output_index",
    "delta",
    "usage",
]
LOOSE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=25,
)
KINDS = [f"response.{name}" for name in (
    "output_item.added", "output_item.done", "output_text.delta", "refusal.delta", "reasoning_text.delta",
    "function_call_arguments.delta", "function_call_arguments.done", "completed", "incomplete", "failed", "created",
)]  # fmt: skip
ITEMS = st.fixed_dictionaries({"type": st.sampled_from(["message", "reasoning", "function_call", "x"])}, optional={
    "content": LOOSE, "summary": LOOSE, "arguments": LOOSE, "call_id": LOOSE, "name": LOOSE, "id": LOOSE,
    "encrypted_content": LOOSE,
})  # fmt: skip
SAID = st.fixed_dictionaries({"type": st.sampled_from(KINDS)}, optional={
    "item": ITEMS | LOOSE, "output_index": LOOSE, "item_id": LOOSE, "delta": LOOSE, "arguments": LOOSE,
    "logprobs": LOOSE, "response": LOOSE | st.fixed_dictionaries({"output": st.lists(ITEMS | LOOSE, max_size=3)}),
})  # fmt: skip


@given(st.lists(SAID | LOOSE, max_size=6), st.booleans())
@settings(deadline=None, max_examples=150)
def test_no_event_however_strange_raises_and_whatever_is_read_can_be_sent_again(events, json_tools):
    asked = encoded(tools=(ROWS, NOW), card=card(capabilities={"tools": "json" if json_tools else "native"}))
    frames = b"".join(f"data: {json.dumps(each)}\n\n".encode() for each in events)
    _, reply = read(frames, asked)
    assert read(frames, asked, 5)[1] == reply
    if isinstance(reply, ModelReply):
        assert encoded(Message("assistant", reply.parts), tools=(ROWS,)).body
    else:
        assert len(reply.text) < 700


@given(st.lists(ITEMS | LOOSE, max_size=3), LOOSE)
@settings(deadline=None, max_examples=100)
def test_no_output_however_strange_raises(output, other):
    fields = {"usage": other, "status": other, "incomplete_details": other}
    assert isinstance(CODEC.decode(ASKED, whole(*output, **fields)), ModelReply | CallFault)


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_no_bytes_raise(data):
    assert isinstance(read(data, ASKED, 3)[1], CallFault)
    assert isinstance(CODEC.decode(ASKED, data), CallFault)
