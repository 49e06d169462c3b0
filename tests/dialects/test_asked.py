"""What all dialects share of a request: it is cut once, and what was left out is noted."""

import json
from dataclasses import replace

import pytest

from orchestra.dialects import CODECS, output_bound
from orchestra.dialects.asked import asked
from orchestra.dialects.features import FEATURES
from orchestra.fleet.known import CARDS
from orchestra.types import (
    Capabilities,
    Document,
    Image,
    Message,
    ModelCard,
    Request,
    Settings,
    Text,
    ToolCall,
    ToolResult,
    ToolSpec,
)

LOOK = ToolSpec("look", "Look", {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]})
PLAIN = Request((Message.user("hi"),))


def card(dialect: str, provider: str = "", **capabilities: object) -> ModelCard:
    own = {"openai-chat": "openai"}.get(dialect, dialect)
    return ModelCard("mine", "m", provider or own, dialect, "efficient", capabilities=Capabilities(**capabilities))


@pytest.mark.parametrize("dialect", FEATURES)
def test_a_tool_is_strict_only_where_the_dialect_and_the_model_can_be_held_to_a_schema(dialect: str) -> None:
    request = replace(PLAIN, tools=(LOOK,))
    held = asked(request, card(dialect)).compiled["look"]
    assert held.strict == FEATURES[dialect].strict
    assert not asked(request, card(dialect, structured_output=False)).compiled["look"].strict


@pytest.mark.parametrize("dialect", FEATURES)
def test_what_is_asked_in_vain_is_noted_once_and_nothing_else_is(dialect: str) -> None:
    full = replace(PLAIN, temperature=0.5, seed=1, settings=Settings(max_tokens=10**9, reasoning_effort="low"))
    said = asked(full, card(dialect, temperature=False))
    assert (said.parameters.temperature, said.parameters.reasoning_effort, said.parameters.max_tokens) == (
        None,
        None,
        4096,
    )
    assert len({note.split()[0] for note in said.notes}) == len(said.notes)
    assert {"temperature", "max_tokens", "reasoning_effort"} <= {note.split()[0] for note in said.notes}
    assert asked(PLAIN, card(dialect)).notes == ()


@pytest.mark.parametrize("dialect", FEATURES)
def test_extra_objects_are_merged_and_never_replace_what_the_request_says(dialect: str) -> None:
    said = asked(replace(PLAIN, extra={f"{dialect}.a": {"b": 1, "c": 2}, f"{dialect}.d": 3, "x.y": 4}), card(dialect))
    body, notes = said.completed({"a": {"b": 0}})
    assert body == {"a": {"b": 0, "c": 2}, "d": 3}
    assert any("'a.b' left out: the request itself sets it" in note for note in notes)
    assert any("'x.y'" in note for note in notes)


def cut(dialect: str, **fields: object):
    """What is left of a setting, and the notes on it."""
    said = asked(replace(PLAIN, **fields), card(dialect))
    return said, said.notes


@pytest.mark.parametrize(
    ("dialect", "most"), [("openai-chat", 2), ("gemini", 2), ("bedrock-converse", 1), ("mistral", 1.5), ("cohere", 2)]
)
def test_a_temperature_above_what_a_dialect_takes_is_lowered_with_a_note(dialect: str, most: float) -> None:
    said, notes = cut(dialect, temperature=2)
    assert said.parameters.temperature == most
    assert notes == (
        () if most == 2 else (f"temperature 2 lowered to {most:g}, the most {FEATURES[dialect].title} takes",)
    )


@pytest.mark.parametrize(
    ("dialect", "seed", "kept"),
    [
        ("openai-chat", -1, True),
        ("openai-chat", 2**63, False),
        ("gemini", -1, True),
        ("gemini", 2**31, False),
        ("mistral", -1, False),
        ("mistral", 0, True),
        ("cohere", -1, False),
        ("cohere", 2**63, True),
    ],
)
def test_a_seed_that_a_dialect_refuses_is_left_out_with_a_note(dialect: str, seed: int, kept: bool) -> None:
    said, notes = cut(dialect, seed=seed)
    assert said.parameters.seed == (seed if kept else None)
    assert [note.startswith(f"seed {seed} left out: {FEATURES[dialect].title} takes ") for note in notes] == [True] * (
        not kept
    )


@pytest.mark.parametrize("dialect", FEATURES)
def test_a_model_that_refuses_stop_sequences_gets_none_and_whoever_asked_is_told(dialect: str) -> None:
    wanted = replace(PLAIN, stop=("END", "\n\n"))
    said, title = asked(wanted, card(dialect, stop=False)), FEATURES[dialect].title
    who = "mine" if FEATURES[dialect].stop else title
    assert said.parameters.stop == ()
    assert said.notes == (f"stop: 2 of 2 left out: {who} takes none, the text may go on behind them",)
    assert asked(wanted, card(dialect)).parameters.stop == (wanted.stop if FEATURES[dialect].stop else ())


@pytest.mark.parametrize("model", CARDS)
def test_the_built_in_models_are_sent_what_they_do_not_refuse(model: str) -> None:
    said = asked(replace(PLAIN, stop=("END",), temperature=0.5), CARDS[model])
    refused = model.startswith("gpt-5")
    assert said.parameters.stop == (() if refused else ("END",))
    assert [note.split(":")[0] for note in said.notes if "stop" in note] == ["stop"] * refused
    assert (said.parameters.temperature is None) == (refused or model.startswith("claude"))


def test_a_number_is_said_as_it_was_given_whichever_equal_one_was_asked_for_before() -> None:
    model = card("openai-chat")
    wanted = (1, 1.0, 1, -0.0, 0.0, 0)
    said = [asked(replace(PLAIN, temperature=given), model).parameters.temperature for given in wanted]
    assert list(map(repr, said)) == ["1", "1.0", "1", "0.0", "0.0", "0"]


@pytest.mark.parametrize("dialect", FEATURES)
def test_the_output_tokens_are_those_that_can_be_asked_for(dialect: str) -> None:
    least = FEATURES[dialect].least_tokens
    for most in (1, 15, 16, 4096, 5000):
        said, notes = cut(dialect, settings=Settings(max_tokens=most))
        assert said.parameters.max_tokens == output_bound(most, card(dialect)) == max(least, min(most, 4096))
        assert bool(notes) == (said.parameters.max_tokens != most)
    assert output_bound(None, card(dialect)) == 4096
    assert FEATURES["openai-responses"].least_tokens == 16


PNG, TIFF = Image("image/png", data="QUJD"), Image("image/tiff", data="QUJD")
PDF, ZIP = Document("application/pdf", "a.pdf", data="QUJD"), Document("application/zip", "z", data="QUJD")
CALLED = Message("assistant", (ToolCall("c", "look", {"a": "b"}),))


@pytest.mark.parametrize("in_result", [False, True])
@pytest.mark.parametrize("dialect", FEATURES)
def test_media_of_a_type_that_a_dialect_does_not_take_become_a_line_with_a_note(dialect: str, in_result: bool) -> None:
    shown = (Text("see"), PNG, TIFF, PDF, ZIP)
    turns = (CALLED, Message("tool", (ToolResult("c", "look", shown),))) if in_result else (Message("user", shown),)
    said = asked(Request(turns, tools=(LOOK,)), card(dialect, images=True, documents=True))
    parts = [part for message in said.messages for part in message.parts]
    parts += [one for part in parts if isinstance(part, ToolResult) for one in part.content]
    title = FEATURES[dialect].title
    assert PNG in parts
    assert TIFF not in parts
    assert f"image left out: {title} takes no image/tiff" in said.notes
    assert any(
        isinstance(part, Text) and part.text == f"[image left out: {title} takes no image/tiff]" for part in parts
    )
    assert ZIP not in parts
    assert (PDF in parts) == bool(FEATURES[dialect].documents)


def test_a_type_that_is_taken_in_messages_may_not_be_in_results() -> None:
    sound = Document("audio/mp3", "a", data="QUJD")
    turns = (Message("user", (Text("hear"), sound)), CALLED, Message("tool", (ToolResult("c", "look", (sound,)),)))
    said = asked(Request(turns, tools=(LOOK,)), card("gemini", documents=True))
    assert said.messages[0].parts[1] == sound
    assert said.notes == ("document a left out: Gemini generateContent takes no audio/mp3 in a result",)


@pytest.mark.parametrize("dialect", [name for name, each in FEATURES.items() if "url" in each.images])
def test_an_address_of_an_image_is_sent_although_nobody_said_of_which_type(dialect: str) -> None:
    address, bare = Image("image/*", url="https://x/y"), Image("image/*", data="QUJD")
    request = Request((Message("user", (Text("see"), address, bare)),))
    said = asked(request, card(dialect, images=True))
    assert said.messages[0].parts[1] == address
    assert said.notes == (f"image left out: {FEATURES[dialect].title} takes no image/*",)


def test_gemini_finds_out_itself_of_which_type_an_address_is() -> None:
    shown = Request((Message("user", (Image("image/*", url="https://x/y"),)),))
    body = json.loads(CODECS["gemini"].encode(shown, card("gemini", images=True)).body)
    assert body["contents"][0]["parts"] == [{"fileData": {"fileUri": "https://x/y"}}]


@pytest.mark.parametrize("written", ["image/jpg", "IMAGE/JPEG", "image/jpeg; q=1"])
def test_a_media_type_is_sent_by_its_registered_name(written: str) -> None:
    said = asked(Request((Message("user", (Image(written, data="QUJD"),)),)), card("anthropic", images=True))
    assert said.messages[0].parts == (Image("image/jpeg", data="QUJD"),)
