"""LangChain's messages and chunks out of canonical ones, and back, without loss either way."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import count
from typing import Any, cast

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import invalid_tool_call, tool_call, tool_call_chunk

from orchestra.checks import parse_output
from orchestra.runtime.langchain_messages import STATE, from_langchain
from orchestra.runtime.messages import canonical
from orchestra.types import (
    Document,
    End,
    Image,
    Message,
    Part,
    Reasoning,
    ReasoningDelta,
    Reply,
    StreamEvent,
    Text,
    TextDelta,
    ToolCall,
    ToolResult,
    Usage,
    to_json,
)


def to_canonical(messages: Iterable[BaseMessage]) -> tuple[Message, ...]:
    """The messages as canonical ones, with the opaque state that `to_langchain` and `ai_message` keep in them.

    What another provider's model said for itself alone (its reasoning) is left out. Raises ConfigError for content
    that is neither text, image, file nor call, naming its place.
    """
    return canonical(list(messages))


def to_langchain(messages: Iterable[Message]) -> list[BaseMessage]:
    """The messages as LangChain's, each result in a message of its own; `to_canonical` gives the same ones back."""
    return [made for message in messages for one in _one_result_each(message) for made in (_made(one),)]


def ai_message(reply: Reply) -> AIMessage:
    """An accepted reply as LangChain's message; the text of a structured answer is plain JSON, to be read again."""
    answer = _mended(reply)
    message = cast("AIMessage", _made(reply.message) if answer is None else _shown(reply.message, answer))
    message.usage_metadata = _usage(reply.usage) if reply.usage else None
    message.response_metadata = _metadata(reply)
    return message


def _one_result_each(message: Message) -> Iterable[Message]:
    return [Message("tool", (part,)) for part in message.parts] if message.role == "tool" else [message]


def _made(message: Message) -> BaseMessage:
    made = _plain(message)
    made.additional_kwargs.update(_state(message, made))
    return made


def _shown(message: Message, answer: str) -> BaseMessage:
    """The message with another text than its own, which is kept beside it."""
    made = _plain(replace(message, parts=(Text(answer), *(one for one in message.parts if not isinstance(one, Text)))))
    made.additional_kwargs[STATE] = {"parts": to_json(message.parts), "shown": answer}
    return made


def _plain(message: Message) -> BaseMessage:
    """The message as far as LangChain has words for it."""
    if message.role == "tool" and isinstance(result := message.parts[0], ToolResult):
        status = "error" if result.is_error else "success"
        content = cast("Any", _content(result.content))
        return ToolMessage(content, tool_call_id=result.call_id, name=result.name or None, status=status)
    content = cast("Any", _content(message.parts))
    if message.role != "assistant":
        return SystemMessage(content) if message.role == "system" else HumanMessage(content)
    calls = [part for part in message.parts if isinstance(part, ToolCall)]
    thought = "".join(part.text for part in message.parts if isinstance(part, Reasoning))
    return AIMessage(
        content,
        tool_calls=[
            tool_call(name=one.name, args=dict(one.arguments), id=one.id) for one in calls if one.arguments is not None
        ],
        invalid_tool_calls=[
            invalid_tool_call(name=one.name, args=one.raw, id=one.id, error=None)
            for one in calls
            if one.arguments is None
        ],
        additional_kwargs={"reasoning_content": thought} if thought else {},
    )


def _content(parts: Iterable[Part]) -> str | list[dict[str, Any]]:
    """A text where there is nothing else; else LangChain's own blocks."""
    shown = [part for part in parts if isinstance(part, Text | Image | Document)]
    if all(isinstance(part, Text) for part in shown):
        return "".join(part.text for part in shown if isinstance(part, Text))
    return [_block(part) for part in shown]


def _block(part: Text | Image | Document) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    where = {"base64": part.data} if part.data is not None else {"url": part.url}
    named = {"filename": part.name} if isinstance(part, Document) and part.name else {}
    return {"type": "image" if isinstance(part, Image) else "file", "mime_type": part.media_type, **where, **named}


def _state(message: Message, plain: BaseMessage) -> dict[str, Any]:
    """What `plain` alone does not tell of the message: mostly who wrote it, else its parts as they are."""
    origin = message.parts[0].origin if message.parts else None
    kept: dict[str, Any] = {} if origin is None else {STATE: {"origin": to_json(origin)}}
    plain.additional_kwargs.update(kept)
    if from_langchain(plain, message.role, 0) == message:
        return kept
    return {STATE: {"parts": to_json(message.parts)}}


def _mended(reply: Reply) -> str | None:
    """The structured answer that was read in the reply's text, where the text itself is no JSON."""
    if reply.output is None:
        return None
    value, mended = parse_output(reply.text, {})
    return json.dumps(value, ensure_ascii=False) if mended else None


def _usage(usage: Usage) -> UsageMetadata:
    return UsageMetadata(
        input_tokens=usage.input,
        output_tokens=usage.output,
        total_tokens=usage.input + usage.output,
        input_token_details={"cache_read": usage.cached_input, "cache_creation": usage.cache_write},
        output_token_details={"reasoning": usage.reasoning},
    )


def _metadata(reply: Reply) -> dict[str, Any]:
    refused = [{"model": one.model, "trigger": one.trigger.value} for one in reply.attempts if one.trigger]
    used = [one.usage for one in reply.attempts if one.usage]
    ours = {
        "model": reply.model,
        "cost": reply.cost.usd,
        "usage": _usage(sum(used, Usage())) if used else None,  # as far as providers have counted
        "run": reply.run,
        "degraded": reply.degraded,
        "refused": refused,
    }
    return {"model_name": reply.wire_model or reply.model, "finish_reason": reply.finish, "orchestra": ours}


class Chunks:
    """A reply's events as LangChain's chunks; together they are the message that `ai_message` makes of the reply.

    What was not handed on in pieces comes at the end in the order of the message: thoughts, text, calls. So does text
    that is `held` until the reply is judged, and that of a structured answer, which is read only then.
    """

    def __init__(self, *, held: bool = False) -> None:
        self._held, self._thought = held, False
        self._kind, self._blocks = "", count()

    def of(self, event: StreamEvent) -> Iterator[AIMessageChunk]:
        """The event's chunks."""
        match event:
            case TextDelta():
                if not self._held:
                    yield self._text(event.text)
            case ReasoningDelta():
                self._thought = True
                yield self._reasoning(event.text)
            case End():
                yield from self._rest(ai_message(event.reply))
            case _:
                return

    def _rest(self, whole: AIMessage) -> Iterator[AIMessageChunk]:
        beside = whole.additional_kwargs
        if not self._thought and "reasoning_content" in beside:
            yield self._reasoning(beside["reasoning_content"])
        if self._held and whole.content:
            yield self._text(whole.content)
        for call in whole.tool_calls:
            text = json.dumps(call["args"], ensure_ascii=False)
            chunk = tool_call_chunk(name=call["name"], args=text, id=call["id"], index=next(self._blocks))
            yield AIMessageChunk(content="", tool_call_chunks=[chunk])
        yield AIMessageChunk(
            content="",
            additional_kwargs={name: value for name, value in beside.items() if name == STATE},
            response_metadata=whole.response_metadata,
            usage_metadata=whole.usage_metadata,
            chunk_position="last",
        )

    def _text(self, text: Any) -> AIMessageChunk:
        self._begin("text")
        return AIMessageChunk(content=text)

    def _reasoning(self, text: str) -> AIMessageChunk:
        self._begin("reasoning")
        return AIMessageChunk(content="", additional_kwargs={"reasoning_content": text})

    def _begin(self, kind: str) -> None:
        """Another kind begins the next block: LangChain counts so for `output_version="v1"`, and merges by it."""
        if kind != self._kind:
            self._kind = kind
            next(self._blocks)
