"""A conversation as Anthropic's Messages API takes it: blocks in turns of user and assistant, and the system prompt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from orchestra.dialects.asked import Asked
from orchestra.dialects.history import AMID, amid
from orchestra.dialects.loose import parse_object
from orchestra.dialects.texts import read
from orchestra.types import Document, Image, Message, Part, Reasoning, Text, ToolCall, ToolResult

CACHED = {"cache_control": {"type": "ephemeral"}}
"""Marks the end of a prefix that the provider shall keep for the requests that begin with it; for five minutes."""


@dataclass(slots=True)
class Turn:
    """What one side says in one go."""

    role: str
    content: list[dict[str, Any]]

    def block(self) -> dict[str, Any]:
        """It as a member of `messages`."""
        return {"role": self.role, "content": self.content}


class Conversation:
    """The system prompt and the turns; `notes` tells what could not be said, or not in its place.

    System messages at the beginning are the system prompt. Later ones keep their place, since moving them would
    invalidate every cached prefix: in the user's turn and marked, for most models refuse the role in `messages`.
    Neighbouring messages of one side are one turn. The first and the last turn are the user's, and no turn ends with a
    thought: each of these is a 400 otherwise.
    """

    def __init__(self, said: Asked) -> None:
        self._said = said
        self.notes: list[str] = []
        self.system: list[dict[str, Any]] = []
        self.turns: list[Turn] = []
        for message in said.messages:
            if message.role == "system" and not self.turns:
                self.system += self._blocks(message.parts)
            else:
                self._add(message)

    def mark(self) -> None:
        """Marks the ends of the last two turns of the user: what the request before has written, this one reads.

        One mark would do in a short turn, but the provider looks back over no more than 20 blocks from it.
        """
        for turn in [turn for turn in self.turns if turn.role == "user"][-2:]:
            turn.content[-1] = turn.content[-1] | CACHED

    def _add(self, message: Message) -> None:
        if message.role == "tool":
            self._say("user", self._results(message.parts))
        elif message.role == "assistant":
            self._say("assistant", self._without_last_thoughts(list(self._reply(message.parts))))
        elif message.role == "user":
            self._say("user", self._blocks(message.parts))
        else:
            self.notes.append(AMID)
            self._say("user", self._blocks(amid(message).parts))

    def _say(self, role: str, content: list[dict[str, Any]]) -> None:
        if not content:
            return
        if self.turns and self.turns[-1].role == role:
            self.turns[-1].content += content
        else:
            self.turns.append(Turn(role, content))

    def _blocks(self, parts: Iterable[Part]) -> list[dict[str, Any]]:
        return [self._block(part) for part in parts if isinstance(part, Text | Image | Document)]

    def _block(self, part: Text | Image | Document) -> dict[str, Any]:
        if isinstance(part, Text):
            return _text(part.text)
        source = _source(part)
        if source is None:
            return self._unreadable(part)
        block = {"type": part.type, "source": source}
        return block | {"title": part.name} if isinstance(part, Document) and part.name else block

    def _unreadable(self, part: Image | Document) -> dict[str, Any]:
        self.notes.append(f"{part.type} left out: Anthropic Messages takes no {part.media_type}")
        return _text(f"[{part.type} left out: {part.media_type}]")

    def _reply(self, parts: Iterable[Part]) -> Iterator[dict[str, Any]]:
        for part in parts:
            if isinstance(part, ToolCall):
                yield self._call(part)
            elif isinstance(part, Reasoning):
                if block := _replayed(part):
                    yield block
                else:
                    self.notes.append(
                        "reasoning without a signature left out: Anthropic Messages does not take it back"
                    )
            else:
                yield from self._blocks((part,))

    def _without_last_thoughts(self, content: list[dict[str, Any]]) -> list[dict[str, Any]]:
        while content and content[-1]["type"] in _THOUGHTS:
            self.notes.append("reasoning at the end of a turn left out: Anthropic Messages refuses it there")
            content.pop()
        return content

    def _call(self, call: ToolCall) -> dict[str, Any]:
        kept = parse_object(call.provider_state or "") or {}
        said = self._said
        own = {"id": said.ids[call.id], "name": said.names[call.name], "input": said.arguments(call)}
        return {"type": "tool_use"} | kept | own

    def _results(self, parts: Sequence[Part]) -> list[dict[str, Any]]:
        results = [part for part in parts if isinstance(part, ToolResult)]
        blocks: list[dict[str, Any]] = []
        media: list[dict[str, Any]] = []
        for result in results:
            content = self._blocks(result.content)
            if result.is_error and any(block["type"] != "text" for block in content):
                # A result that is an error may hold text only.
                self.notes.append(f"media of the failed call {result.call_id!r} moved behind the results")
                media += [_text(f"Returned by {result.name}:"), *(one for one in content if one["type"] != "text")]
                content = [one for one in content if one["type"] == "text"]
            blocks.append(self._result(result, content))
        return blocks + media

    def _result(self, result: ToolResult, content: list[dict[str, Any]]) -> dict[str, Any]:
        block: dict[str, Any] = {"type": "tool_result", "tool_use_id": self._said.ids[result.call_id]}
        block |= {"content": content} if content else {}
        return block | ({"is_error": True} if result.is_error else {})


def begins_with_thought(turns: Sequence[Turn]) -> bool:
    """Whether the reply that the newest results answer begins with a thought; True where there are no results.

    A budget for thinking is refused otherwise (*Expected `thinking` or `redacted_thinking`, but found `tool_use`*).
    """
    if not any(block["type"] == "tool_result" for block in turns[-1].content):
        return True
    return turns[-2].content[0]["type"] in _THOUGHTS


_THOUGHTS = ("thinking", "redacted_thinking")


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _replayed(part: Reasoning) -> dict[str, Any] | None:
    """The block as it was received; None without its state, which alone makes it one."""
    kept = parse_object(part.provider_state or "")
    return kept | {"thinking": part.text} if kept and kept.get("type") == "thinking" else kept


def _source(part: Image | Document) -> dict[str, Any] | None:
    """Where its content is; None for a text that is none, or that would have to be fetched."""
    if isinstance(part, Document) and part.media_type.startswith("text/"):
        return _plain(read(part) or "")
    if part.url:
        return {"type": "url", "url": part.url}
    return {"type": "base64", "media_type": part.media_type, "data": part.data}


def _plain(text: str) -> dict[str, Any] | None:
    return {"type": "text", "media_type": "text/plain", "data": text} if text.strip() else None
