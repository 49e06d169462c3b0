"""The framework's messages and canonical ones: what our models wrote comes back byte for byte."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_ai import Agent
from pydantic_ai.messages import (
    AudioUrl,
    BinaryContent,
    CachePoint,
    DocumentUrl,
    ImageUrl,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    NativeToolCallPart,
    RetryFeedbackPart,
    RetryInfo,
    SystemPromptPart,
    TextContent,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters

from orchestra.errors import ConfigError
from orchestra.integrations.pydantic_ai import OrchestraModel
from orchestra.integrations.pydantic_ai_messages import failures, from_messages, to_parts
from orchestra.testing import CallTool, FakeProvider, Say, ScriptedModel, scripted_app
from orchestra.types import Document, Image, Message, Origin, Reasoning, Text, ToolCall, ToolResult
from tests.app.doubles import LOW
from tests.integrations.fleets import SEALED, spoken
from tests.integrations.pydantic_ai.doubles import ASKED, rain_tool, stock

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
KEPT = st.just({}) | st.fixed_dictionaries(
    {"origin": st.builds(Origin, TEXT, TEXT, TEXT), "provider_state": st.none() | TEXT}
)
ARGUMENTS = st.dictionaries(TEXT, st.integers() | TEXT | st.none(), max_size=3)
PARTS = st.one_of(
    st.builds(lambda text, kept: Text(text, **kept), TEXT, KEPT),
    st.builds(lambda text, kept: Reasoning(text, **kept), TEXT, KEPT),
    st.builds(
        lambda number, name, arguments, kept: ToolCall(
            f"call_{number}", name, arguments, json.dumps(arguments), **kept
        ),
        st.integers(0, 10**6),
        TEXT,
        ARGUMENTS,
        KEPT,
    ),
)


@given(st.lists(PARTS, min_size=1, max_size=6))
def test_what_a_model_wrote_survives_the_frameworks_messages_and_json(parts):
    message = Message("assistant", tuple(parts))
    stored = ModelMessagesTypeAdapter.dump_json([ModelResponse(parts=to_parts(message))])
    assert from_messages(ModelMessagesTypeAdapter.validate_json(stored)) == (message,)


def test_arguments_that_were_mended_are_told_as_they_were_meant():
    (part,) = to_parts(Message("assistant", (ToolCall("call_1", "rain", {"city": "Oslo"}, '{"city": "Oslo",}'),)))
    assert part.args_as_dict() == {"city": "Oslo"}


def test_parts_that_the_framework_cannot_say_are_left_out():
    assert to_parts(Message("assistant", (Image("image/png", url="https://x.test/a.png"),))) == []


def test_history_that_another_providers_model_wrote_is_read():
    image = BinaryContent(b"\x00\x00\x00", media_type="image/png")
    content: list[Any] = [
        "What is this?",
        TextContent(content="And that?"),
        "",
        ImageUrl(url="https://x.test/a.png"),
        image,
        DocumentUrl(url="https://x.test/b.pdf"),
        BinaryContent(b"\x00\x00\x00", media_type="application/pdf", identifier="c"),
        CachePoint(),
    ]
    history = [
        ModelRequest(parts=[SystemPromptPart(content="Be brief."), UserPromptPart(content=content)]),
        ModelResponse(
            parts=[
                ThinkingPart(content="hmm", signature="x", provider_name="anthropic"),
                TextPart(content=""),
                ToolCallPart("look", {"at": 1}, "c1"),
                ToolCallPart("look", "no json", "c2"),
                NativeToolCallPart("web_search", {}, "c3"),
            ]
        ),
        ModelRequest(
            parts=[
                ToolReturnPart("look", ["a cat", image], "c1"),
                ToolReturnPart("look", "too dark", "c2", outcome="failed"),
                UserPromptPart(content="Go on."),
            ]
        ),
    ]
    png, pdf = Image("image/png", data="AAAA"), Document("application/pdf", "c", data="AAAA")
    urls = Image("image/png", url="https://x.test/a.png"), Document("application/pdf", url="https://x.test/b.pdf")
    assert from_messages(history, ["Be kind.", ""]) == (
        Message("system", (Text("Be brief."),)),
        Message("system", (Text("Be kind."),)),
        Message("user", (Text("What is this?"), Text("And that?"), urls[0], png, urls[1], pdf)),
        Message(
            "assistant",
            (
                Reasoning("hmm"),
                ToolCall("c1", "look", {"at": 1}, '{"at": 1}'),
                ToolCall("c2", "look", None, "no json"),
            ),
        ),
        Message(
            "tool",
            (
                ToolResult("c1", "look", (Text("a cat"), png)),
                ToolResult("c2", "look", (Text("too dark"),), is_error=True),
            ),
        ),
        Message("user", (Text("Go on."),)),
    )


def test_results_alone_are_refused_for_no_model_would_be_shown_them():
    cut = [ModelRequest([SystemPromptPart("Be brief."), ToolReturnPart("rain", "800 mm", "1")])]
    with pytest.raises(ConfigError, match="results of tools, and nothing of what led to them; where a history proc"):
        from_messages(cut, ["Answer."])


def test_instructions_alone_stand_before_a_history_of_system_prompts():
    history = [ModelRequest(parts=[SystemPromptPart(content="Be brief.")])]
    assert [one.text for one in from_messages(history, ["Be kind."])] == ["Be brief.", "Be kind."]


@pytest.mark.parametrize(
    "media", ["text/csv", "text/plain; charset=utf-8", "application/json", "application/yaml", "image/svg+xml"]
)
async def test_a_file_of_text_is_told_to_every_model_as_the_framework_tells_it(media):
    file = BinaryContent("Zürich,1100".encode(), media_type=media, identifier="f1")
    small = ScriptedModel("small", [CallTool("look"), "wet"])
    agent = Agent(OrchestraModel(scripted_app(small), "look"))
    agent.tool_plain(lambda: file, name="look")
    await agent.run(["How wet?", file])
    async with FakeProvider({"stock": "wet"}) as provider, stock(provider, "stock") as model:
        await Agent(model).run(["How wet?", file])
        told = provider.requests[0].body["messages"][0]["content"][1]["text"]
    assert "Zürich,1100" in told
    asked, _, returned = small.requests[1]["messages"]
    assert told in asked["content"]
    assert told in returned["content"]


@pytest.mark.parametrize(
    ("media", "encoding"),
    [
        ("text/plain; charset=utf-16", "utf-16"),
        ("text/csv; header=present; charset=ISO-8859-1", "latin-1"),
        ('text/csv; Charset="ISO-8859-1"', "latin-1"),
        ("text/plain", "utf-8-sig"),
        ("text/plain; charset=klingon", "utf-8"),
        ("text/plain; charset=base64", "utf-8"),
        ("text/plain; charset=idna", "utf-8"),
        ("Text/CSV", "utf-8"),
        ("application/JSON", "utf-8"),
        ("application/jsonl", "utf-8"),
        ("application/x-ndjson", "utf-8"),
    ],
)
def test_a_file_of_text_is_read_in_its_own_encoding(media, encoding):
    file = BinaryContent("Zürich,1100".encode(encoding), media_type=media, identifier="f1")
    ((told,),) = (one.parts for one in from_messages([ModelRequest(parts=[UserPromptPart(content=[file])])]))
    assert "\nZürich,1100\n" in told.text


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (UserPromptPart(content=[AudioUrl(url="https://x.test/a.mp3")]), "a AudioUrl cannot be shown to every model"),
        (UserPromptPart(content=[BinaryContent(b"x", media_type="audio/mpeg")]), "a BinaryContent cannot be shown"),
        (RetryFeedbackPart(content="no", retry=RetryInfo("model_retry")), "call model.prepare_messages"),
    ],
)
def test_what_not_every_model_can_read_is_refused_by_name(part, told):
    with pytest.raises(ConfigError, match=told):
        from_messages([ModelRequest(parts=[part])])


@pytest.mark.parametrize(
    "kept",
    [
        "x",
        {},
        {"origin": ["a", "b"], "state": None},
        {"origin": ["a", "b", "c"]},
        {"origin": ["a", "b", "c"], "state": {"x": 1}},
        {"origin": ["a", "b", "c"], "state": 7},
    ],
)
def test_state_that_somebody_has_changed_is_refused_with_its_place(kept):
    """A browser sends it along, where the framework's adapters for user interfaces keep it in its messages."""
    part = TextPart("hi", provider_name="orchestra", provider_details={"orchestra": kept})
    with pytest.raises(
        ConfigError, match=r"provider_details\['orchestra'\] of a TextPart is not what a model of yours"
    ):
        from_messages([ModelRequest.user_text_prompt("hi"), ModelResponse(parts=[part])])


@pytest.mark.parametrize("details", ["x", ["orchestra"]])
def test_provider_details_that_are_no_object_are_refused_with_their_place(details):
    part = TextPart("hi", provider_name="orchestra", provider_details=details)
    with pytest.raises(ConfigError, match=r"provider_details.* of a TextPart is not what a model of yours"):
        from_messages([ModelRequest.user_text_prompt("hi"), ModelResponse(parts=[part])])


RETRIED: list[tuple[Any, str]] = [
    (ToolReturnPart("f", "x", "c", outcome="retried", retry=RetryInfo("validation_error")), "schema_violation"),
    (ToolReturnPart("f", "x", "c", outcome="retried", retry=RetryInfo("unknown_tool")), "unknown_tool"),
    (ToolReturnPart("f", "x", "c", outcome="retried", retry=RetryInfo("unavailable_tool")), "unknown_tool"),
    (ToolReturnPart("f", "x", "c", outcome="retried", retry=RetryInfo("model_retry")), "tool_rejected"),
    (ToolReturnPart("f", "x", "c", outcome="retried"), "tool_rejected"),
    (ToolReturnPart("f", "x", "c", outcome="failed"), "tool_error"),
    (RetryFeedbackPart(content="x", retry=RetryInfo("validation_error")), "bad_output"),
    (RetryFeedbackPart(content="x", retry=RetryInfo("no_output")), "empty"),
    (RetryFeedbackPart(content="x", retry=RetryInfo("model_retry")), "judged_bad"),
]


@pytest.mark.parametrize(("part", "trigger"), RETRIED)
def test_what_was_sent_back_for_another_try_is_a_trigger(part, trigger):
    first = ModelRequest(parts=[UserPromptPart(content="hi")])
    answer = ModelResponse(parts=[TextPart(content="x")])
    (found,) = failures([first, answer, ModelRequest(parts=[part])])
    assert (found.trigger, "x" in found.evidence[0]) == (trigger, True)
    good = ModelRequest(parts=[ToolReturnPart("f", "fine", "c")])
    assert failures([first, answer, ModelRequest(parts=[part]), answer, good]) == []


async def test_a_history_that_ends_in_a_response_goes_on_where_the_failures_before_it_led():
    small, strong = ScriptedModel("small", []), ScriptedModel("strong", ["800 mm."], tier="capable")
    history: list[ModelMessage] = [ModelRequest(parts=[UserPromptPart(content=ASKED)])]
    for call in ("a", "b"):
        back = ToolReturnPart("rain", "no such city", call, outcome="retried", retry=RetryInfo("model_retry"))
        history += [ModelResponse(parts=[ToolCallPart("rain", {"city": "?"}, call)]), ModelRequest(parts=[back])]
    history.append(ModelResponse(parts=[TextPart(content="It is")]))
    model = OrchestraModel(scripted_app(small, strong, policies=[LOW]), "research")
    found = await model.request(model.prepare_messages(history), None, ModelRequestParameters())
    assert (found.text, found.model_name) == ("800 mm.", "strong")


@pytest.mark.parametrize("dialect", SEALED)
async def test_a_thought_goes_back_to_its_model_byte_for_byte_through_stored_messages(dialect, ran):
    thinks = Say(reasoning="hmm.", calls=(CallTool("rain", city="Oslo"),))
    async with spoken({dialect: [thinks, "800 mm."]}) as (provider, app):
        agent = Agent(OrchestraModel(app, dialect), instructions="Look it up.", tools=[rain_tool(ran)])
        first = await agent.run(ASKED)
        stored = ModelMessagesTypeAdapter.validate_json(first.all_messages_json())
        await agent.run("Sure?", message_history=stored)
    assert [SEALED[dialect] in json.dumps(one.body) for one in provider.requests] == [False, True, True]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("dialect", SEALED)
async def test_in_mid_thread_another_provider_takes_over_and_sees_no_foreign_thought(dialect, stream, ran):
    thinks = Say(reasoning="hmm.", calls=(CallTool("rain", city="Oslo"),))
    async with spoken({dialect: [thinks, "800 mm."], "mistral": "Yes."}) as (provider, app):
        agent = Agent(OrchestraModel(app, dialect), tools=[rain_tool(ran)])
        if stream:
            async with agent.run_stream(ASKED) as streamed:
                await streamed.get_output()
                history = streamed.all_messages()
        else:
            history = (await agent.run(ASKED)).all_messages()
        second = await agent.run("Sure?", message_history=history, model=OrchestraModel(app, "mistral"))
    assert (second.output, provider.count("mistral")) == ("Yes.", 1)
    said = json.dumps(provider.requests[-1].body)
    assert ("hmm." in said, "sealed" in said, "ignature" in said) == (False, False, False)
    assert "Oslo" in said
