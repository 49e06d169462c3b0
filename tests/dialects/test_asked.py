"""What all dialects share of a request: it is cut once, and what was left out is noted."""

from dataclasses import replace

import pytest

from orchestra.dialects.asked import asked
from orchestra.dialects.features import FEATURES
from orchestra.types import Capabilities, Message, ModelCard, Request, Settings, ToolSpec

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
    assert (said.temperature, said.reasoning_effort, said.max_tokens) == (None, None, 4096)
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
