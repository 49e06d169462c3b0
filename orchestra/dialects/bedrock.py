"""Amazon Bedrock's Converse: the codec and how a request is written, after the service model of botocore 1.44."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import quote

from orchestra.dialects.anthropic_schema import answer_schema
from orchestra.dialects.asked import Asked, in_sections
from orchestra.dialects.bedrock_turns import Turns
from orchestra.dialects.codec import Spelled
from orchestra.dialects.loose import json_text
from orchestra.types import ModelCard


def spelled(said: Asked) -> Spelled:
    """The request as Converse wants it; the model stands in the path, percent-encoded.

    An extra parameter that is no member of Converse's own (`bedrock.top_k`) is one of `additionalModelRequestFields`.
    Signing requests that carry no API key is the transport's business.
    """
    notes: list[str] = []
    said, schema = _answered(said, notes)
    stream = said.card.capabilities.streaming
    path = f"/model/{quote(said.card.model, safe='')}/converse{'-stream' if stream else ''}"
    body = _body(said, schema, notes)
    placed = said._replace(extra=in_sections(said.extra, _section, notes))
    return Spelled(placed, path, body, stream, tuple(notes))


def _body(said: Asked, schema: Mapping[str, Any] | None, notes: list[str]) -> dict[str, Any]:
    """The sections in the order in which people read them; what is lowered, renamed or left out goes into `notes`."""
    turns = Turns(said, notes)
    sections = {
        "system": turns.system,
        "messages": turns.messages,
        "inferenceConfig": _inference(said),
        "toolConfig": _tools(said),
        "outputConfig": _output(said, schema),
        "additionalModelRequestFields": _fields(said, notes),
    }
    return {name: section for name, section in sections.items() if section}


def _answered(said: Asked, notes: list[str]) -> tuple[Asked, Mapping[str, Any] | None]:
    """The schema of the answer as it can be enforced (the same subset as at Anthropic); in the prompt where it cannot.

    An object without `additionalProperties: false` would be a 400.
    """
    if said.output_schema is None:
        return said, None
    schema, rest = answer_schema(said.output_schema)
    if schema is None:
        return said.in_prompt(f"{rest} cannot be enforced"), None
    if rest:
        notes.append(f"output_schema: {rest} stands in descriptions and is not enforced")
    return said, schema


def _inference(said: Asked) -> dict[str, Any]:
    given = said.parameters
    wanted = {
        "maxTokens": given.max_tokens,
        "temperature": given.temperature,
        "stopSequences": list(given.stop) or None,
    }
    return {name: value for name, value in wanted.items() if value is not None}


def _tools(said: Asked) -> dict[str, Any]:
    if not said.compiled:
        return {}
    tools = [tool.declaration for tool in said.compiled.values()]
    return {"tools": tools} | ({"toolChoice": {"any": {}}} if said.tool_choice == "required" else {})


def _output(said: Asked, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    sections: dict[str, Any] = {}
    if schema is not None:
        named = {"name": "reply", "schema": json_text(schema)}
        sections["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": named}}
    if said.parameters.reasoning_effort is not None and _own_effort(said.card) is None:
        sections["effort"] = said.parameters.reasoning_effort
    return sections


def _fields(said: Asked, notes: list[str]) -> dict[str, Any]:
    """The effort of a family that has a field of its own for it."""
    effort, own = said.parameters.reasoning_effort, _own_effort(said.card)
    if effort is None or own is None:
        return {}
    if own is _nova and effort == "high" and said.parameters.max_tokens is not None:
        notes.append("reasoning_effort high lowered to medium: with high, Nova takes no max_tokens")
        effort = "medium"
    return own(effort)


Effort: TypeAlias = Callable[[str], dict[str, Any]]


def _own_effort(card: ModelCard) -> Effort | None:
    return next((own for family, own in _EFFORTS if family.search(card.model)), None)


def _flat(effort: str) -> dict[str, Any]:
    return {"reasoning_effort": effort}


def _nested(effort: str) -> dict[str, Any]:
    return {"reasoning": {"effort": effort}}


def _nova(effort: str) -> dict[str, Any]:
    return {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": effort}}


# Everyone else reads Converse's own `outputConfig.effort`.
_EFFORTS: tuple[tuple[re.Pattern[str], Effort], ...] = (
    (re.compile(r"openai\.gpt-oss|moonshot"), _flat),
    (re.compile(r"openai\."), _nested),
    (re.compile(r"amazon\.nova"), _nova),
)

# Of botocore's ConverseRequest, and of its inferenceConfig.
_MEMBERS = frozenset(
    {"messages", "system", "inferenceConfig", "toolConfig", "guardrailConfig", "additionalModelRequestFields"}
    | {"promptVariables", "additionalModelResponseFieldPaths", "requestMetadata", "performanceConfig", "serviceTier"}
    | {"outputConfig"}
)
_INFERENCE = frozenset({"maxTokens", "temperature", "topP", "stopSequences"})


def _section(name: str) -> str | None:
    """Where an extra parameter belongs."""
    if name in _MEMBERS:
        return None
    return "inferenceConfig" if name in _INFERENCE else "additionalModelRequestFields"
