"""The SDK's items and canonical messages: what our models wrote comes back byte for byte, and goes to nobody else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents import ModelResponse, Runner, SQLiteSession, Usage
from orchestra.errors import ConfigError
from orchestra.integrations.openai_agents import run_config
from orchestra.integrations.openai_agents_items import from_items, to_items
from orchestra.testing import CallTool, Say
from orchestra.types import Document, Image, Message, Origin, Reasoning, Text, ToolCall, ToolResult
from tests.integrations.fleets import SEALED, spoken
from tests.integrations.openai_agents.doubles import agent, rain_tool

TEXT = st.text(min_size=1, max_size=20)
KEPT = st.one_of(
    st.just({}),
    st.builds(
        lambda a, state: {"origin": Origin(a, "anthropic", "m"), "provider_state": state}, TEXT, st.none() | TEXT
    ),
)
ARGUMENTS = st.dictionaries(TEXT, st.integers() | TEXT | st.none(), max_size=3)
CALLS = st.builds(
    lambda number, name, arguments, kept: ToolCall(f"call_{number}", name, arguments, json.dumps(arguments), **kept),
    st.integers(0, 10**6),
    TEXT,
    ARGUMENTS,
    KEPT,
)
PARTS = st.one_of(
    st.builds(lambda text, kept: Text(text, **kept), TEXT, KEPT),
    st.builds(lambda text, kept: Reasoning(text, **kept), st.text(max_size=20), KEPT),
    CALLS,
)


@given(st.lists(PARTS, min_size=1, max_size=6))
def test_what_a_model_wrote_survives_the_sdks_items_and_json(parts):
    message = Message("assistant", tuple(parts))
    items = ModelResponse(output=to_items(message), usage=Usage(), response_id=None).to_input_items()
    assert from_items(json.loads(json.dumps(items))) == (message,)


def test_calls_under_ids_of_the_runs_own_come_back_under_those_that_their_models_gave():
    """Two agents' models have numbered their calls alike; a conversation that shows both has no id twice."""
    call = ToolCall("call_1", "rain", {"city": "Oslo"}, '{"city": "Oslo"}', Origin("a", "openai-chat", "m"))
    made = [to_items(Message("assistant", (call,)), mark)[0].model_dump() for mark in ("m1", "m2")]
    told = [{"type": "function_call_output", "call_id": one["call_id"], "output": one["call_id"]} for one in made]
    found = from_items([made[0], told[0], made[1], told[1]])
    assert [one["call_id"] for one in made] == ["call_1-m1", "call_1-m2"]
    assert [message.parts[0] for message in found] == [
        call,
        ToolResult("call_1", "rain", (Text("call_1-m1"),)),
        replace(call, id="call_1-m2"),
        ToolResult("call_1-m2", "rain", (Text("call_1-m2"),)),
    ]


def test_arguments_that_were_mended_are_told_as_they_were_meant():
    call = ToolCall("call_1", "rain", {"city": "Oslo"}, '{"city": "Oslo",}')
    (item,) = to_items(Message("assistant", (call,)))
    assert json.loads(item.arguments) == {"city": "Oslo"}


def test_parts_that_no_item_can_say_are_left_out():
    assert to_items(Message("assistant", (Image("image/png", url="https://x.test/a.png"),))) == []


CONVERSATION: list[Any] = [
    {"role": "developer", "content": "Be brief."},
    {
        "role": "user",
        "content": [
            {"type": "input_text", "text": "What is this?"},
            {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"},
            {"type": "input_image", "image_url": "https://x.test/a.png"},
            {"type": "input_file", "file_data": "data:application/pdf;base64,BBBB", "filename": "a.pdf"},
            {"type": "input_file", "file_url": "https://x.test/b.pdf"},
            {"type": "input_text", "text": ""},
        ],
    },
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hmm"}], "encrypted_content": "x"},
    {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"at": 1}', "id": "fc_1"},
    {"type": "function_call", "call_id": "c2", "name": "look", "arguments": "no json", "id": "fc_2"},
    {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "a cat"}]},
    {"type": "function_call_output", "call_id": "c2", "output": "The tool failed: too dark"},
    {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "refusal", "refusal": "I won't."}]},
    {"role": "assistant", "content": ""},
    {"role": "user", "content": "Go on."},
]


def test_history_that_another_providers_model_wrote_is_read():
    png = Image("image/png", data="AAAA"), Image("image/*", url="https://x.test/a.png")
    pdf = Document("application/pdf", "a.pdf", data="BBBB"), Document("application/pdf", url="https://x.test/b.pdf")
    calls = ToolCall("c1", "look", {"at": 1}, '{"at": 1}'), ToolCall("c2", "look", None, "no json")
    results = (
        ToolResult("c1", "look", (Text("a cat"),)),
        ToolResult("c2", "look", (Text("The tool failed: too dark"),), is_error=True),
    )
    assert from_items(CONVERSATION, "Be kind.") == (
        Message("system", (Text("Be kind."),)),
        Message("system", (Text("Be brief."),)),
        Message("user", (Text("What is this?"), *png, *pdf)),
        Message("assistant", (Reasoning("hmm"), *calls)),
        Message("tool", results),
        Message("assistant", (Text("I won't."),)),
        Message("user", (Text("Go on."),)),
    )


def test_messages_that_were_written_as_one_text_each_are_not_run_together():
    (reply,) = to_items(Message("assistant", (Text("I pass you on."),)))
    calls = [{"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"}]
    history: list[Any] = [{"role": "assistant", "content": said} for said in ("First.", "Second.")]
    assert from_items([*history, reply.model_dump(), *history, *calls]) == (
        Message("assistant", (Text("First."),)),
        Message("assistant", (Text("Second."),)),
        Message("assistant", (Text("I pass you on."),)),
        Message("assistant", (Text("First."),)),
        Message("assistant", (Text("Second."), ToolCall("c1", "look", {}, "{}"))),
    )


@pytest.mark.parametrize(
    ("name", "media"), [("a.pdf", "application/pdf"), ("a.csv", "text/csv"), (None, "application/pdf")]
)
def test_a_file_in_base64_alone_is_a_document_and_no_address(name, media):
    returned = {"type": "input_file", "file_data": "JVBERi0=", "filename": name}
    (message,) = from_items([{"type": "function_call_output", "call_id": "c1", "output": [returned]}])
    assert message.parts == (ToolResult("c1", "", (Document(media, name or "", data="JVBERi0="),)),)


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ({"type": "item_reference", "id": "x"}, "item of type 'item_reference'"),
        ({"type": "computer_call", "id": "x", "call_id": "c", "action": {}}, "item of type 'computer_call'"),
        ({"type": "function_call_output", "call_id": None, "output": "x"}, "item of type 'function_call_output'"),
        (
            {"role": "user", "content": [{"type": "input_image", "file_id": "f"}]},
            "part 'input_image' with",
        ),
        ({"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}, "part 'input_audio'"),
        ({"role": "critic", "content": "hi"}, "item of type 'critic'"),
    ],
)
def test_what_only_one_provider_can_read_is_refused_by_name(item, told):
    with pytest.raises(ConfigError, match=told):
        from_items([item])


@pytest.mark.parametrize(
    "kept",
    [
        "x",
        {},
        {"origin": ["a", "b"], "state": None},
        {"origin": ["a", "b", "c"], "state": None, "id": 7},
        {"origin": ["a", "b", "c"], "state": {"x": 1}},
        {"origin": ["a", "b", "c"], "state": 7},
    ],
)
def test_state_that_somebody_has_changed_is_refused_with_its_place(kept):
    call = {"type": "function_call", "call_id": "c", "name": "rain", "arguments": "{}"}
    with pytest.raises(
        ConfigError, match=r"provider_data\['orchestra'\] of an item of type 'function_call' is not what"
    ):
        from_items([call | {"provider_data": {"orchestra": kept}}])


@pytest.mark.parametrize("beside", ["x", ["orchestra"], 7])
def test_provider_data_that_is_no_object_is_refused_with_its_place(beside):
    with pytest.raises(ConfigError, match=r"provider_data.* of an item of type 'reasoning' is not what"):
        from_items([{"type": "reasoning", "summary": [], "provider_data": beside}])


@pytest.mark.parametrize("summary", [None, []])
def test_a_thought_without_a_summary_is_an_empty_one(summary):
    (message,) = from_items([{"type": "reasoning", "id": "rs_1", "summary": summary}])
    assert message.parts == (Reasoning(""),)


@pytest.mark.parametrize("dialect", SEALED)
async def test_a_thought_goes_back_to_its_model_byte_for_byte_through_a_session(dialect, tmp_path: Path, ran):
    thinks = Say(reasoning="hmm.", calls=(CallTool("rain", city="Oslo"),))
    session = SQLiteSession("s", tmp_path / "s.db")
    async with spoken({dialect: [thinks, "800 mm."]}) as (provider, app):
        await Runner.run(agent(rain_tool(ran), model=dialect), "Oslo?", run_config=run_config(app), session=session)
        await Runner.run(agent(rain_tool(ran), model=dialect), "Sure?", run_config=run_config(app), session=session)
    session.close()
    assert [SEALED[dialect] in json.dumps(one.body) for one in provider.requests] == [False, True, True]


@pytest.mark.parametrize("dialect", SEALED)
async def test_in_mid_thread_another_provider_takes_over_and_sees_no_foreign_thought(dialect, ran):
    thinks = Say(reasoning="hmm.", calls=(CallTool("rain", city="Oslo"),))
    async with spoken({dialect: [thinks, "800 mm."], "mistral": "Yes."}) as (provider, app):
        first = await Runner.run(agent(rain_tool(ran), model=dialect), "Oslo?", run_config=run_config(app))
        history = [*first.to_input_list(), {"role": "user", "content": "Sure?"}]
        second = await Runner.run(agent(rain_tool(ran), model="mistral"), history, run_config=run_config(app))
    assert (second.final_output, provider.count("mistral")) == ("Yes.", 1)
    said = json.dumps(provider.requests[-1].body)
    assert ("hmm." in said, "sealed" in said, "ignature" in said) == (False, False, False)
    assert "Oslo" in said
