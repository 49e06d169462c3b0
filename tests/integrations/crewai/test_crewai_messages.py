"""Calls go to CrewAI and come back with their reply, through checkpoints too; other messages are read as they stand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from crewai.tools.tool_failure import ToolFailure, ToolFailureRecord, failure_from_exception
from crewai.utilities.agent_utils import build_tool_calls_assistant_message
from hypothesis import given
from hypothesis import strategies as st

from orchestra.errors import ConfigError
from orchestra.integrations.crewai_messages import from_crewai, metered, parts_of, tools_of
from orchestra.types import (
    Attempt,
    Image,
    Message,
    Origin,
    Reasoning,
    Reply,
    Text,
    ToolCall,
    ToolResult,
    Trigger,
    Usage,
)

WORDS = st.text(st.characters(categories=["L"], max_codepoint=127), min_size=1, max_size=8).map(str.lower)
ORIGINS = st.none() | st.builds(Origin, WORDS, WORDS, WORDS)
STATES = st.none() | WORDS
VALUES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5)
CALLS = st.builds(ToolCall, WORDS, WORDS, st.dictionaries(WORDS, VALUES, max_size=2), WORDS, ORIGINS, STATES)
OTHERS = st.builds(Text, WORDS, ORIGINS, STATES) | st.builds(Reasoning, WORDS, ORIGINS, STATES)
REPLIES = st.tuples(st.lists(OTHERS, max_size=2), st.lists(CALLS, min_size=1, max_size=3)).map(
    lambda parts: Message("assistant", (*parts[0], *parts[1]))
)


def reported(message: Message) -> dict[str, Any]:
    """The message in which CrewAI reports the calls of a reply."""
    calls = tuple(part for part in message.parts if isinstance(part, ToolCall))
    written, _ = build_tool_calls_assistant_message(parts_of(Reply("", "small", message, tool_calls=calls)))
    assert written is not None
    return dict(written)


def through_a_checkpoint(message: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(message, default=lambda part: part.model_dump(mode="json")))


@pytest.mark.parametrize("kept", [dict, through_a_checkpoint])
@given(REPLIES)
def test_a_reply_with_calls_comes_back_the_same(kept, message):
    assert from_crewai([kept(reported(message))], ()) == (message,)


SIGNED = Message("assistant", (Reasoning("hm", None, "signed"), ToolCall("1", "rain", {"city": "Oslo"}, "{}")))


def test_of_calls_that_were_changed_since_what_stands_there_counts():
    message = reported(SIGNED)
    message["tool_calls"][0]["function"]["arguments"] = '{"city": "Bergen"}'
    (read,) = from_crewai([message], ())
    assert read == Message("assistant", (ToolCall("1", "rain", {"city": "Bergen"}, '{"city": "Bergen"}'),))


@pytest.mark.parametrize("calls", [["rain"], [{"id": "1"}], [{"id": "1", "function": {"arguments": "{}"}}]])
def test_calls_that_are_none_are_an_error_although_a_reply_was_kept_with_them(calls):
    with pytest.raises(ConfigError, match=r"messages\[0\]\.tool_calls"):
        from_crewai([reported(SIGNED) | {"tool_calls": calls}], ())


@pytest.mark.parametrize("kept", ["rain", {"role": "assistant"}, {"role": "assistant", "parts": [{"type": "code"}]}])
def test_a_kept_reply_that_was_tampered_with_says_where_and_what_to_do(kept):
    message = through_a_checkpoint(reported(SIGNED))
    message["raw_tool_call_parts"][0]["orchestra"] = kept
    where = r"messages\[1\]: raw_tool_call_parts\[0\]\.orchestra is no reply of a model: .*; put it back as it was"
    with pytest.raises(ConfigError, match=where):
        from_crewai([{"role": "user", "content": "Rain?"}, message], ())


def test_calls_that_another_llm_of_crewais_kept_something_with_are_read_as_they_stand():
    """Gemini's LLM keeps objects of its SDK there."""
    message = reported(SIGNED) | {"raw_tool_call_parts": [object()]}
    (read,) = from_crewai([message], ())
    assert [part.id for part in read.parts if isinstance(part, ToolCall)] == ["1"]
    assert all(part.origin is None for part in read.parts)


def test_messages_of_other_models_are_read_as_they_stand():
    call = {"id": "1", "type": "function", "function": {"name": "rain", "arguments": "{}"}}
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}
    assert from_crewai(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Rain?"}, picture]},
            {"role": "assistant", "content": None, "tool_calls": [call], "raw_tool_call_parts": [{"function_call": 1}]},
            {"role": "tool", "tool_call_id": "1", "name": "rain", "content": "3"},
        ],
        (),
    ) == (
        Message("system", (Text("Be brief."),)),
        Message("user", (Text("Rain?"), Image("image/png", data="QUJD"))),
        Message("assistant", (ToolCall("1", "rain", {}, "{}"),)),
        Message("tool", (ToolResult("1", "rain", (Text("3"),)),)),
    )


def record(failure: ToolFailure, name: str = "rain", **arguments: Any) -> ToolFailureRecord:
    return ToolFailureRecord(tool_name=name, failure=failure, tool_args=arguments)


def turn(number: int, said: str, name: str = "rain", **arguments: Any) -> list[dict[str, Any]]:
    """A call and what its tool said."""
    function = {"name": name, "arguments": json.dumps(arguments)}
    call = {"id": f"{number}", "type": "function", "function": function}
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": f"{number}", "name": name, "content": said},
    ]


def failed(told: list[dict[str, Any]], *records: ToolFailureRecord) -> list[bool]:
    """Of each result, whether it is taken for a failure."""
    read = from_crewai([{"role": "user", "content": "?"}, *told], records)
    return [part.is_error for message in read for part in message.parts if isinstance(part, ToolResult)]


def test_a_result_is_a_failure_where_crewai_recorded_one_for_this_tool_in_these_words():
    told = [
        *turn(1, "Error executing tool: locked", city="Oslo"),
        *turn(2, "Error executing tool: locked", "snow", city="Oslo"),
        *turn(3, "800", city="Oslo"),
    ]
    assert failed(told, record(failure_from_exception(OSError("locked")), city="Oslo")) == [True, False, False]


@pytest.mark.parametrize("arguments", [{"city": "lamp"}, {"city": "Oslo"}], ids=["other", "the same"])
def test_a_good_result_that_quotes_an_earlier_failure_of_its_tool_is_none(arguments):
    told = [*turn(1, "Error executing tool: 'lamp'", **arguments), *turn(2, "{'item': 'lamp'}", city="Oslo")]
    assert failed(told, record(failure_from_exception(KeyError("lamp")), **arguments)) == [True, False]
    told = [*turn(1, "80", **arguments), *turn(2, "800", city="Oslo")]
    assert failed(told, record(ToolFailure(message="80"), **arguments)) == [True, False]


def test_words_that_a_tool_chose_are_a_failure_for_the_call_that_led_to_them_alone():
    told = [*turn(1, "nothing", city="Oslo"), *turn(2, "nothing", city="Bergen"), *turn(3, "busy (code: 7)")]
    records = record(ToolFailure(message="nothing"), city="Oslo"), record(ToolFailure(message="busy", code="7"))
    assert failed(told, *records) == [True, False, True]
    assert failed(turn(1, "busy"), record(ToolFailure(message="busy", code="7"))) == [False]


def test_an_exception_without_a_text_is_a_failure_and_so_is_one_whose_text_is_its_name():
    silent, named = TimeoutError(), TimeoutError("TimeoutError")
    for error in silent, named:
        told = [*turn(1, f"Error executing tool: {error}", city="Oslo"), *turn(2, "TimeoutError", city="Oslo")]
        assert failed(told, record(failure_from_exception(error), city="Oslo")) == [True, False]


def test_an_exception_counts_although_a_hook_changed_the_arguments_of_its_call():
    told = turn(1, "Error executing tool: locked", city="Oslo")
    assert failed(told, record(failure_from_exception(OSError("locked")), city="Oslo", tenant="acme")) == [True]


def test_a_parameter_with_a_default_is_not_required_wherever_it_stands():
    inner = {
        "type": "object",
        "properties": {"a": {"type": "integer", "default": 1}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    }
    schema = {"type": "object", "properties": {"each": {"type": "array", "items": inner}}, "required": ["each"]}
    (tool,) = tools_of([{"type": "function", "function": {"name": "rain", "parameters": schema}}])
    assert tool.validate({"each": [{"b": 1}]}) == []
    assert tool.validate({"each": [{"a": 1}]}) != []
    assert tool.validate({}) != []


def test_a_parameter_may_be_required_that_is_not_described():
    (tool,) = tools_of(
        [{"function": {"name": "f", "parameters": {"type": "object", "properties": {}, "required": ["a"]}}}]
    )
    assert tool.schema["required"] == ["a"]


def test_tokens_are_those_of_every_attempt():
    usage = Usage(input=10, output=5, cached_input=4, reasoning=2, cache_write=3)
    attempts = (
        Attempt("1", "small", Trigger.empty, usage=usage),
        Attempt("2", "small"),
        Attempt("3", "small", usage=usage),
    )
    assert metered(attempts) == {
        "prompt_tokens": 20,
        "completion_tokens": 10,
        "total_tokens": 30,
        "cached_prompt_tokens": 8,
        "reasoning_tokens": 4,
        "cache_creation_tokens": 6,
    }
    assert metered(()) is None
