"""What a model's answer on the wire becomes, whole or streamed, however its bytes are split."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.dialects.draft import Draft
from orchestra.types import CallFault, ModelReply, Origin, Reasoning, Text, ToolCall, ToolSpec, Trigger, Usage
from tests.dialects.chat import CODEC, NOW, ROWS, call, card, chunk, encoded, read, shown, stream, thought

ORIGIN = Origin("acme", "openai-chat", "m-1")
USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 7,
    "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
ASKED = encoded(tools=(ROWS, NOW))


def token(logprob):
    return {"content": [{"token": "x", "logprob": logprob, "bytes": None, "top_logprobs": []}]}


FULL = stream(
    chunk({"role": "assistant", "content": ""}),
    chunk({"reasoning_content": "hm "}),
    chunk({"reasoning_content": "so"}),
    chunk({"content": "Größe 😀"}),
    chunk({"content": " ja"}),
    chunk(call(0, "c1", "rows", "")),
    chunk(call(0, arguments='{"sql": "ü')),
    chunk(call(1, "c2", "now", "")),
    chunk(call(0, arguments='"}')),
    chunk({}, "tool_calls"),
    {"model": "m-1-0613", "choices": [], "usage": USAGE},
)
REPLY = ModelReply(
    (
        Reasoning("hm so", ORIGIN),
        Text("Größe 😀 ja", ORIGIN),
        ToolCall("c1", "rows", {"sql": "ü"}, '{"sql": "ü"}', ORIGIN),
        ToolCall("c2", "now", {}, "", ORIGIN),
    ),
    "tool_calls",
    Usage(11, 7, 4, 3, 2),
    "m-1-0613",
    raw='Größe 😀 ja\nrows({"sql": "ü"})\nnow()',
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, None])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_stream_reads_the_same_however_it_is_split(size, end):
    deltas, reply = read(FULL.replace(b"\n", end), ASKED, size)
    assert reply == REPLY
    assert shown(deltas) == REPLY.text
    assert thought(deltas) == REPLY.reasoning


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30))
@settings(deadline=None)
def test_any_split_gives_the_same_reply(sizes):
    reader, place = CODEC.reader(ASKED), 0
    for size in sizes:
        reader.feed(FULL[place : place + size])
        place += size
    reader.feed(FULL[place:])
    assert reader.close() == REPLY


def test_comments_and_keep_alives_between_chunks_are_nothing():
    noisy = FULL.replace(b"\n\n", b"\n\n: OPENROUTER PROCESSING\n\n\n")
    assert read(noisy, ASKED)[1] == REPLY


def whole(message, finish="stop", **fields):
    choice = {"index": 0, "message": {"role": "assistant"} | message, "finish_reason": finish}
    return json.dumps({"model": "m-1-0613", "choices": [choice]} | fields).encode()


def test_a_whole_body_reads_like_the_same_reply_streamed():
    calls = [
        {"id": "c1", "type": "function", "function": {"name": "rows", "arguments": '{"sql": "ü"}'}},
        {"id": "c2", "type": "function", "function": {"name": "now", "arguments": ""}},
    ]
    message = {"content": "Größe 😀 ja", "reasoning_content": "hm so", "tool_calls": calls}
    assert CODEC.decode(ASKED, whole(message, "tool_calls", usage=USAGE)) == REPLY


def test_a_server_that_does_not_stream_although_it_was_asked_to_is_read_all_the_same():
    body = b"\n" + whole({"content": "hello"})
    for size in (1, None):
        assert read(body, ASKED, size)[1].text == "hello"
    assert read(b'{"choices": [', ASKED)[1].trigger is Trigger.bad_reply


@pytest.mark.parametrize("index", [0, None])
def test_parallel_calls_that_all_have_index_0_or_none_stay_apart_by_their_ids(index):
    pieces = [call(index, "a", "rows", '{"sql": '), call(index, arguments='"1"}'), call(index, "b", "now", "{}")]
    _, reply = read(stream(*map(chunk, pieces), chunk({}, "tool_calls")), ASKED)
    assert [(each.id, each.name, each.arguments) for each in reply.tool_calls] == [
        ("a", "rows", {"sql": "1"}),
        ("b", "now", {}),
    ]


def test_calls_without_ids_stay_apart_once_the_first_is_whole():
    pieces = [call(0, None, "rows", '{"sql": "1"}'), call(0, None, "rows", '{"sql": "2"}')]
    _, reply = read(stream(*map(chunk, pieces), chunk({}, "tool_calls")), ASKED)
    assert [each.arguments for each in reply.tool_calls] == [{"sql": "1"}, {"sql": "2"}]
    assert len({each.id for each in reply.tool_calls}) == 2


def test_a_server_that_repeats_id_and_name_or_changes_the_id_on_every_piece_makes_one_call():
    repeated = [call(0, "a", "rows", '{"sql": '), call(0, "a", "rows", '"1"}')]
    changing = [call(0, "a", "rows", '{"sql": '), call(0, "b", None, '"1"}')]
    for pieces in (repeated, changing):
        _, reply = read(stream(*map(chunk, pieces), chunk({}, "tool_calls")), ASKED)
        assert [(each.id, each.name, each.arguments) for each in reply.tool_calls] == [("a", "rows", {"sql": "1"})]


def test_calls_of_other_names_stay_apart_though_they_share_index_and_id():
    data = stream(
        chunk(call(0, "c", "now", "{}")), chunk(call(0, "c", "rows", '{"sql": "x"}')), chunk({}, "tool_calls")
    )
    first, second = read(data, ASKED)[1].tool_calls
    assert (first.name, second.name, second.arguments) == ("now", "rows", {"sql": "x"})
    assert first.id != second.id


def test_a_call_that_is_no_list_of_calls_is_one():
    """As Text Generation Inference streams them."""
    begins = call(0, "", "rows", '{"sql": ')["tool_calls"][0]
    goes_on = call(0, "", None, '"x"}')["tool_calls"][0]
    data = stream(chunk({"tool_calls": begins}), chunk({"tool_calls": goes_on}), chunk({"content": ""}, "eos_token"))
    reply = read(data, ASKED)[1]
    assert [(one.name, one.arguments) for one in reply.tool_calls] == [("rows", {"sql": "x"})]
    assert reply.finish == "tool_calls"


def test_a_name_in_pieces_is_joined():
    pieces = [call(0, "a", "ro", ""), call(0, None, "ws", ""), call(0, arguments="{}")]
    _, reply = read(stream(*map(chunk, pieces), chunk({}, "stop")), ASKED)
    assert reply.tool_calls[0].name == "rows"
    assert reply.finish == "tool_calls"


def test_an_id_that_is_missing_repeated_or_already_in_the_request_becomes_a_new_one():
    from orchestra.types import Message, ToolResult

    earlier = (
        Message("assistant", (ToolCall("call_0", "now", {}),)),
        Message("tool", (ToolResult("call_0", "now", (Text("noon"),)),)),
    )
    asked = encoded(*earlier, tools=(NOW,))
    pieces = [
        call(0, "call_0", "now", "{}"),
        call(1, "x", "now", "{}"),
        call(2, "x", "now", "{}"),
        call(3, None, "now", "{}"),
    ]
    data = stream(*map(chunk, pieces), chunk({}, "tool_calls"))
    ids = [each.id for each in read(data, asked)[1].tool_calls]
    assert ids[1] == "x"
    assert len({*ids, "call_0"}) == 5
    assert ids == [each.id for each in read(data, asked, 1)[1].tool_calls]


@pytest.mark.parametrize(
    ("raw", "arguments"),
    [
        ('{"sql": "1"}', {"sql": "1"}),
        ('{"sql": ', None),
        ("", None),
        ("[1]", None),
        ('{"sql": NaN}', None),
        ("[" * 100_000, None),
        ('{"a": 1, "sql": "\\ud83d\\ude00"}', {"a": 1, "sql": "😀"}),
    ],
)
def test_arguments_that_are_no_json_object_are_none_and_keep_what_was_written(raw, arguments):
    _, reply = read(stream(chunk(call(0, "a", "rows", raw)), chunk({}, "tool_calls")), ASKED)
    assert (reply.tool_calls[0].arguments, reply.tool_calls[0].raw) == (arguments, raw)


def test_arguments_that_arrive_as_an_object_are_taken_as_they_are():
    message = {"tool_calls": [{"id": "a", "function": {"name": "rows", "arguments": {"sql": "1"}}}]}
    assert CODEC.decode(ASKED, whole(message)).tool_calls[0].arguments == {"sql": "1"}


def test_a_name_respelled_on_the_wire_comes_back_as_it_was_declared_and_so_do_its_arguments():
    odd = ToolSpec("shop.cart", "", {"anyOf": [{"type": "object", "required": ["a"]}]})
    asked = encoded(tools=(odd,))
    name = json.loads(asked.body)["tools"][0]["function"]["name"]
    _, reply = read(stream(chunk(call(0, "a", name, '{"arguments": {"a": 1}}')), chunk({}, "tool_calls")), asked)
    assert [(each.name, each.arguments) for each in reply.tool_calls] == [("shop.cart", {"a": 1})]


def test_a_call_of_a_tool_nobody_declared_keeps_its_name():
    _, reply = read(stream(chunk(call(0, "a", "made_up", "{}")), chunk({}, "tool_calls")), ASKED)
    assert (reply.tool_calls[0].name, reply.tool_calls[0].arguments) == ("made_up", {})


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("eos", "stop"),
        ("model_length", "length"),
        ("end", "stop"),
        ("end_turn", "stop"),
        ("STOP", "stop"),
        ("max_tokens", "length"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("content_filter: PROHIBITED_CONTENT", "content_filter"),
        ("sensitive", "content_filter"),
        ("model_context_window_exceeded", "length"),
    ],
)
def test_finish_reasons_are_understood(reason, finish):
    assert read(stream(chunk({"content": "x"}, reason)), ASKED)[1].finish == finish


@pytest.mark.parametrize("reason", ["tool_calls", "function_call", "tool_use"])
def test_a_finish_for_calls_needs_one(reason):
    called = chunk(call(0, "c1", "now", "{}"))
    assert read(stream(called, chunk({}, reason)), ASKED)[1].finish == "tool_calls"
    fault = read(stream(chunk({"content": "x"}, reason)), ASKED)[1]
    assert (fault.trigger, fault.partial_text) == (Trigger.bad_reply, "x")


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "function_call_filter: MALFORMED_FUNCTION_CALL"])
def test_a_call_that_google_could_not_read_is_a_fault_that_names_it(reason):
    fault = read(stream(chunk({"content": "x"}, reason)), ASKED)[1]
    assert fault.trigger is Trigger.malformed_args
    assert reason in fault.text


@pytest.mark.parametrize("reason", ["", "null", None])
def test_a_word_for_no_reason_is_no_end(reason):
    assert read(stream(chunk({"content": "x"}, reason), chunk({"content": "y"}, "stop")), ASKED)[1].text == "xy"
    assert read(stream(chunk({"content": "x"}, reason)), ASKED)[1].trigger is Trigger.stream_cut


@pytest.mark.parametrize("finish", ["length", "content_filter"])
def test_a_reply_that_was_broken_off_stays_so_whatever_a_later_chunk_says(finish):
    assert read(stream(chunk({"content": "x"}, finish), chunk({}, "stop")), ASKED)[1].finish == finish


@pytest.mark.parametrize("delta", [None, {}, "", "x", ["x"]])
def test_a_message_is_read_beside_a_delta_that_is_none(delta):
    whole = {"index": 0, "delta": delta, "message": {"content": "said"}, "finish_reason": "stop"}
    assert read(stream({"choices": [whole]}), ASKED)[1].text == "said"


@pytest.mark.parametrize("last", [{}, {"delta": {}}, {"delta": None}])
def test_a_message_that_tells_again_what_deltas_have_told_is_not_told_twice(last):
    """MiniMax ends a stream with the whole reply, Perplexity gives what was said so far beside every delta."""
    called = call(0, "c1", "now", "{}")
    whole = {"index": 0, "message": {"content": "Hello"} | called, "finish_reason": "stop"} | last
    beside = chunk({"content": "lo"})
    beside["choices"][0]["message"] = {"content": "Hello"}
    deltas, reply = read(stream(chunk({"content": "Hel"}), beside, chunk(called), {"choices": [whole]}), ASKED)
    assert (reply.text, shown(deltas), len(reply.tool_calls)) == ("Hello", "Hello", 1)


def ending(message, reason="stop", **last):
    return {"choices": [{"index": 0, "message": message, "finish_reason": reason} | last]}


@pytest.mark.parametrize("last", [{}, {"delta": {"role": "assistant", "content": ""}}])
def test_what_deltas_have_not_said_is_taken_from_the_last_message(last):
    called = call(0, "c1", "now", "{}")
    calls = ending({"content": "Let me look. "} | called, "tool_calls", **last)
    reply = read(stream(chunk({"content": "Let me look. "}), calls), ASKED)[1]
    assert (reply.text, [(one.id, one.name) for one in reply.tool_calls]) == ("Let me look. ", [("c1", "now")])
    said = ending({"reasoning_content": "hm, so", "content": "42", "refusal": None}, **last)
    deltas, reply = read(stream(chunk({"reasoning_content": "hm"}), said), ASKED)
    assert (reply.text, shown(deltas), reply.parts[0].text) == ("42", "42", "hm, so")
    refused = ending({"refusal": "I cannot."}, **last)
    assert read(stream(chunk({"refusal": "I can"}), refused), ASKED)[1].text == "I cannot."


@pytest.mark.parametrize(
    ("said", "whole", "text"),
    [
        ("The ans", "The answer is 42", "The answer is 42"),
        ("The ans", "the answer", "The ans"),
        ("whole", "", "whole"),
    ],
)
def test_a_message_goes_on_from_what_deltas_have_said_and_never_contradicts_it(said, whole, text):
    deltas, reply = read(stream(chunk({"content": said}), ending({"content": whole})), ASKED)
    assert (reply.text, shown(deltas)) == (text, text)


@pytest.mark.parametrize(
    ("told", "message", "expected"),
    [
        (("c1", "now", "{}"), [("c1", "now", "{}"), ("c2", "now", "{}")], ["c1", "c2"]),
        (("c1", "now", "{}"), [("c2", "now", "{}"), ("c1", "now", "{}")], ["c1", "c2"]),
        (("c1", "now", "{}"), [("other", "now", "{ }")], ["c1"]),
        (("c1", "now", '{"a": 1}'), [("c2", "now", '{"a": 2}')], ["c1", "c2"]),
        (("c1", "now", '{"a'), [("c1", "now", "{}")], ["c1"]),
        (("c1", "n", ""), [("c1", "now", "{}")], ["c1"]),
        (("", "now", '{"a": 1}'), [("c1", "now", '{"a": 2}')], ["c1"]),
    ],
)
def test_a_call_that_deltas_have_made_is_not_made_again(told, message, expected):
    whole = [call(number, *one)["tool_calls"][0] for number, one in enumerate(message)]
    data = stream(chunk(call(0, *told)), ending({"content": None, "tool_calls": whole}, "tool_calls"))
    reply = read(data, ASKED)[1]
    assert [one.id for one in reply.tool_calls] == expected
    assert all(one.name == "now" and one.arguments is not None for one in reply.tool_calls)


def test_messages_without_any_delta_are_pieces():
    pieces = [{"choices": [{"index": 0, "message": {"content": one}}]} for one in ("a", "b")]
    assert read(stream(*pieces, chunk({}, "stop")), ASKED)[1].text == "ab"


def test_a_text_beside_a_delta_is_that_of_a_chat():
    """As Together's chunks have it, the last one without words too."""
    said, last = chunk({"content": "x"}), chunk({}, "eos")
    said["choices"][0]["text"], last["choices"][0]["text"] = "x", ""
    assert read(stream(said, last), ASKED)[1].text == "x"


@pytest.mark.parametrize("choice", [{}, {"delta": None}, {"delta": {}}, {"message": {}}])
def test_a_choice_of_completions_is_told_from_a_chat(choice):
    fault = read(stream({"choices": [{"index": 0, "text": "hello"} | choice]}, chunk({}, "stop")), ASKED)[1]
    assert "base_url" in fault.text


@pytest.mark.parametrize("choices", [[], [{"index": 0, "delta": {}, "finish_reason": "stop"}]])
def test_groqs_error_breaks_a_stream_off_whatever_stands_beside_it(choices):
    broken = {"choices": choices, "x_groq": {"id": "r", "error": "over_capacity"}}
    fault = read(stream(chunk({"content": "x"}), broken, chunk({}, "stop")), ASKED)[1]
    assert (fault.trigger, fault.partial_text) == (Trigger.overloaded, "x")


def test_a_bare_error_inside_a_success_is_its_fault():
    error = {"object": "error", "message": "maximum context length is 10", "type": "BadRequestError", "code": 400}
    for fault in (
        CODEC.decode(ASKED, json.dumps(error).encode()),
        read(stream(chunk({"content": "x"}), error), ASKED)[1],
        read(stream(error), ASKED)[1],
    ):
        assert fault.trigger is Trigger.context_overflow


def test_the_one_call_of_older_servers_is_read():
    old = {"name": "now", "arguments": "{}"}
    pieces = ({"name": "rows", "arguments": ""}, {"arguments": '{"sql": '}, {"arguments": '"x"}'})
    streamed = stream(*(chunk({"function_call": piece}) for piece in pieces), chunk({}, "function_call"))
    (first,) = CODEC.decode(ASKED, whole({"content": None, "function_call": old}, "function_call")).tool_calls
    (second,) = read(streamed, ASKED)[1].tool_calls
    assert (first.name, first.arguments, bool(first.id)) == ("now", {}, True)
    assert (second.name, second.arguments) == ("rows", {"sql": "x"})


def test_a_choice_without_an_index_is_the_first_and_one_of_a_text_is_no_chat():
    unnumbered = {"choices": [{"index": None, "delta": {"content": "x"}, "finish_reason": "stop"}]}
    assert read(stream(unnumbered), ASKED)[1].text == "x"
    completion = {"choices": [{"index": 0, "text": "hello", "finish_reason": "stop"}]}
    for fault in (CODEC.decode(ASKED, json.dumps(completion).encode()), read(stream(completion), ASKED)[1]):
        assert fault.trigger is Trigger.bad_reply
        assert "/completions" in fault.text


@pytest.mark.parametrize("size", [1, 2, 3, None])
def test_json_behind_a_byte_order_mark_is_a_reply_that_was_not_streamed(size):
    data = b"\xef\xbb\xbf\n" + whole({"content": "x"})
    assert read(data, ASKED, size)[1].text == "x"


@pytest.mark.parametrize("size", [1, 7, None])
@pytest.mark.parametrize("page", [b"<html>502 Bad Gateway</html>", b'error: {"code": 500}\n\n', b"\n\nno such page\n"])
def test_what_is_no_stream_at_all_is_shown_rather_than_called_cut(page, size):
    fault = read(page, ASKED, size)[1]
    assert fault.trigger is Trigger.bad_reply
    assert page.strip().decode() in fault.text.replace("\\n", "")
    assert read(b"foo: bar\n" + stream(chunk({"content": "x"})), ASKED, size)[1].trigger is Trigger.stream_cut


@pytest.mark.parametrize("start", [b"", b"\n", b"\xef\xbb", b": ping\n\n", b"dat", b"event: x\ndata: {"])
def test_a_stream_that_only_began_is_cut(start):
    assert read(start, ASKED)[1].trigger is Trigger.stream_cut


def test_a_refusal_beside_an_empty_text_is_one_too():
    deltas, reply = read(stream(chunk({"content": "", "refusal": "No."}), chunk({}, "stop")), ASKED)
    assert (reply.parts, reply.finish, deltas) == ((Text("No.", ORIGIN),), "refusal", [])


def test_a_refusal_is_text_that_was_not_handed_on_and_a_finish_of_its_own():
    deltas, reply = read(stream(chunk({"refusal": "I can"}), chunk({"refusal": "not."}), chunk({}, "stop")), ASKED)
    assert (reply.text, reply.finish, deltas, reply.raw) == ("I cannot.", "refusal", [], "I cannot.")


def test_content_in_typed_pieces_is_text_and_reasoning():
    pieces = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "hello"}]
    reply = CODEC.decode(ASKED, whole({"content": pieces}))
    assert (reply.reasoning, reply.text) == ("hm", "hello")
    assert CODEC.decode(ASKED, whole({"content": "a", "reasoning": "b"})).reasoning == "b"


def test_the_mean_token_log_probability_is_reported():
    first, last = chunk({"content": "a"}), chunk({"content": "b"}, "stop")
    first["choices"][0]["logprobs"], last["choices"][0]["logprobs"] = token(-0.5), token(-1.5)
    assert read(stream(first, last), ASKED)[1].logprob == -1.0
    assert read(stream(chunk({"content": "a"}, "stop")), ASKED)[1].logprob is None


def test_usage_may_come_with_every_chunk_and_the_last_one_counts():
    data = stream(chunk({"content": "a"}, usage={"prompt_tokens": 1}), chunk({}, "stop", usage=USAGE))
    assert read(data, ASKED)[1].usage == Usage(11, 7, 4, 3, 2)
    assert read(stream(chunk({}, "stop")), ASKED)[1].usage is None


@pytest.mark.parametrize("count", [None, "7", -1, True, 1.5])
def test_usage_that_is_no_count_is_unknown_rather_than_nothing(count):
    for strange in ({"prompt_tokens": count, "completion_tokens": 7}, {"prompt_tokens": 7, "completion_tokens": count}):
        assert read(stream(chunk({}, "stop", usage=strange)), ASKED)[1].usage is None


def test_other_choices_than_the_first_are_not_mixed_in():
    second = {"choices": [{"index": 1, "delta": {"content": "other"}}]}
    assert read(stream(chunk({"content": "a"}), second, chunk({}, "stop")), ASKED)[1].text == "a"


def test_a_surrogate_pair_split_over_two_chunks_is_one_character():
    deltas, reply = read(stream(chunk({"content": "a\ud83d"}), chunk({"content": "\ude00b"}), chunk({}, "stop")), ASKED)
    assert (reply.text, shown(deltas)) == ("a😀b", "a😀b")
    assert read(stream(chunk({"content": "\ude00"}, "stop")), ASKED)[1].text == "\ufffd"


def test_an_empty_reply_is_a_reply_without_parts():
    reply = read(stream(chunk({"content": ""}, "stop")), ASKED)[1]
    assert (reply.parts, reply.raw, reply.finish) == ((), "", "stop")


def test_a_stream_without_finish_reason_and_done_is_cut_and_keeps_what_had_arrived():
    deltas, fault = read(stream(chunk({"content": "half"}), done=False), ASKED)
    assert (fault.trigger, fault.partial_text, shown(deltas)) == (Trigger.stream_cut, "half", "half")
    assert read(b"", ASKED)[1].trigger is Trigger.stream_cut
    assert read(b'data: {"choices": [{"delta": {"content": "ha', ASKED)[1].trigger is Trigger.stream_cut


def test_a_finish_reason_alone_completes_a_stream():
    assert read(stream(chunk({"content": "a"}, "stop"), done=False), ASKED)[1].text == "a"
    unclosed = stream(chunk({"content": "a"}, "stop"), done=False).rstrip(b"\n")
    assert read(unclosed, ASKED)[1].text == "a"


@pytest.mark.parametrize("reason", [None, "", 5])
def test_without_a_finish_reason_nothing_has_ended_whatever_else_the_server_says(reason):
    said = chunk(call(0, "a", "rows", '{"sql": "x"}') | {"content": "half"}, reason)
    fault = read(stream(said), ASKED)[1]
    assert (fault.trigger, fault.partial_text) == (Trigger.stream_cut, "half")
    body = {"choices": [{"message": {"content": "half"}, "finish_reason": reason}]}
    fault = CODEC.decode(ASKED, json.dumps(body).encode())
    assert (fault.trigger, fault.partial_text) == (Trigger.bad_reply, "half")
    assert "does not say why the model stopped" in fault.text


def test_an_unknown_finish_reason_is_a_fault_with_what_had_arrived_and_no_call():
    said = chunk(call(0, "a", "rows", '{"sql": "x"}') | {"content": "half"}, "weird_" + "x" * 900)
    deltas, fault = read(stream(said), ASKED)
    assert (fault.trigger, fault.partial_text, shown(deltas)) == (Trigger.bad_reply, "half", "half")
    assert fault.text.startswith("the provider stopped with 'weird_")
    assert len(fault.text) == 600


@pytest.mark.parametrize(("code", "trigger"), [(502, Trigger.server_error), (429, Trigger.rate_limited)])
def test_an_error_inside_the_choice_is_the_fault_of_its_code(code, trigger):
    error = {"message": "upstream died", "code": code}
    choice = {"index": 0, "delta": {"content": "half"}, "finish_reason": "stop", "error": error}
    deltas, fault = read(stream({"choices": [choice]}), ASKED)
    assert (fault.trigger, fault.status, fault.partial_text, shown(deltas)) == (trigger, code, "half", "half")
    body = {"choices": [{"message": {"content": "half"}, "finish_reason": "stop", "error": error}]}
    assert CODEC.decode(ASKED, json.dumps(body).encode()).trigger is trigger


def test_what_came_before_a_fault_in_the_same_bytes_is_handed_on():
    data = stream(chunk({"reasoning_content": "hm"}), chunk({"content": "half"}), done=False) + b"data: {oops\n\n"
    by_bytes, at_once = read(data, ASKED, 1), read(data, ASKED)
    assert by_bytes == at_once
    assert (thought(at_once[0]), shown(at_once[0]), at_once[1].partial_text) == ("hm", "half", "half")
    reader = CODEC.reader(ASKED)
    reader.feed(data)
    assert reader.feed(stream(chunk({"content": " more"}, "stop"))) == []
    assert reader.close() == reader.fault == at_once[1]


def test_the_text_of_a_long_stream_is_put_together_once_however_many_chunks_it_has(monkeypatch):
    asked = []
    monkeypatch.setattr(Draft, "text", property(lambda self: asked.append(self) or ""))
    chunks = [chunk({"content": "word "}) for _ in range(200)]
    assert read(stream(*chunks, chunk({}, "stop")), ASKED, 80)[1].text == "word " * 200
    assert asked == []


def test_a_stream_longer_than_any_answer_is_given_up_with_what_had_arrived(monkeypatch):
    monkeypatch.setattr("orchestra.dialects.reading.LONGEST", 400)
    _, fault = read(stream(*[chunk({"content": "ab"})] * 9, chunk({}, "stop")), ASKED, 50)
    assert (fault.trigger, set(fault.partial_text)) == (Trigger.bad_reply, {"a", "b"})
    assert read(b"{" + b" " * 900, ASKED, 50)[1].text == "the reply is longer than 400 bytes"


@pytest.mark.parametrize(
    "bad", [b"data: {nope\n\n", b"data: [1]\n\n", b"data: \xff\n\n", b"data: " + b"[" * 100_000 + b"\n\n"]
)
def test_a_malformed_chunk_is_a_bad_reply_with_what_had_arrived(bad):
    _, fault = read(stream(chunk({"content": "half"}), done=False) + bad, ASKED)
    assert (fault.trigger, fault.partial_text) == (Trigger.bad_reply, "half")


@pytest.mark.parametrize(
    ("data", "trigger"),
    [
        (b'data: {"error": {"message": "overloaded", "type": "overloaded_error"}}\n\n', "overloaded"),
        (b'data: {"error": {"message": "slow down", "code": 429}}\n\n', "rate_limited"),
        (b'data: {"error": {"message": "boom", "code": 500}}\n\n', "server_error"),
        (b'data: {"error": {"message": "RateLimitError", "type": "None", "code": "429"}}\n\n', "rate_limited"),
        (b'data: {"error": {"message": "no", "type": "None", "code": "400"}}\n\n', "bad_request"),
        (b'data: {"error": {"message": "no", "code": "1302", "status_code": 429}}\n\n', "rate_limited"),
        (b'data: {"error": {"message": "no", "http_status_code": 422}}\n\n', "bad_request"),
        (b'data: {"error": {"message": "bad", "type": "invalid_request_error"}}\n\n', "bad_request"),
        (b'event: error\ndata: {"message": "boom"}\n\n', "server_error"),
        (b'data: {"error": "boom"}\n\n', "server_error"),
        (b'data: {"error": {"message": "boom"}}', "server_error"),
    ],
)
def test_an_error_inside_the_stream_is_a_fault_with_what_had_arrived(data, trigger):
    _, fault = read(stream(chunk({"content": "half"}), done=False) + data, ASKED)
    assert (fault.trigger, fault.partial_text) == (Trigger(trigger), "half")


@pytest.mark.parametrize("data", [b"", b"<html>", b"[]", b'{"choices": []}', b'{"object": "list"}', b"\xff"])
def test_a_body_that_is_no_completion_is_a_bad_reply(data):
    assert CODEC.decode(ASKED, data).trigger is Trigger.bad_reply


def test_an_error_in_a_successful_body_is_a_fault():
    assert CODEC.decode(ASKED, b'{"error": {"code": 503, "message": "busy"}}').trigger is Trigger.overloaded


KEYS = ["choices", "delta", "message", "content", "tool_calls", "function", "name", "id", "index", "arguments", "usage"]
LOOSE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=25,
)


@given(st.lists(LOOSE, max_size=4), st.booleans())
@settings(deadline=None)
def test_no_json_however_strange_raises(chunks, json_tools):
    asked = encoded(tools=(ROWS, NOW), card=card(capabilities={"tools": "json" if json_tools else "native"}))
    _, reply = read(stream(*chunks), asked)
    assert isinstance(reply, ModelReply | CallFault)
    for each in chunks:
        assert isinstance(CODEC.decode(asked, json.dumps({"choices": [each]}).encode()), ModelReply | CallFault)


@given(st.lists(LOOSE, max_size=3))
@settings(deadline=None)
def test_no_choice_however_strange_raises(pieces):
    chunks = [{"choices": [{"index": 0, "delta": each, "logprobs": each}], "usage": each} for each in pieces]
    _, reply = read(stream(*chunks), ASKED)
    assert isinstance(reply, ModelReply | CallFault)


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_no_bytes_raise(data):
    assert isinstance(read(data, ASKED, 3)[1], ModelReply | CallFault)
    assert isinstance(CODEC.decode(ASKED, data), ModelReply | CallFault)
