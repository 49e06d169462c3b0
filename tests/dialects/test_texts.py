"""Several texts of one message or result do not run into each other; one alone, and what a model said, is as it was."""

import json
from collections.abc import Iterator

import pytest

from orchestra.dialects import CODECS
from orchestra.dialects.chat_profiles import PROFILES
from orchestra.dialects.features import FEATURES
from orchestra.dialects.texts import apart, failed
from orchestra.types import Capabilities, Image, Message, ModelCard, Request, Text, ToolCall, ToolResult, ToolSpec

LOOK = ToolSpec("look", "Look", {"type": "object", "properties": {}})
SERVED = [(each, each) for each in FEATURES if each != "openai-chat"]
SERVED += [("openai-chat", provider) for provider in ("acme", *PROFILES)]


def body(*messages: Message, dialect: str, provider: str, tools: str = "native") -> dict[str, object]:
    card = ModelCard("mine", "m", provider, dialect, "efficient", capabilities=Capabilities(tools=tools))
    return json.loads(CODECS[dialect].encode(Request(messages, tools=(LOOK,)), card).body)


def strings(value: object) -> Iterator[str]:
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from strings(one)
    elif isinstance(value, str):
        yield value


def talk(*texts: str) -> tuple[Message, ...]:
    """Each of them several times over: as the system, amid the conversation too, as the user, in results."""
    parts = tuple(map(Text, texts))
    calls = Message("assistant", (ToolCall("aaaaaaaa1", "look", {}), ToolCall("aaaaaaaa2", "look", {})))
    good, bad = ToolResult("aaaaaaaa1", "look", parts), ToolResult("aaaaaaaa2", "look", parts, is_error=True)
    results = Message("tool", (good, bad))
    return Message("system", parts), Message("user", parts), calls, results, Message("system", parts), Message.user("?")


@pytest.mark.parametrize("tools", ["native", "json"])
@pytest.mark.parametrize(("dialect", "provider"), SERVED)
def test_texts_of_one_message_or_result_do_not_run_into_each_other(dialect: str, provider: str, tools: str) -> None:
    said = [*strings(body(*talk('{"a": 1}', "what?"), dialect=dialect, provider=provider, tools=tools))]
    assert not [one for one in said if '{"a": 1}what?' in one]
    assert sum(one.count('{"a": 1}') for one in said) == sum(one.count("what?") for one in said) == 5


@pytest.mark.parametrize(("dialect", "provider"), SERVED)
def test_one_text_goes_out_as_it_is(dialect: str, provider: str) -> None:
    said = [*strings(body(*talk("alone"), dialect=dialect, provider=provider))]
    assert {one for one in said if "alone" in one} <= {"alone", "Error: alone", "<system>\nalone\n</system>"}
    assert ("Error: alone" in said) is not FEATURES[dialect].error_flag


@pytest.mark.parametrize(("dialect", "provider"), SERVED)
def test_what_a_model_said_in_pieces_goes_back_without_anything_between_them(dialect: str, provider: str) -> None:
    spoken = Message("assistant", (Text("one "), Text("sentence")))
    said = "".join(strings(body(Message.user("?"), spoken, Message.user("?"), dialect=dialect, provider=provider)))
    assert "one sentence" in said or (dialect != "openai-chat" and "one " in said and "sentence" in said)


@pytest.mark.parametrize(("provider", "several"), [("openai", True), ("azure", True), ("acme", False), ("groq", False)])
def test_a_server_that_is_not_known_to_read_several_texts_gets_one(provider: str, several: bool) -> None:
    pieces = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    sent = body(Message("user", (Text("a"), Text("b"))), dialect="openai-chat", provider=provider)
    assert sent["messages"] == [{"role": "user", "content": pieces if several else "a\nb"}]


def test_a_text_that_ends_its_line_gets_no_other_end() -> None:
    assert apart((Text("a\n"), Text("b"), Text("c"))) == "a\nb\nc"
    assert (apart((Text("a\n"),)), apart(())) == ("a\n", "")


def test_a_failure_is_said_in_the_first_text_or_before_what_is_none() -> None:
    shown = Image("image/png", data="QUJD")
    assert failed((Text("a"), shown)) == (Text("Error: a"), shown)
    assert failed((shown,)) == (Text("Error: "), shown)
    assert failed(()) == (Text("Error: "),)
