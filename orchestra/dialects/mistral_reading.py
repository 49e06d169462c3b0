"""Replies of Mistral's chat completions: OpenAI's shape, with content in typed chunks and errors that stand bare."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from orchestra.dialects.chat_reading import ChatCalls, ended, first_choice, usage
from orchestra.dialects.draft import Draft
from orchestra.dialects.encoded import Encoded
from orchestra.dialects.faults import stream_fault
from orchestra.dialects.loose import is_object, mapping, sequence, string
from orchestra.types import CallFault


class MistralReading:
    """One reply, whole or in chunks. Its end is a finish reason, which every reply of Mistral's has."""

    def __init__(self, encoded: Encoded) -> None:
        self.draft = Draft(encoded)
        self._calls = ChatCalls(self.draft)
        self._kind = ""
        self._block = 0

    def event(self, name: str, data: dict[str, Any]) -> CallFault | None:  # noqa: ARG002  # chunks have no name
        """Takes in a chunk."""
        draft = self.draft
        if data.get("object") == "error" or "detail" in data:
            return stream_fault(data)
        draft.model = string(data.get("model")) or draft.model
        draft.usage = usage(mapping(data.get("usage"))) or draft.usage
        choice = first_choice(data)
        message = mapping(choice.get("delta")) or mapping(choice.get("message"))
        for chunk in _chunks(message.get("content")):
            self._chunk(chunk)
        self._calls.add(_identified(message))
        return ended(choice, draft)

    def whole(self, data: dict[str, Any]) -> CallFault | None:
        """Takes in a body that was not streamed."""
        return self.event("", data)

    def _chunk(self, chunk: dict[str, Any]) -> None:
        """Takes in a text or a thought: references and kinds to come say nothing that could be shown as text."""
        kind = string(chunk.get("type"))
        if kind == "thinking":
            self._thinking(chunk)
        elif kind == "text":
            self.draft.say(string(chunk.get("text")), self._place(kind))

    def _thinking(self, chunk: dict[str, Any]) -> None:
        place = self._place("thinking")
        self.draft.reason("".join(_texts(chunk.get("thinking"))), place)
        if isinstance(signature := chunk.get("signature"), str):
            self.draft.keep(signature, place, reasoning=True)
            self._kind = ""  # a signature ends its block: what is thought next is another one

    def _place(self, kind: str) -> str:
        """Where a piece belongs: to the latest block, unless that is of another kind."""
        if kind != self._kind:
            self._kind, self._block = kind, self._block + 1
        return f"{kind} {self._block}"


def _chunks(content: object) -> list[dict[str, Any]]:
    """The chunks of a content; one that is a string is a text, which is how streams give what follows the thinking."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return [chunk for chunk in sequence(content) if is_object(chunk)]


def _texts(thinking: object) -> Iterator[str]:
    yield from (string(chunk.get("text")) for chunk in _chunks(thinking))


def _identified(message: dict[str, Any]) -> dict[str, Any]:
    """The calls of a message; where one has no id, the API's types say `null`, a word."""
    calls = map(mapping, sequence(message.get("tool_calls")))
    return {"tool_calls": [call | {"id": ""} if call.get("id") == "null" else call for call in calls]}
