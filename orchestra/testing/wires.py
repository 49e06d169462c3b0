"""Every dialect that the fake provider speaks, each at its own base_url."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from orchestra.testing.anthropic_wire import AnthropicWire
from orchestra.testing.bedrock_wire import BedrockWire
from orchestra.testing.chat_wire import ChatWire
from orchestra.testing.cohere_wire import CohereWire
from orchestra.testing.gemini_wire import GeminiWire
from orchestra.testing.mistral_wire import MistralWire
from orchestra.testing.responses_wire import ResponsesWire
from orchestra.testing.wire import Wire

WIRES: Mapping[str, Wire] = MappingProxyType(
    {
        each.dialect: each
        for each in (
            ChatWire(),
            ResponsesWire(),
            AnthropicWire(),
            GeminiWire(),
            BedrockWire(),
            MistralWire(),
            CohereWire(),
        )
    }
)


def wire(dialect: str) -> Wire:
    """A dialect's wire. Raises ValueError naming the known ones."""
    if found := WIRES.get(dialect):
        return found
    near = get_close_matches(dialect, WIRES, 1, 0.4)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"FakeProvider speaks no {dialect!r}; known: {', '.join(WIRES)}{hint}")


def addressed(path: str, body: Mapping[str, Any]) -> tuple[Wire, str, str] | None:
    """The wire that serves a path, the path below its prefix, and the model that is asked for."""
    for each in WIRES.values():
        below = path.removeprefix(each.prefix)
        if path.startswith(each.prefix) and (model := each.model(below, body)) is not None:
            return each, below, model
    return None
