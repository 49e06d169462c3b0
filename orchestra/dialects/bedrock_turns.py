"""A conversation as Bedrock's Converse takes it: system blocks, and turns of user and assistant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from orchestra.dialects.asked import Asked
from orchestra.dialects.history import AMID, amid
from orchestra.dialects.loose import parse_object
from orchestra.types import Document, Image, Message, Part, Reasoning, Text, ToolCall, ToolResult

Block: TypeAlias = dict[str, Any]


class Turns:
    """The `system` and `messages` of one request; what is renamed, added or left out goes into `notes`.

    Prefixes that later requests share are marked for the prompt cache: the system prompt (the tools stand before it)
    and, where a conversation grows or will, the user's last two turns. Models without a cache refuse such marks with a
    403; which have one is told by the card's price for cached input.
    """

    def __init__(self, said: Asked, notes: list[str]) -> None:
        self.system: list[Block] = []
        self.messages: list[dict[str, Any]] = []
        self._said, self._notes = said, notes
        self._documents: set[str] = set()
        for message in said.messages:
            self._take(message)
        self._put_text_beside_documents()
        if said.card.price is not None and said.card.price.cached_input is not None:
            self._mark()

    def _take(self, message: Message) -> None:
        blocks = list(self._blocks(message.parts))
        if message.role == "system" and not self.messages:
            self.system += blocks
        elif message.role == "system":  # in its place: moving it would change every prefix that is cached
            self._notes.append(AMID)
            self._say("user", list(self._blocks(amid(message).parts)))
        else:
            self._say("assistant" if message.role == "assistant" else "user", self._without_last_thoughts(blocks))

    def _say(self, role: str, blocks: list[Block]) -> None:
        """Results and what the user says after them are one turn."""
        if blocks and self.messages and self.messages[-1]["role"] == role:
            self.messages[-1]["content"] += blocks
        elif blocks:
            self.messages.append({"role": role, "content": blocks})

    def _without_last_thoughts(self, blocks: list[Block]) -> list[Block]:
        while blocks and "reasoningContent" in blocks[-1]:
            self._notes.append(
                "reasoning at the end of a turn left out: Bedrock Converse takes it before text and calls"
            )
            blocks.pop()
        return blocks

    def _put_text_beside_documents(self) -> None:
        for message in self.messages:
            blocks = message["content"]
            if any("document" in block for block in blocks) and not any("text" in block for block in blocks):
                blocks.append({"text": "See the document."})
                self._notes.append("text put beside a document: Bedrock Converse takes none alone")

    def _mark(self) -> None:
        said = self._said
        if self.system:
            self.system.append(_CACHE_POINT)
        if said.compiled or said.json_tools or len(self.messages) > 1:
            for message in [message for message in self.messages if message["role"] == "user"][-2:]:
                blocks = message["content"]
                # Right after a document a mark is refused.
                last = max(place for place, block in enumerate(blocks) if "document" not in block)
                blocks.insert(last + 1, _CACHE_POINT)

    def _blocks(self, parts: Iterable[Part]) -> Iterator[Block]:
        said = self._said
        for part in parts:
            if isinstance(part, ToolCall):
                call = {"toolUseId": said.ids[part.id], "name": said.names[part.name], "input": said.arguments(part)}
                yield {"toolUse": call}
            elif isinstance(part, ToolResult):
                yield {"toolResult": self._result(part)}
            elif isinstance(part, Reasoning):
                yield from self._reasoning(part)
            else:
                yield self._content(part)

    def _reasoning(self, part: Reasoning) -> Iterator[Block]:
        state = parse_object(part.provider_state or "") or {}
        if "signature" in state:
            yield {"reasoningContent": {"reasoningText": {"text": part.text, "signature": state["signature"]}}}
        if "redactedContent" in state:
            yield {"reasoningContent": {"redactedContent": state["redactedContent"]}}
        if not state:
            self._notes.append("reasoning without a signature left out: Bedrock Converse does not take it back")

    def _result(self, result: ToolResult) -> Block:
        """A result may be empty. Only a failure is marked, since not every model knows the status."""
        content = [self._content(part) for part in result.content]
        said: Block = {"toolUseId": self._said.ids[result.call_id], "content": content}
        return said | ({"status": "error"} if result.is_error else {})

    def _content(self, part: Text | Image | Document) -> Block:
        if isinstance(part, Text):
            return {"text": part.text}
        if isinstance(part, Image):
            return {"image": {"format": _IMAGES[part.media_type], "source": {"bytes": part.data}}}
        form = _document_format(part.media_type)
        return {"document": {"name": self._name(part), "format": form, "source": {"bytes": part.data}}}

    def _name(self, part: Document) -> str:
        """What the name may hold, no two alike in one request."""
        stem = re.sub(rf"\.{_document_format(part.media_type)}$", "", part.name, flags=re.IGNORECASE)
        plain = re.sub(r"\s+", " ", re.sub(r"[^A-Za-z0-9\s()\[\]-]", " ", stem)).strip()[:_LONGEST_NAME] or "document"
        name, number = plain, 1
        while name in self._documents:
            number += 1
            name = f"{plain} {number}"
        self._documents.add(name)
        if part.name and name != part.name:
            self._notes.append(f"document {part.name!r} sent as {name!r}: Bedrock Converse takes few characters")
        return name


_CACHE_POINT: Block = {"cachePoint": {"type": "default"}}
_LONGEST_NAME = 190  # of 200, so that a number fits behind it

_IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_OFFICE = "application/vnd.openxmlformats-officedocument"
_DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    f"{_OFFICE}.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    f"{_OFFICE}.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/markdown": "md",
}


def _document_format(media_type: str) -> str:
    return _DOCUMENTS.get(media_type, "txt")
