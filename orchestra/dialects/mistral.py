"""Mistral's chat completions: OpenAI's shape with an order of roles, ids, chunks and names of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from orchestra.dialects.asked import Asked
from orchestra.dialects.codec import Spelled
from orchestra.dialects.history import AMID, CONTINUE, amid
from orchestra.dialects.loose import json_text
from orchestra.dialects.texts import failed
from orchestra.types import (
    Document,
    Image,
    Message,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)
from orchestra.types.message import apart


def spelled(said: Asked) -> Spelled:
    """The request as Mistral wants it.

    Types: mistralai 3.7, `ChatCompletionRequest`; order of roles: mistral-common's validator.
    """
    card, stream = said.card, said.card.capabilities.streaming
    notes: list[str] = []
    turns = _in_order(said.messages, notes)
    messages = [item for message in turns for item in _message(message, said)]
    if messages[-1]["role"] == "assistant":
        messages[-1]["prefix"] = True
        notes.append("the last turn is the assistant's: Mistral goes on with it")
    body = {"model": card.model, "messages": messages} | _tools(said) | _settings(said) | {"stream": stream}
    return Spelled(said, _path(card.base_url or ""), body, stream, tuple(notes))


def _path(base_url: str) -> str:
    """Mistral's SDK takes the bare host; OpenAI's, which many use with Mistral, takes it with /v1."""
    return "/chat/completions" if base_url.partition("?")[0].rstrip("/").endswith("/v1") else "/v1/chat/completions"


def _tools(said: Asked) -> dict[str, Any]:
    if not said.compiled:
        return {}
    section: dict[str, Any] = {"tools": said.declared()}
    if said.tool_choice != "auto":
        section["tool_choice"] = "any" if said.tool_choice == "required" else said.tool_choice
    return section if said.parallel_tools is None else section | {"parallel_tool_calls": said.parallel_tools}


def _settings(said: Asked) -> dict[str, Any]:
    schema, given = said.output_schema, said.parameters
    wanted = {
        "response_format": schema and {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}},
        "max_tokens": given.max_tokens,
        "reasoning_effort": given.reasoning_effort,
        "temperature": given.temperature,
        "random_seed": given.seed,
        "stop": list(given.stop) or None,
        "logprobs": given.logprobs or None,
    }
    return {name: value for name, value in wanted.items() if value is not None}


_BRIDGE = "Understood."


def _in_order(messages: Sequence[Message], notes: list[str]) -> list[Message]:
    """The messages in an order of roles that Mistral takes.

    After results only the assistant may speak, after the assistant no system message may stand, and none may be last
    (mistral-common, `MistralRequestValidator`; elsewhere: 400, code 3230).
    """
    result: list[Message] = []
    end = max((place for place, message in enumerate(messages) if message.role != "system"), default=-1)
    for place, said in enumerate(messages):
        before = result[-1].role if result else ""
        moved = said.role == "system" and (before in ("assistant", "tool") or place > end >= 0)
        message = amid(said) if moved else said
        notes += [AMID] * moved
        if message.role == "user" and before == "tool":
            result.append(Message.assistant(_BRIDGE))
            notes.append(f"a turn {_BRIDGE!r} stands before the user's: Mistral takes none right after results")
        result.append(message)
    if end < 0:
        result.append(Message.user(CONTINUE))
        notes.append(f"{CONTINUE!r} put last: Mistral Chat wants a user's turn there")
    return result


def _message(message: Message, said: Asked) -> list[dict[str, Any]]:
    if message.role == "tool":
        return [_result(part, said) for part in message.parts if isinstance(part, ToolResult)]
    if message.role == "assistant":
        return [_assistant(message, said)]
    return [{"role": message.role, "content": _content(message.parts)}]


def _assistant(message: Message, said: Asked) -> dict[str, Any]:
    """What was thought goes back with its signature: a model that is shown less of it does worse, as Mistral says."""
    item: dict[str, Any] = {"role": "assistant", "content": _spoken(message)}
    if calls := [_call(part, said) for part in message.parts if isinstance(part, ToolCall)]:
        item["tool_calls"] = calls
    return item


def _call(call: ToolCall, said: Asked) -> dict[str, Any]:
    function = {"name": said.names[call.name], "arguments": json_text(said.arguments(call))}
    return {"id": said.ids[call.id], "type": "function", "function": function}


def _result(result: ToolResult, said: Asked) -> dict[str, Any]:
    parts = failed(result.content) if result.is_error else result.content
    return {"role": "tool", "tool_call_id": said.ids[result.call_id], "content": _content(parts)}


def _spoken(message: Message) -> str | list[dict[str, Any]]:
    """Texts of the model are pieces of one."""
    if any(isinstance(part, Image | Document | Reasoning) for part in message.parts):
        return _content(message.parts)
    return message.text


def _content(parts: Iterable[Part]) -> str | list[dict[str, Any]]:
    said = [part for part in parts if isinstance(part, Text | Image | Document | Reasoning)]
    if len(said) < 2 and all(isinstance(part, Text) for part in said):
        return apart(said)
    return [_chunk(part) for part in said]


def _chunk(part: Text | Image | Document | Reasoning) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, Reasoning):
        signature = {} if part.provider_state is None else {"signature": part.provider_state}
        thought = [{"type": "text", "text": part.text}] if part.text else []
        return {"type": "thinking", "thinking": thought, **signature}
    url = part.url or f"data:{part.media_type};base64,{part.data}"
    if isinstance(part, Image):
        return {"type": "image_url", "image_url": url}
    return {"type": "document_url", "document_url": url} | ({"document_name": part.name} if part.name else {})
