"""Messages of four forms become the same canonical values."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage

from orchestra.errors import ConfigError
from orchestra.runtime.messages import canonical
from orchestra.types import Image, Message, Text, ToolCall, ToolResult

TEXT = st.text(min_size=1, max_size=30).filter(str.strip)
ARGUMENTS = st.dictionaries(st.text(max_size=5), st.none() | st.booleans() | st.integers() | st.text(max_size=5))
CALLS = st.lists(st.tuples(st.text(min_size=1, max_size=5), st.text(min_size=1, max_size=5), ARGUMENTS), max_size=3)


@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), TEXT), min_size=1, max_size=5))
def test_texts_keep_their_roles_and_their_order(turns):
    expected = tuple(Message(role, (Text(text),)) for role, text in turns)
    assert canonical([{"role": role, "content": text} for role, text in turns]) == expected
    assert canonical([{"role": role, "content": [{"type": "text", "text": text}]} for role, text in turns]) == expected
    kinds = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
    assert canonical([kinds[role](text) for role, text in turns]) == expected
    assert canonical(expected) == expected


@given(TEXT, CALLS)
def test_calls_keep_their_ids_names_and_arguments(text, calls):
    functions = [
        {"id": i, "type": "function", "function": {"name": n, "arguments": json.dumps(a)}} for i, n, a in calls
    ]
    (from_dict,) = canonical([{"role": "assistant", "content": text, "tool_calls": functions}])
    (from_langchain,) = canonical([AIMessage(text, tool_calls=[{"id": i, "name": n, "args": a} for i, n, a in calls])])
    expected = [(i, n, a) for i, n, a in calls]
    for message in (from_dict, from_langchain):
        assert message.text == text
        found = [part for part in message.parts if isinstance(part, ToolCall)]
        assert [(part.id, part.name, part.arguments) for part in found] == expected
        assert [json.loads(part.raw) for part in found] == [a for _, _, a in expected]


@given(st.text(max_size=20))
def test_arguments_that_are_no_object_are_kept_as_written(raw):
    with suppress(ValueError):
        assume(not isinstance(json.loads(raw or "{}"), dict))
    (message,) = canonical(
        [{"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": raw}}]}]
    )
    assert message.parts == (ToolCall("1", "f", None, raw),)


@given(TEXT, TEXT)
def test_a_result_belongs_to_its_call(call_id, text):
    (found,) = canonical([{"role": "tool", "tool_call_id": call_id, "name": "f", "content": text}])
    assert found == Message("tool", (ToolResult(call_id, "f", (Text(text),)),))
    assert canonical(ToolMessage(text, tool_call_id=call_id, name="f")) == (found,)


def test_a_tool_that_failed_is_told_as_an_error():
    (message,) = canonical([ToolMessage("no such table", tool_call_id="1", status="error")])
    assert message.parts == (ToolResult("1", "", (Text("no such table"),), is_error=True),)


def test_arguments_may_be_an_object_already_and_a_call_without_an_id_gets_one():
    (message,) = canonical(
        [{"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": {"a": 1}}}]}]
    )
    assert message.parts == (ToolCall("1", "f", {"a": 1}, '{"a": 1}'),)
    (message,) = canonical([AIMessage("", tool_calls=[{"id": None, "name": "f", "args": {}}])])
    assert message.parts == (ToolCall("call_0", "f", {}, "{}"),)


@pytest.mark.parametrize(
    ("url", "image"),
    [
        ("data:image/png;base64,QUJD", Image("image/png", data="QUJD")),
        ("https://example.com/a.png", Image("image/*", url="https://example.com/a.png")),
    ],
)
@pytest.mark.parametrize("wrapped", [True, False])
def test_an_image_is_taken_as_data_or_as_an_address(url, image, wrapped):
    block = {"type": "image_url", "image_url": {"url": url} if wrapped else url}
    assert canonical([{"role": "user", "content": [block]}]) == (Message("user", (image,)),)


def test_a_list_of_parts_may_hold_plain_strings_and_loses_what_no_other_model_may_see():
    content = ["a", {"type": "text", "text": ""}, {"type": "thinking", "thinking": "…"}, {"type": "text", "text": "b"}]
    expected = (Message("assistant", (Text("a"), Text("b"))),)
    assert canonical([AIMessage(content)]) == canonical([{"role": "assistant", "content": content}]) == expected


def test_a_streamed_langchain_message_is_an_assistants():
    assert canonical([AIMessageChunk(content="hi")]) == (Message.assistant("hi"),)


def test_one_blank_text_among_others_does_no_harm():
    assert len(canonical([Message.system(""), Message.user("x")])) == 2


def test_what_holds_no_text_but_something_else_is_no_blank_prompt():
    message = Message("user", (Image("image/png", data="QUJD"),))
    assert canonical(message) == (message,)


@pytest.mark.parametrize("call", ["f", {"function": None}, {"id": "1", "function": {"name": "f"}}, None])
def test_a_call_of_another_shape_is_told_by_its_place(call):
    with pytest.raises(ConfigError, match=r"messages\[1\]\.tool_calls: expected \{'id'"):
        canonical(["x", {"role": "assistant", "tool_calls": [call]}])
