"""What a cheap model is asked so that old turns become one message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.fleet.tokens import message_tokens
from orchestra.runtime.context import summary_messages
from orchestra.runtime.context.stubs import summary
from orchestra.types import Image, Message, Reasoning, Text, ToolCall, ToolResult
from tests.runtime.context.histories import valid_histories


def test_calls_results_and_words_are_told_in_order_and_reasoning_is_not():
    old = [
        Message.user("look"),
        Message(
            "assistant",
            (Reasoning("hm"), Text("ok"), ToolCall("1", "f", {"a": "ü"}), ToolCall("2", "g", None, raw="{a")),
        ),
        Message(
            "tool",
            (
                ToolResult("1", "f", (Text("found"), Image("image/png", data="aGk="))),
                ToolResult("2", "g", (Text("no"),), is_error=True),
            ),
        ),
    ]
    rules, record = summary_messages(old, 1_000)
    assert rules.role == "system"
    assert "at most 250 words" in rules.text
    assert record == Message.user(
        'user: look\n\nassistant: ok\n\nassistant: calls f({"a": "ü"})\n\nassistant: calls g({a)\n\n'
        "tool: result of f: found [image]\n\ntool: error of g: no"
    )


def test_only_the_long_texts_are_cut_and_say_so():
    old = [Message.user("short"), Message.user("x" * 9_000), Message.user("y" * 9_000)]
    _, record = summary_messages(old, 1_000)
    short, first, second = record.text.split("\n\n")
    assert short == "user: short"
    assert first.startswith("user: xxx")
    assert "characters left out" in first
    assert len(first) == pytest.approx(len(second), abs=2)
    assert message_tokens([record]) < 1_000


@given(valid_histories(), st.integers(200, 3_000))
def test_the_record_keeps_to_its_room(old: list[Message], tokens: int):
    _, record = summary_messages(old, tokens)
    notes = 20 * sum(len(message.parts) for message in old)  # every line may be cut, and says so
    assert message_tokens([record]) <= 2 * tokens + notes + 4


def test_handles_that_end_in_no_number_are_named_one_by_one():
    told = summary("It was done.", [], {"s1.a": "look", "s1.b": "look", "s1.1": "look", "s1.2": "look"}).text
    assert told.endswith("s1.a (look), s1.b (look), s1.1 to s1.2 (look)")
