"""OpenAI's chat completions, spoken by most servers: the codec and how a request is written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from orchestra.dialects import json_tools, openai_faults, openai_reply
from orchestra.dialects.codec import Encoded, StreamReader
from orchestra.dialects.history import view
from orchestra.dialects.tool_names import ID_LIMIT, wire_names
from orchestra.dialects.tool_schema import CompiledTool, compile_tools
from orchestra.types import (
    CallFault,
    Document,
    Image,
    Message,
    ModelCard,
    ModelReply,
    Part,
    Reasoning,
    Request,
    Text,
    ToolCall,
    ToolResult,
)

DIALECT: Final = "openai-chat"


class OpenAIChat:
    """The codec of `openai-chat`. It sends nothing the request does not ask for, and notes what it cannot say."""

    @property
    def dialect(self) -> str:
        """`openai-chat`."""
        return DIALECT

    def authorization(self, key: str | None) -> tuple[tuple[str, str], ...]:
        """A bearer token; nothing without a key."""
        return (("authorization", f"Bearer {key}"),) if key else ()

    def encode(self, request: Request, card: ModelCard) -> Encoded:
        """The request as this card's provider wants it."""
        draft = _Draft(request, card)
        stream = card.capabilities.streaming
        return Encoded(
            path="/chat/completions",
            headers=(
                ("content-type", "application/json"),
                ("accept", "text/event-stream" if stream else "application/json"),
            ),
            body=_BODY.encode(draft.body()).encode(),
            stream=stream,
            notes=tuple(draft.notes),
            tools=draft.tools,
            card=card,
            json_tools=draft.json_tools,
            structured=request.output_schema is not None,
        )

    def decode(self, encoded: Encoded, body: bytes) -> ModelReply | CallFault:
        """A whole (not streamed) successful body."""
        return openai_reply.whole_reply(encoded, body)

    def reader(self, encoded: Encoded) -> StreamReader:
        """A reader for the streamed reply to `encoded`."""
        return openai_reply.ChatReader(encoded)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> CallFault:
        """What a response with an error status means."""
        return openai_faults.http_fault(status, headers, body)


class _Draft:
    """One request while it is written: the body's sections, and notes on what was left out."""

    def __init__(self, request: Request, card: ModelCard) -> None:
        self.request = request
        self.card = card
        self.notes: list[str] = []
        support = card.capabilities.tools
        self.tools = request.tools if support != "none" else ()
        if request.tools and not self.tools:
            self.notes.append(f"tools left out: {card.name} cannot call tools")
        self.json_tools = support == "json" and bool(request.tools) and request.tool_choice != "none"
        self.native = support == "native"
        self._compiled = compile_tools(self.tools) if self.native else {}

    def body(self) -> dict[str, Any]:
        """The sections in the order in which people read them."""
        body: dict[str, Any] = {"model": self.card.model, "messages": self._messages()}
        body |= self._tools() | self._response_format() | self._settings()
        body["stream"] = self.card.capabilities.streaming
        if body["stream"]:
            body["stream_options"] = {"include_usage": True}
        return body | self._extra(body.keys())

    def _messages(self) -> list[dict[str, Any]]:
        messages = view(self.request.messages, self.card)
        self._note_orphans()
        if not self.native:
            reminder = json_tools.reminder(self.request) if self.json_tools else ""
            messages = json_tools.flattened(messages, reminder)
        if self.json_tools:
            messages = json_tools.instructed(messages, json_tools.instructions(self.request))
        elif self.request.output_schema is not None and not self.card.capabilities.structured_output:
            self.notes.append(f"response_format left out: {self.card.name} has none; the schema stands in the prompt")
            messages = json_tools.instructed(messages, _ANSWER_WITH + json.dumps(self.request.output_schema))
        return _Messages(messages, self._compiled).written()

    def _note_orphans(self) -> None:
        parts = [part for message in self.request.messages for part in message.parts]
        called = {part.id for part in parts if isinstance(part, ToolCall)}
        answered = {part.call_id for part in parts if isinstance(part, ToolResult)}
        self.notes += [f"tool result {one!r} left out: no call has this id" for one in sorted(answered - called)]
        self.notes += [
            f"tool call {one!r} had no result: a neutral error stands in" for one in sorted(called - answered)
        ]

    def _tools(self) -> dict[str, Any]:
        request, one_call = self.request, not self.card.capabilities.parallel_tools
        if self.json_tools and request.parallel_tools:
            self.notes.append(f"parallel_tools left out: {self.card.name} writes one call a reply")
        if not (self.native and request.tools):
            return {}
        section: dict[str, Any] = {"tools": [tool.declaration for tool in self._compiled.values()]}
        if request.tool_choice != "auto":
            section["tool_choice"] = request.tool_choice
        if request.parallel_tools is not None and not (one_call and request.parallel_tools):
            section["parallel_tool_calls"] = request.parallel_tools
        elif request.parallel_tools:
            self.notes.append(f"parallel_tools left out: {self.card.name} makes one call a reply")
        return section

    def _response_format(self) -> dict[str, Any]:
        schema: Any = json_tools.reply_schema(self.request) if self.json_tools else self.request.output_schema
        if schema is None or not (self.json_tools or self.card.capabilities.structured_output):
            return {}
        return {"response_format": {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}}

    def _settings(self) -> dict[str, Any]:
        request, can = self.request, self.card.capabilities
        effort, most = request.settings.reasoning_effort, request.settings.max_tokens
        if most is not None and most > self.card.max_output:
            self.notes.append(f"max_tokens {most} lowered to {self.card.max_output}, the most {self.card.name} writes")
            most = self.card.max_output
        if effort and not can.reasoning_effort:
            self.notes.append(f"reasoning_effort left out: {self.card.name} has no such setting")
        if request.logprobs and not can.logprobs:
            self.notes.append(f"logprobs left out: {self.card.name} reports none")
        wanted = {
            # Reasoning models refuse max_tokens; everything else, older servers included, understands it.
            "max_completion_tokens" if can.reasoning_effort else "max_tokens": most,
            "reasoning_effort": effort if can.reasoning_effort else None,
            "temperature": request.temperature,
            "seed": request.seed,
            "stop": list(request.stop) or None,
            "logprobs": (request.logprobs and can.logprobs) or None,
        }
        return {name: value for name, value in wanted.items() if value is not None}

    def _extra(self, taken: Iterable[str]) -> dict[str, Any]:
        section: dict[str, Any] = {}
        for key, value in self.request.extra.items():
            namespace, _, name = key.partition(".")
            if namespace not in (self.card.provider, DIALECT) or not name:
                self.notes.append(f"extra {key!r} left out: it is not for {self.card.provider} or {DIALECT}")
            elif name in taken:
                self.notes.append(f"extra {key!r} left out: the request itself sets {name}")
            else:
                section[name] = value
        return section


_ANSWER_WITH = "Answer with JSON only, matching this JSON Schema:\n"
_ERROR = "Error: "  # a tool message has no error flag
_BODY = json.JSONEncoder(allow_nan=False)  # json.dumps would build one for every request,
_ARGUMENTS = json.JSONEncoder(ensure_ascii=False)  # and for every call of the history


class _Messages:
    """Canonical messages as chat messages, names and ids in the provider's spelling."""

    def __init__(self, messages: tuple[Message, ...], compiled: Mapping[str, CompiledTool]) -> None:
        calls = [part for message in messages for part in message.parts if isinstance(part, ToolCall)]
        self._messages = messages
        self._compiled = compiled
        self._names = wire_names((call.name for call in calls), known={name: t.name for name, t in compiled.items()})
        self._ids = wire_names((call.id for call in calls), limit=ID_LIMIT)

    def written(self) -> list[dict[str, Any]]:
        """One chat message for each turn, and one for each tool result."""
        return [item for message in self._messages for item in self._message(message)]

    def _message(self, message: Message) -> list[dict[str, Any]]:
        if message.role == "tool":
            return [self._result(part) for part in message.parts if isinstance(part, ToolResult)]
        if message.role == "assistant":
            return [self._assistant(message)]
        return [{"role": message.role, "content": _content(message.parts)}]

    def _assistant(self, message: Message) -> dict[str, Any]:
        item: dict[str, Any] = {"role": "assistant", "content": message.text or None}
        if calls := [self._call(part) for part in message.parts if isinstance(part, ToolCall)]:
            item["tool_calls"] = calls
            # Models that return their reasoning in this field want it back on the turns that call tools.
            if thought := "".join(part.text for part in message.parts if isinstance(part, Reasoning)):
                item["reasoning_content"] = thought
        return item

    def _call(self, call: ToolCall) -> dict[str, Any]:
        arguments: Any = {"unreadable": call.raw} if call.arguments is None else call.arguments
        if call.arguments is not None and (tool := self._compiled.get(call.name)):
            arguments = tool.encode(call.arguments)
        function = {"name": self._names[call.name], "arguments": _ARGUMENTS.encode(arguments)}
        return {"id": self._ids[call.id], "type": "function", "function": function}

    def _result(self, result: ToolResult) -> dict[str, Any]:
        text = "".join(part.text for part in result.content if isinstance(part, Text))
        content = f"{_ERROR}{text}" if result.is_error else text
        return {"role": "tool", "tool_call_id": self._ids[result.call_id], "content": content}


def _content(parts: Iterable[Part]) -> str | list[dict[str, Any]]:
    said = [part for part in parts if isinstance(part, Text | Image | Document)]
    if all(isinstance(part, Text) for part in said):
        return "".join(part.text for part in said if isinstance(part, Text))
    return [_piece(part) for part in said]


def _piece(part: Text | Image | Document) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, Image):
        return {"type": "image_url", "image_url": {"url": part.url or f"data:{part.media_type};base64,{part.data}"}}
    if part.url:
        return {"type": "text", "text": f"[document {part.name}: {part.url}]"}
    data = f"data:{part.media_type};base64,{part.data}"
    return {"type": "file", "file": {"filename": part.name or "document", "file_data": data}}
