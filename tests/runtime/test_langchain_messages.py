"""Canonical messages become LangChain's and come back the same; what others changed or wrote is read as it stands."""

from __future__ import annotations

import json
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.load import dumpd, load
from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from orchestra.errors import ConfigError
from orchestra.integrations.langchain import ai_message, to_canonical, to_langchain
from orchestra.runtime.langchain_messages import STATE
from orchestra.types import (
    Cost,
    Document,
    Image,
    Message,
    Origin,
    Reasoning,
    Reply,
    Text,
    ToolCall,
    ToolResult,
    Usage,
)

WORDS = st.text(min_size=1, max_size=8)
ORIGINS = st.none() | st.builds(Origin, WORDS, WORDS, WORDS)
STATES = st.none() | WORDS
ARGUMENTS = st.none() | st.dictionaries(
    WORDS, st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | WORDS, max_size=2
)
TEXTS = st.builds(Text, WORDS, ORIGINS, STATES)
BYTES = st.binary(min_size=1, max_size=8).map(lambda one: b64encode(one).decode())
MEDIA = st.builds(Image, st.just("image/png"), BYTES, st.none(), ORIGINS, STATES) | st.builds(
    Document, st.just("application/pdf"), WORDS, st.none(), st.just("https://example.com/a.pdf"), ORIGINS, STATES
)
THOUGHTS = st.builds(Reasoning, WORDS, ORIGINS, STATES)
CALLS = st.builds(ToolCall, WORDS, WORDS, ARGUMENTS, WORDS, ORIGINS, STATES)
RESULTS = st.builds(
    ToolResult, WORDS, WORDS, st.lists(TEXTS | MEDIA, max_size=3).map(tuple), st.booleans(), ORIGINS, STATES
)


def messages_of(role: str, parts: st.SearchStrategy) -> st.SearchStrategy[Message]:
    return st.builds(Message, st.just(role), st.lists(parts, min_size=1, max_size=4).map(tuple))


MESSAGES = st.one_of(
    messages_of("system", TEXTS),
    messages_of("user", TEXTS | MEDIA),
    messages_of("assistant", TEXTS | THOUGHTS | CALLS),
    st.builds(lambda one: Message("tool", (one,)), RESULTS),
)
ORIGIN = Origin("anthropic", "anthropic", "claude")
SIGNED = Message(
    "assistant",
    (
        Reasoning("hm", ORIGIN, "signature"),
        Text("Let me ", ORIGIN),
        Text("see.", ORIGIN, "signed"),
        ToolCall("1", "rows", {"sql": "x"}, '{"sql":"x"}', ORIGIN, "thought"),
        ToolCall("2", "rows", {"sql": "y"}, '{"sql":"y"}', ORIGIN, "thought 2"),
    ),
)


def through_a_checkpoint(messages: list[BaseMessage]) -> list[BaseMessage]:
    serde = JsonPlusSerializer()
    return serde.loads_typed(serde.dumps_typed(messages))


def through_a_dump(messages: list[BaseMessage]) -> list[BaseMessage]:
    return load(json.loads(json.dumps(dumpd(messages))), allowed_objects="messages")


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
@pytest.mark.parametrize("kept", [list, through_a_checkpoint, through_a_dump])
@given(st.lists(MESSAGES, min_size=1, max_size=3))
def test_any_message_comes_back_the_same(kept, messages):
    assert to_canonical([*kept(to_langchain(messages)), HumanMessage("?")])[:-1] == tuple(messages)


def test_results_that_came_together_are_a_message_each():
    results = tuple(ToolResult(f"{i}", "rows", (Text("3"),)) for i in range(2))
    assert to_canonical(to_langchain([Message("tool", results)])) == tuple(Message("tool", (one,)) for one in results)


def test_a_plain_reply_keeps_only_who_wrote_it():
    (message,) = to_langchain([Message("assistant", (Text("hi", ORIGIN),))])
    assert message.content == "hi"
    assert message.additional_kwargs == {
        STATE: {"origin": {"provider": "anthropic", "api": "anthropic", "model": "claude"}}
    }


def test_thoughts_are_shown_as_langchain_shows_them():
    (message,) = to_langchain([SIGNED])
    assert [block["type"] for block in message.content_blocks] == ["reasoning", "text", "tool_call", "tool_call"]
    assert message.text == "Let me see."


def test_of_a_message_that_was_changed_thoughts_and_untouched_calls_keep_their_state():
    (message,) = to_langchain([SIGNED])
    changed = message.model_copy(update={"content": "Wait.", "tool_calls": [message.tool_calls[0]]})
    changed.tool_calls.append({"name": "rows", "args": {"sql": "z"}, "id": "2", "type": "tool_call"})
    (read,) = to_canonical([changed])
    thought, _, _, untouched, _ = SIGNED.parts
    assert read.parts == (thought, Text("Wait."), untouched, ToolCall("2", "rows", {"sql": "z"}, '{"sql": "z"}'))


@pytest.mark.parametrize(
    "state", [{}, {"parts": [{"type": "poem"}]}, {"origin": {"provider": 1}}, {"origin": None}, ["x"]]
)
def test_state_that_cannot_be_read_is_told_by_its_place(state):
    with pytest.raises(ConfigError, match=r"messages\[1\]\.additional_kwargs\['orchestra'\] cannot be read"):
        to_canonical([HumanMessage("x"), AIMessage("y", additional_kwargs={STATE: state})])


def test_what_another_providers_model_said_for_itself_is_left_out_and_the_rest_is_read():
    anthropic = AIMessage(
        [
            {"type": "thinking", "thinking": "hm", "signature": "theirs"},
            {"type": "text", "text": "See: "},
            {"type": "tool_use", "id": "1", "name": "rows", "input": {}},
        ],
        tool_calls=[{"name": "rows", "args": {}, "id": "1"}],
        response_metadata={"model_provider": "anthropic"},
    )
    responses = AIMessage(
        [
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "theirs"},
            {"type": "text", "text": "3", "annotations": []},
        ],
        response_metadata={"model_provider": "openai"},
    )
    assert to_canonical([HumanMessage("?"), anthropic, ToolMessage("3", tool_call_id="1"), responses]) == (
        Message.user("?"),
        Message("assistant", (Text("See: "), ToolCall("1", "rows", {}, "{}"))),
        Message("tool", (ToolResult("1", "", (Text("3"),)),)),
        Message.assistant("3"),
    )


def test_a_call_that_nobody_could_read_is_kept_as_it_was_written():
    message = AIMessage("", invalid_tool_calls=[{"name": "rows", "args": '{"a', "id": "1", "error": None}])
    assert to_canonical([message])[0].parts == (ToolCall("1", "rows", None, '{"a'),)


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"type": "image_url", "image_url": "https://x.org/a"}, Image("image/*", url="https://x.org/a")),
        ({"type": "image", "base64": "QUJD", "mime_type": "image/png"}, Image("image/png", "QUJD")),
        ({"type": "image", "url": "https://x.org/a"}, Image("image/*", url="https://x.org/a")),
        ({"type": "image", "url": "data:image/png;base64,QUJD"}, Image("image/png", "QUJD")),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}, Image("image/png", "QUJD")),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}},
            Image("image/png", "QUJD"),
        ),
        ({"type": "file", "base64": "QUJD", "mime_type": "application/pdf"}, Document("application/pdf", data="QUJD")),
        (
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}},
            Document("application/pdf", "a.pdf", data="QUJD"),
        ),
        ({"type": "text-plain", "text": "said", "mime_type": "text/plain"}, Text("said")),
    ],
)
def test_media_are_read_in_each_form_that_langchain_knows(block, part):
    assert to_canonical([HumanMessage([block])]) == (Message("user", (part,)),)


@pytest.mark.parametrize(
    ("block", "kind"),
    [
        ({"type": "audio", "base64": "QUJD", "mime_type": "audio/wav"}, "audio"),
        ({"type": "image", "file_id": "file-1"}, "image"),
        ({"type": "search_result", "title": "x"}, "search_result"),
    ],
)
def test_what_canonical_parts_cannot_hold_is_told_by_its_place(block, kind):
    with pytest.raises(ConfigError, match=rf"messages\[0\]\.content: a part of type '{kind}' is unknown"):
        to_canonical([HumanMessage([{"type": "text", "text": "x"}, block])])


def test_parts_that_langchain_itself_cannot_read_are_told_by_their_place():
    unread = {"type": "file", "source_type": "text", "mime_type": "text/plain", "text": "x"}
    with pytest.raises(ConfigError, match=r"messages\[1\]\.content: LangChain cannot read its parts, KeyError: 'url'"):
        to_canonical([HumanMessage("x"), HumanMessage([unread])])


@pytest.mark.parametrize(
    "row",
    [
        {"type": "file", "name": "ä.txt"},
        {"type": "file", "file_id": "f"},
        {"type": "file", "url": 5},
        {"type": "file", "url": "/docs/a.txt"},
        {"type": "image", "url": "cat.png"},
        {"type": "image", "base64": "a cat"},
        {"type": "image_url", "image_url": "cat.png"},
        {"type": "image_url", "image_url": 5},
        {"type": "audio", "title": "Song"},
        {"type": "video", "url": "https://x.org/a"},
        {"type": "reasoning", "x": 1},
        {"type": "tool_call", "name": "rain", "args": {}, "id": "1"},
        {"type": "json", "json": 3},
        {"type": "text", "text": "hello", "price": 0},
        {"type": "text", "text": "hello", "id": "row-7"},
    ],
)
def test_data_that_a_tool_returned_is_shown_as_json_whatever_it_looks_like(row):
    """LangGraph takes a list of such dicts for parts of a message; rows of a table may look like them."""
    (read,) = to_canonical([ToolMessage([row, {"type": "text", "text": "two"}], tool_call_id="1")])
    assert read.parts == (ToolResult("1", "", (Text(json.dumps(row, ensure_ascii=False) + "\n"), Text("two"))),)


def test_media_that_a_tool_returned_are_carried_with_what_else_their_row_says():
    made_up = {"type": "text", "text": "see", "id": "lc_1", "annotations": []}
    image = {"type": "image", "base64": "QUJD\n", "mime_type": "image/png", "id": "lc_2", "size": 3}
    short = {"type": "image_url", "image_url": "https://x.org/a"}
    (read,) = to_canonical([ToolMessage([made_up, image, short], tool_call_id="1")])
    assert read.parts[0].content == (
        Text("see"),
        Image("image/png", "QUJD\n"),
        Text('{"size": 3}\n'),
        Image("image/*", url="https://x.org/a"),
    )


def test_sounds_and_films_that_a_tool_returned_are_told_by_their_place():
    media = {"type": "media", "mime_type": "audio/wav", "data": "QUJD"}
    for block in ({"type": "audio", "base64": "QUJD"}, media):
        with pytest.raises(ConfigError, match=rf"messages\[0\]\.content: a part of type '{block['type']}' is unknown"):
            to_canonical([ToolMessage([block], tool_call_id="1")])


@pytest.mark.parametrize(("role", "wanted"), [("user", "user"), ("assistant", "assistant"), ("developer", "system")])
def test_a_chat_message_is_of_the_role_it_names(role, wanted):
    (read,) = to_canonical([ChatMessage("x", role=role)])
    assert read == Message(wanted, (Text("x"),))


@pytest.mark.parametrize(("role", "told"), [("critic", "critic"), ("tool", "chat")])
def test_a_role_that_nobody_has_is_told(role, told):
    with pytest.raises(ConfigError, match=f"role '{told}' is unknown"):
        to_canonical([ChatMessage("x", role=role)])


def test_a_reply_tells_what_it_cost_and_who_served_it():
    usage = Usage(input=10, output=5, cached_input=4, reasoning=2, cache_write=3)
    reply = Reply("hi", "small", SIGNED, "small-2026", usage=usage, cost=Cost(0.25), run="r")
    message = ai_message(reply)
    assert message.usage_metadata == {
        "input_tokens": 10,
        "output_tokens": 5,
        "total_tokens": 15,
        "input_token_details": {"cache_read": 4, "cache_creation": 3},
        "output_token_details": {"reasoning": 2},
    }
    assert message.response_metadata == {
        "model_name": "small-2026",
        "finish_reason": "stop",
        "orchestra": {"model": "small", "cost": 0.25, "usage": None, "run": "r", "degraded": False, "refused": []},
    }


def test_a_reply_of_which_nobody_counted_the_tokens_tells_none():
    message = ai_message(Reply("hi", "small", Message.assistant("hi")))
    assert message.usage_metadata is None
    assert message.response_metadata["model_name"] == "small"


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
@pytest.mark.parametrize("kept", [list, through_a_checkpoint, through_a_dump])
@pytest.mark.parametrize(
    "parts",
    [
        (Reasoning("hm", ORIGIN, "signature"), Text("```json\n", ORIGIN), Text("{'n': 4}\n```", ORIGIN, "signed")),
        (Image("image/png", "QUJD", origin=ORIGIN), Text("{'n': 4}", ORIGIN, "signed")),
    ],
)
def test_a_structured_answer_shows_its_json_and_comes_back_as_it_was_written(kept, parts):
    said = Message("assistant", parts)
    reply = Reply("".join(one.text for one in parts if isinstance(one, Text)), "small", said, output={"n": 4})
    (message,) = kept([ai_message(reply)])
    assert (message.text, to_canonical([message])) == ('{"n": 4}', (said,))
    message.content = "5"
    assert Text("5") in to_canonical([message])[0].parts
