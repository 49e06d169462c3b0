"""OpenAI's Responses: the codec and how a request is written. Nothing is kept at the provider: history goes with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from orchestra.dialects.asked import Asked
from orchestra.dialects.chat_profiles import profile_of
from orchestra.dialects.codec import Spelled
from orchestra.dialects.loose import json_text, parse_object, string
from orchestra.dialects.texts import failed
from orchestra.types import (
    Document,
    Image,
    Message,
    Part,
    Text,
    ToolCall,
    ToolResult,
)
from orchestra.types.message import apart


def spelled(said: Asked) -> Spelled:
    """The request as the provider wants it: nothing that was not asked for, and notes on what cannot be said.

    The provider stores nothing (`store` is false), so a model that reasons is asked for its reasoning encrypted, and
    gets it back unchanged. System messages stay where they are in the conversation: what came before them is the same
    from turn to turn, and the provider's own prompt cache holds.
    """
    conversation = _Conversation(said)
    body = _body(said, conversation.items())
    streams, header = said.card.capabilities.streaming, profile_of(said.card).key_header
    return Spelled(said, "/responses", body, streams, tuple(conversation.notes), key_header=header)


def _body(said: Asked, items: list[dict[str, Any]]) -> dict[str, Any]:
    """The sections in the order in which people read them."""
    body: dict[str, Any] = {"model": said.card.model, "input": items}
    return body | _tools(said) | _settings(said) | {"store": False, "stream": said.card.capabilities.streaming}


def _tools(said: Asked) -> dict[str, Any]:
    if not said.compiled:
        return {}
    section: dict[str, Any] = {"tools": said.declared()}
    if said.tool_choice != "auto":
        section["tool_choice"] = said.tool_choice
    return section if said.parallel_tools is None else section | {"parallel_tool_calls": said.parallel_tools}


def _settings(said: Asked) -> dict[str, Any]:
    schema, given = said.output_schema, said.parameters
    wanted = {
        "text": schema and {"format": {"type": "json_schema", "name": "reply", "schema": schema, "strict": False}},
        "max_output_tokens": given.max_tokens,
        "reasoning": given.reasoning_effort and {"effort": given.reasoning_effort},
        "temperature": given.temperature,
        "include": _include(said) or None,
    }
    return {name: value for name, value in wanted.items() if value is not None}


def _include(said: Asked) -> list[str]:
    reasons = said.card.capabilities.reasoning_effort  # other models refuse to be asked for it
    return ["reasoning.encrypted_content"] * reasons + ["message.output_text.logprobs"] * said.parameters.logprobs


class _Conversation:
    """What the model may see, as input items. Each item of the provider's own goes back once: it refuses doubles."""

    def __init__(self, said: Asked) -> None:
        self.notes: list[str] = []
        self._said = said
        self._replayed: set[str] = set()

    def items(self) -> list[dict[str, Any]]:
        """A message for each turn or text, and an item for each piece of reasoning, call and output."""
        return [item for message in self._said.messages for item in self._turn(message)]

    def _turn(self, message: Message) -> list[dict[str, Any]]:
        if message.role == "tool":
            return [self._output(part) for part in message.parts if isinstance(part, ToolResult)]
        if message.role == "assistant":
            return self._assistant(message.parts)
        return [{"role": message.role, "content": self._content(message.parts)}]

    def _assistant(self, parts: Iterable[Part]) -> list[dict[str, Any]]:
        items = [item for part in parts for item in self._item(part)]
        while items and items[-1].get("type") == "reasoning":  # refused without the item that it led to
            self.notes.append("reasoning left out: it led to nothing")
            items.pop()
        return items

    def _item(self, part: Part) -> Iterator[dict[str, Any]]:
        state = self._own(part)
        if isinstance(part, Text):
            yield _message(part, state)
        elif isinstance(part, ToolCall):
            yield {"type": "function_call", **state, **self._call(part)}
        elif state:
            yield state
        else:
            self.notes.append(f"{part.type} left out: OpenAI Responses has not given it in a form that it takes back")

    def _own(self, part: Part) -> dict[str, Any]:
        """The provider's fields of the item that this part was; none where it was no item, or has gone out already."""
        state = parse_object(part.provider_state or "") or {}
        identity = string(state.get("id"))
        if not identity or identity in self._replayed:
            return {}
        self._replayed.add(identity)
        return state

    def _call(self, call: ToolCall) -> dict[str, Any]:
        said = self._said
        arguments = json_text(said.arguments(call))
        return {"call_id": said.ids[call.id], "name": said.names[call.name], "arguments": arguments}

    def _output(self, result: ToolResult) -> dict[str, Any]:
        content = failed(result.content) if result.is_error else result.content
        return {
            "type": "function_call_output",
            "call_id": self._said.ids[result.call_id],
            "output": self._content(content),
        }

    def _content(self, parts: Iterable[Part]) -> str | list[dict[str, Any]]:
        said = [part for part in parts if isinstance(part, Text | Image | Document)]
        if len(said) < 2 and all(isinstance(part, Text) for part in said):
            return apart(said)
        named = [part.name for part in said if isinstance(part, Document) and part.url and part.name]
        self.notes += [f"document name {name!r} left out: OpenAI Responses takes none beside a URL" for name in named]
        return [_piece(part) for part in said]


def _message(text: Text, state: dict[str, Any]) -> dict[str, Any]:
    """The message as the model wrote it where it did, else one that says the same."""
    if not state:
        return {"role": "assistant", "content": text.text}
    content: dict[str, Any] = {"type": "output_text", "text": text.text, "annotations": []}
    return {"type": "message", "role": "assistant", "status": "completed", **state, "content": [content]}


def _piece(part: Text | Image | Document) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "input_text", "text": part.text}
    data = f"data:{part.media_type};base64,{part.data}"
    if isinstance(part, Image):
        return {"type": "input_image", "detail": "auto", "image_url": part.url or data}
    if part.url:
        return {"type": "input_file", "file_url": part.url}
    return {"type": "input_file", "filename": part.name or "document", "file_data": data}
