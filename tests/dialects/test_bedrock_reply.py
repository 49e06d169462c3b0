"""What Converse's answer on the wire becomes, whole or streamed, however its bytes are split."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.testing.bedrock_wire import aws_message, event, exception
from orchestra.types import CallFault, ModelReply, Text, Trigger
from tests.dialects.bedrock import (
    ASKED,
    CODEC,
    COUNTS,
    EVENTS,
    FULL,
    ORIGIN,
    REPLY,
    delta,
    end,
    read,
    shown,
    start,
    thought,
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, None])
def test_a_stream_reads_the_same_however_it_is_split(size):
    deltas, reply = read(FULL, ASKED, size)
    assert reply == REPLY
    assert (shown(deltas), thought(deltas)) == (REPLY.text, REPLY.reasoning)


@given(st.lists(st.integers(1, 90), min_size=1, max_size=30))
@settings(deadline=None, max_examples=40)
def test_any_split_gives_the_same_reply(sizes):
    reader, place = CODEC.reader(ASKED), 0
    for size in sizes:
        reader.feed(FULL[place : place + size])
        place += size
    reader.feed(FULL[place:])
    assert reader.close() == REPLY


def test_a_stream_that_is_cut_anywhere_before_its_end_is_no_success():
    complete = len(FULL) - len(event("metadata", {"usage": COUNTS, "metrics": {"latencyMs": 3}}))
    for length in range(complete):
        _, got = read(FULL[:length], ASKED)
        assert isinstance(got, CallFault)
        assert got.trigger is Trigger.stream_cut
    _, reply = read(FULL[:complete], ASKED)  # the provider has said that this is all; only the bill is missing
    assert (reply.parts, reply.finish, reply.usage) == (REPLY.parts, "tool_calls", None)


def test_a_cut_stream_tells_what_had_arrived():
    fault = read(b"".join(EVENTS[:8]), ASKED)[1]
    assert (fault.trigger, fault.partial_text) == (Trigger.stream_cut, "Größe 😀")


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_garbled_bytes_are_a_fault_and_never_an_exception(data):
    place = data.draw(st.integers(0, len(FULL) - 1))
    junk = data.draw(st.binary(max_size=20))
    got = read(FULL[:place] + junk + FULL[place + data.draw(st.integers(0, 20)) :], ASKED)[1]
    assert isinstance(got, CallFault | ModelReply)
    assert isinstance(got, CallFault) or got.parts == REPLY.parts


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["contentBlockIndex", "start", "delta", "usage", "stopReason", "trace", "message"])
NAMES = st.sampled_from(["messageStart", "contentBlockStart", "contentBlockDelta", "messageStop", "metadata", ""])
NESTED = st.dictionaries(
    st.sampled_from(["text", "toolUse", "reasoningContent", "promptRouter", "inputTokens", "signature"]), JUNK
)


@given(st.lists(st.tuples(NAMES, st.dictionaries(FIELDS, JUNK | NESTED)), max_size=5))
@settings(deadline=None, max_examples=100)
def test_events_of_any_shape_are_read_without_an_exception(events):
    written = b"".join(event(name, payload) for name, payload in events)
    assert isinstance(read(written + end(), ASKED)[1], CallFault | ModelReply)


def test_an_event_that_is_no_json_is_a_bad_reply():
    headers = {":message-type": "event", ":event-type": "contentBlockDelta"}
    for payload in (b"", b"{", b"[]", b"\xff"):
        fault = read(delta(0, text="so far") + aws_message(headers, payload))[1]
        assert (fault.trigger, fault.partial_text) == (Trigger.bad_reply, "so far")


@pytest.mark.parametrize(
    ("name", "trigger"),
    [
        ("throttlingException", Trigger.rate_limited),
        ("serviceUnavailableException", Trigger.overloaded),
        ("modelTimeoutException", Trigger.timeout),
        ("modelStreamErrorException", Trigger.server_error),
        ("internalServerException", Trigger.server_error),
        ("validationException", Trigger.bad_request),
        ("somethingNewException", Trigger.server_error),
    ],
)
def test_an_exception_in_a_stream_is_a_fault(name, trigger):
    fault = read(delta(0, text="so far") + exception(name, "why") + end())[1]
    assert (fault.trigger, fault.partial_text) == (trigger, "so far")
    assert f"{name}: why" in fault.text


def test_a_context_that_is_too_long_is_told_from_other_invalid_requests():
    fault = read(exception("validationException", "Input is too long for requested model."))[1]
    assert fault.trigger is Trigger.context_overflow


def test_a_page_of_html_is_a_bad_reply():
    assert read(b"<html><body>Bad gateway</body></html>")[1].trigger is Trigger.bad_reply


def test_nothing_is_a_cut_stream():
    assert read(b"")[1].trigger is Trigger.stream_cut


def test_two_calls_under_one_index_stay_two():
    _, reply = read(
        start(0, "a", "now") + delta(0, toolUse={"input": "{}"}) + start(0, "a", "now") + end("tool_use"), ASKED
    )
    assert [call.name for call in reply.tool_calls] == ["now", "now"]
    assert len({call.id for call in reply.tool_calls}) == 2


def test_pieces_of_a_call_that_never_began_are_a_call_without_a_name():
    _, reply = read(delta(0, toolUse={"input": "{}"}) + end("tool_use"), ASKED)
    assert [(call.name, call.arguments) for call in reply.tool_calls] == [("", {})]


def test_a_call_that_ran_at_the_provider_is_none_of_ours():
    _, reply = read(
        start(0, "a", "search", type="server_tool_use") + delta(0, toolUse={"input": "{}"}) + delta(1, text="x") + end()
    )
    assert reply.parts == (Text("x", ORIGIN),)


def test_redacted_reasoning_in_pieces_is_the_joined_bytes():
    _, reply = read(
        delta(0, reasoningContent={"redactedContent": "YQ=="})
        + delta(0, reasoningContent={"redactedContent": "Yg=="})
        + end()
    )
    assert reply.parts[0].provider_state == '{"redactedContent": "YWI="}'
    broken = delta(0, reasoningContent={"redactedContent": "YQ=="}) + delta(
        0, reasoningContent={"redactedContent": "Y"}
    )
    assert read(broken + end())[1].trigger is Trigger.bad_reply


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("content_filtered", "content_filter"),
        ("guardrail_intervened", "content_filter"),
    ],
)
def test_stop_reasons(reason, finish):
    assert read(delta(0, text="x") + end(reason))[1].finish == finish


@pytest.mark.parametrize(
    ("reason", "trigger"),
    [
        ("malformed_tool_use", Trigger.malformed_args),
        ("malformed_model_output", Trigger.bad_reply),
        ("something_new", Trigger.bad_reply),
    ],
)
def test_a_reason_that_says_the_output_is_broken_is_a_fault_and_no_call_is_handed_on(reason, trigger):
    use = {"toolUse": {"toolUseId": "1", "name": "rows", "input": {"sql": "half"}}}
    body = {"stopReason": reason, "output": {"message": {"role": "assistant", "content": [{"text": "x"}, use]}}}
    streamed = delta(0, text="x") + start(1, "1", "rows") + delta(1, toolUse={"input": '{"sql": "half"}'}) + end(reason)
    for fault in (read(streamed)[1], CODEC.decode(ASKED, json.dumps(body).encode())):
        assert (fault.trigger, fault.partial_text) == (trigger, "x")
        assert repr(reason) in fault.text


def test_a_message_that_stops_for_no_reason_has_not_ended():
    assert read(delta(0, text="x") + event("messageStop", {}))[1].trigger is Trigger.stream_cut


@pytest.mark.parametrize("kind", ["ThrottlingException", "com.amazon.coral.service#ThrottlingException:http://x"])
def test_an_error_in_a_body_that_began_as_a_success_is_its_typed_fault(kind):
    body = json.dumps({"__type": kind, "message": "Too many requests"}).encode()
    for fault in (CODEC.decode(ASKED, body), read(body)[1]):
        assert fault.trigger is Trigger.rate_limited
        assert fault.text.endswith("ThrottlingException: Too many requests")


def test_the_model_that_a_router_chose_is_told():
    routed = event("metadata", {"trace": {"promptRouter": {"invokedModelId": "anthropic.y"}}})
    assert read(end() + routed)[1].wire_model == "anthropic.y"


def test_counts_that_are_none_are_unknown():
    for counts in (
        {"inputTokens": "5", "outputTokens": 7},
        {"inputTokens": True, "outputTokens": 1},
        {"inputTokens": 1},
    ):
        assert read(end("end_turn", **counts))[1].usage is None


def whole(*content, reason="end_turn", **fields):
    message = {"role": "assistant", "content": list(content)}
    said = {"output": {"message": message}, "stopReason": reason, "metrics": {"latencyMs": 1}} | fields
    return CODEC.decode(ASKED, json.dumps({key: value for key, value in said.items() if value is not None}).encode())


def test_a_whole_body_reads_as_its_stream():
    reply = whole(
        {"reasoningContent": {"reasoningText": {"text": "hm so", "signature": "c2lnbmVk"}}},
        {"reasoningContent": {"redactedContent": "c2VjcmV0"}},
        {"text": "Größe 😀 ja"},
        {"toolUse": {"toolUseId": "c1", "name": "rows", "input": {"sql": "ü"}}},
        {"toolUse": {"toolUseId": "c2", "name": "now", "input": {}}},
        reason="tool_use",
        usage=COUNTS,
    )
    assert (reply.parts[:4], reply.finish, reply.usage) == (REPLY.parts[:4], REPLY.finish, REPLY.usage)
    assert reply.parts[4].arguments == {}


def test_text_with_citations_is_text():
    cited = {"citationsContent": {"content": [{"text": "green"}, {"text": " grass"}], "citations": []}}
    assert whole(cited).text == "green grass"


def test_unreadable_arguments_are_kept_as_written():
    (call,) = whole({"toolUse": {"toolUseId": "c1", "name": "rows", "input": "{broken"}}, reason="tool_use").tool_calls
    assert (call.arguments, call.raw) == (None, "{broken")


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"{}", b'{"output": {}}', b'{"message": "no"}', b'{"output": {"message": {"content": 3}}}'],
)
def test_a_body_that_is_no_reply_is_a_fault(body):
    fault = CODEC.decode(ASKED, body)
    assert isinstance(fault, CallFault)
    assert fault.trigger is Trigger.bad_reply


def test_a_body_without_a_stop_reason_is_no_success():
    assert whole({"text": "x"}, reason=None).trigger is Trigger.bad_reply


@given(st.lists(JUNK | st.dictionaries(st.sampled_from(["text", "toolUse", "reasoningContent"]), JUNK), max_size=4))
@settings(deadline=None, max_examples=80)
def test_whole_bodies_of_any_shape_are_read_without_an_exception(content):
    assert isinstance(whole(*content), CallFault | ModelReply)


def error(status, body, **headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return CODEC.error(status, {name.replace("_", "-"): value for name, value in headers.items()}, data)


@pytest.mark.parametrize(
    ("status", "kind", "trigger"),
    [
        (400, "ValidationException", Trigger.bad_request),
        (400, "ServiceQuotaExceededException", Trigger.quota),
        (403, "AccessDeniedException", Trigger.auth),
        (403, "ExpiredTokenException", Trigger.auth),
        (404, "ResourceNotFoundException", Trigger.bad_request),
        (408, "ModelTimeoutException", Trigger.timeout),
        (424, "ModelErrorException", Trigger.server_error),
        (429, "ModelNotReadyException", Trigger.overloaded),
        (429, "ThrottlingException", Trigger.rate_limited),
        (500, "InternalServerException", Trigger.server_error),
        (503, "ServiceUnavailableException", Trigger.overloaded),
    ],
)
def test_errors_are_known_by_status_and_name(status, kind, trigger):
    fault = error(status, {"message": "why"}, x_amzn_errortype=f"{kind}:http://internal.amazon.com/coral/")
    assert (fault.trigger, fault.status) == (trigger, status)
    assert f"HTTP {status}: {kind}: why" in fault.text


def test_a_denied_access_inside_a_success_is_one():
    fault = CODEC.decode(ASKED, json.dumps({"__type": "AccessDeniedException", "Message": "no"}).encode())
    assert fault.trigger is Trigger.auth


@pytest.mark.parametrize("field", ["__type", "code"])
def test_an_error_may_be_named_in_its_body(field):
    fault = error(429, {field: "com.amazon#ThrottlingException", "Message": "slow"}, retry_after="3")
    assert fault.text == "HTTP 429: ThrottlingException: slow"
    assert (fault.trigger, fault.retry_after) == (Trigger.rate_limited, 3)


@pytest.mark.parametrize("body", [b"", b"{}", b"<html>slow down</html>", b'"slow"'])
def test_an_error_may_be_named_in_its_header_alone(body):
    fault = error(400, body, x_amzn_errortype="com.amazon#ThrottlingException:http://internal.amazon.com/")
    assert fault.text.startswith("HTTP 400: ThrottlingException")
    assert error(503, body, x_amzn_errortype="ModelNotReadyException").text.startswith("HTTP 503: ModelNotReady")


def test_the_models_own_error_is_told():
    fault = error(
        424, {"message": "failed", "originalMessage": "out of memory"}, x_amzn_errortype="ModelErrorException"
    )
    assert fault.text == "HTTP 424: ModelErrorException: failed (out of memory)"


def test_a_prompt_that_is_too_long_is_a_context_overflow():
    for text in ("Input is too long for requested model.", "Too many input tokens. Max input tokens: 8192"):
        assert error(400, {"message": text}).trigger is Trigger.context_overflow


def test_an_error_in_a_foreign_shape_is_read_too():
    assert error(502, b"<html>Bad gateway</html>").trigger is Trigger.server_error
    assert error(500, b"").text == "HTTP 500: the body says nothing"
    assert error(401, {"error": {"message": "who?", "code": "x"}}).text == "HTTP 401: x: who?"


@given(st.integers(300, 599), st.binary(max_size=40) | JUNK)
@settings(deadline=None, max_examples=60)
def test_errors_of_any_shape_are_faults(status, body):
    assert isinstance(error(status, body), CallFault)


def test_an_error_is_cut_to_a_safe_length():
    assert len(error(400, {"message": "x" * 5000}).text) <= 640


def test_bedrock_tells_no_limits():
    assert CODEC.limits({"x-amzn-requestid": "1", "x-ratelimit-limit-requests": "3"}) == ()
