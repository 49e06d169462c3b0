"""The few things values can do beyond holding their fields."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from orchestra.types import (
    Cost,
    Document,
    Fault,
    Image,
    Message,
    ModelReply,
    Price,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    Trigger,
    Usage,
    Verdict,
    to_json,
)


def test_usage_adds_up_field_by_field() -> None:
    assert Usage(1, 2, 3, 4) + Usage(10, 20, 30, 40) == Usage(11, 22, 33, 44)


def test_costs_add_up_and_stay_estimated_once_a_part_is() -> None:
    assert Cost(1.0) + Cost(2.0) == Cost(3.0)
    assert Cost(1.0) + Cost(2.0, estimated=True) == Cost(3.0, estimated=True)


def test_an_unknown_cost_makes_the_sum_unknown_not_zero() -> None:
    assert Cost(None) + Cost(2.0) == Cost(None)
    assert Cost(2.0) + Cost(None, estimated=True) == Cost(None, estimated=True)


def test_a_reply_tells_its_text_reasoning_and_calls_apart() -> None:
    call = ToolCall("1", "f", {})
    reply = ModelReply((Reasoning("hm"), Text("a"), call, Text("b")), "tool_calls")
    assert (reply.text, reply.reasoning, reply.tool_calls) == ("ab", "hm", (call,))


PICTURE = Image("image/png", data="AA==")


@pytest.mark.parametrize(
    ("message", "plain"),
    [
        (Message.system("s"), True),
        (Message.user(" "), False),
        (Message("user", (Text("u", provider_state="s"),)), False),
        (Message("user", (PICTURE,)), False),
        (Message("user", (ToolCall("1", "rows", {}),)), False),
        (Message("assistant", (Text("a"), ToolCall("1", "rows", {}))), True),
        (Message("assistant", (ToolCall("1", "rows", {}, provider_state="s"),)), False),
        (Message("assistant", (Reasoning("r"),)), False),
        (Message("tool", (ToolResult("1", "rows", (Text("3"),)),)), True),
        (Message("tool", (ToolResult("1", "rows", (PICTURE,)),)), False),
        (Message("tool", (ToolResult("1", "rows", (Text("3"),), provider_state="s"),)), False),
        (Message("tool", (Text("3"),)), False),
    ],
)
def test_any_model_may_see_words_calls_and_results_in_words_as_they_are(message: Message, plain: bool) -> None:
    assert message.plain is plain


def test_what_a_message_has_found_out_of_itself_is_no_part_of_it() -> None:
    fresh, asked = Message.user("how many?"), Message.user("how many?")
    assert (asked.text, asked.tokens, asked.plain) == ("how many?", 3, True)
    assert (asked, hash(asked), repr(asked), to_json(asked)) == (fresh, hash(fresh), repr(fresh), to_json(fresh))
    assert pickle.dumps(asked) == pickle.dumps(fresh)
    assert not hasattr(asked, "__dict__")


def test_a_message_made_of_a_list_is_looked_at_anew_as_often_as_it_is_asked() -> None:
    parts: Any = [Text("see")]
    message = Message("user", parts)
    assert (message.tokens, message.plain) == (1, True)
    parts.append(PICTURE)
    assert (message.tokens, message.plain) == (1_001, False)


def test_a_result_made_of_a_list_may_come_to_hold_more_than_words() -> None:
    content: Any = [Text("3")]
    message = Message("tool", (ToolResult("1", "rows", content),))
    assert not message.plain


def test_messages_of_plain_text_are_made_by_role() -> None:
    made = (Message.system("s"), Message.user("u"), Message.assistant("a"))
    assert [(message.role, message.text) for message in made] == [("system", "s"), ("user", "u"), ("assistant", "a")]


@pytest.mark.parametrize("media", [Image, Document])
@pytest.mark.parametrize("given", [{}, {"data": "YQ==", "url": "u"}])
def test_media_has_exactly_one_of_data_and_url(media: type, given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="exactly one of data"):
        media("image/png", **given)


def test_only_a_price_of_nothing_at_all_is_free() -> None:
    assert Price(0, 0).free
    assert not Price(0, 1).free


def test_every_trigger_is_somebodys_fault() -> None:
    groups = {fault: {trigger for trigger in Trigger if trigger.fault is fault} for fault in Fault}
    assert sum(map(len, groups.values())) == len(Trigger)
    assert {t.value for t in groups[Fault.request]} == {"bad_request", "context_overflow", "content_filter"}
    assert {t.value for t in groups[Fault.provider]} == {
        "rate_limited",
        "overloaded",
        "timeout",
        "connection",
        "server_error",
        "auth",
        "quota",
        "stream_cut",
        "bad_reply",
    }
    assert groups[Fault.unknown] == {Trigger.tool_unknown}


def test_a_verdict_without_trigger_is_accepted() -> None:
    assert Verdict().accepted
    assert not Verdict(Trigger.empty).accepted
