"""Cohere's v2 chat: OpenAI's tools, content and settings of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from orchestra.dialects.asked import Asked
from orchestra.dialects.codec import Spelled
from orchestra.dialects.cohere_reading import PLAN
from orchestra.dialects.history import AMID, amid
from orchestra.dialects.loose import json_text
from orchestra.dialects.texts import failed
from orchestra.types import (
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
    """The request as Cohere wants it. Types: cohere 7.3, `V2Client.chat_stream`."""
    said = _system_first(said)
    notes = (_NO_PLAN,) if any(map(_is_only_plan, said.messages)) else ()
    if said.output_schema is not None and said.compiled:
        said = said.in_prompt("Cohere takes no response_format beside tools")
    stream = said.card.capabilities.streaming
    body = {"model": said.card.model, "messages": _messages(said)} | _tools(said) | _settings(said)
    return Spelled(said, "/v2/chat", body | {"stream": stream}, stream, notes)


def _system_first(said: Asked) -> Asked:
    """The same with one system message, at the beginning: elsewhere it is a 400 ("system turn must be the first")."""
    leading = 0
    while leading < len(said.messages) and said.messages[leading].role == "system":
        leading += 1
    first = Message.system("\n\n".join(apart(message.parts) for message in said.messages[:leading]))
    rest = [amid(one) if one.role == "system" else one for one in said.messages[leading:]]
    moved = rest != list(said.messages[leading:])
    return said._replace(messages=(first, *rest) if leading else tuple(rest), notes=said.notes + (AMID,) * moved)


def _tools(said: Asked) -> dict[str, Any]:
    if not said.compiled:
        return {}
    section: dict[str, Any] = {"tools": said.declared()}
    if all(tool.strict for tool in said.compiled.values()):
        section["strict_tools"] = True
    return section if said.tool_choice == "auto" else section | {"tool_choice": said.tool_choice.upper()}


def _settings(said: Asked) -> dict[str, Any]:
    schema, given = said.output_schema, said.parameters
    wanted = {
        "response_format": schema and {"type": "json_object", "json_schema": schema},
        "max_tokens": given.max_tokens,
        "temperature": given.temperature,
        "seed": given.seed,
        "stop_sequences": list(given.stop) or None,
        "logprobs": given.logprobs or None,
    }
    return {name: value for name, value in wanted.items() if value is not None}


_NOTHING = "(nothing)"  # a result's text may not be empty


def _messages(said: Asked) -> list[dict[str, Any]]:
    return [item for message in said.messages for item in _message(message, said)]


def _message(message: Message, said: Asked) -> list[dict[str, Any]]:
    if message.role == "tool":
        return [_result(part, said) for part in message.parts if isinstance(part, ToolResult)]
    if message.role == "assistant":
        item = _assistant(message, said)
        return [item] if item.keys() & {"content", "tool_calls"} else []
    return [{"role": message.role, "content": _content(message.parts)}]


def _assistant(message: Message, said: Asked) -> dict[str, Any]:
    item: dict[str, Any] = {"role": "assistant"}
    if content := _spoken([part for part in message.parts if not _is_plan(part)]):
        item["content"] = content
    if plan := "".join(part.text for part in message.parts if isinstance(part, Reasoning) and _is_plan(part)):
        item["tool_plan"] = plan
    if calls := [_call(part, said) for part in message.parts if isinstance(part, ToolCall)]:
        item["tool_calls"] = calls
    return item


_NO_PLAN = "reasoning left out: a plan that came to nothing is no turn"


def _is_only_plan(message: Message) -> bool:
    return message.role == "assistant" and all(map(_is_plan, message.parts))


def _is_plan(part: Part) -> bool:
    return isinstance(part, Reasoning) and part.provider_state == PLAN


def _call(call: ToolCall, said: Asked) -> dict[str, Any]:
    function = {"name": said.names[call.name], "arguments": json_text(said.arguments(call))}
    return {"id": said.ids[call.id], "type": "function", "function": function}


def _result(result: ToolResult, said: Asked) -> dict[str, Any]:
    content = (failed(result.content) if result.is_error else result.content) or (Text(_NOTHING),)
    # A plain string is to be the JSON text of an object; a text block may hold anything.
    blocks = [_block(part) for part in content if isinstance(part, Text)]
    return {"role": "tool", "tool_call_id": said.ids[result.call_id], "content": blocks}


def _spoken(parts: Sequence[Part]) -> str | list[dict[str, Any]]:
    """Texts of the model are pieces of one."""
    if any(isinstance(part, Image | Reasoning) for part in parts):
        return _content(parts)
    return "".join(part.text for part in parts if isinstance(part, Text))


def _content(parts: Iterable[Part]) -> str | list[dict[str, Any]]:
    said = [part for part in parts if isinstance(part, Text | Image | Reasoning)]
    if len(said) < 2 and all(isinstance(part, Text) for part in said):
        return apart(said)
    return [_block(part) for part in said]


def _block(part: Text | Image | Reasoning) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, Reasoning):
        return {"type": "thinking", "thinking": part.text}
    url = part.url or f"data:{part.media_type};base64,{part.data}"
    return {"type": "image_url", "image_url": {"url": url}}
