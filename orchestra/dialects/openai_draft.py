"""A chat completion while it is being read, whole or in chunks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from orchestra.dialects.codec import Delta, Encoded
from orchestra.dialects.json_tools import AnswerText, read
from orchestra.dialects.loose import count, is_object, mapping, parse_object, scalars, sequence, string
from orchestra.dialects.tool_schema import compile_tools
from orchestra.types import (
    Finish,
    ModelReply,
    Origin,
    Part,
    Reasoning,
    ReasoningDelta,
    Text,
    TextDelta,
    ToolCall,
    Usage,
)


class ChatDraft:
    """A reply while it is being read: whole bodies and stream chunks differ only in how much comes at once."""

    def __init__(self, encoded: Encoded) -> None:
        self._encoded = encoded
        self._answer = AnswerText(structured=encoded.structured) if encoded.json_tools else None
        self._text, self._reasoning, self._refusal = _Pieces(), _Pieces(), _Pieces()
        self._calls: list[_Call] = []
        self._latest: dict[int, _Call] = {}
        self._logprobs: list[float] = []
        self._usage: Usage | None = None
        self._model: str | None = None
        self.finish: Finish | None = None

    @property
    def text(self) -> str:
        """The answer's text so far."""
        return self._answer.shown if self._answer else self._text.text

    def add(self, data: dict[str, Any]) -> list[Delta]:
        """Takes in a chunk or a whole body; the deltas it brings."""
        self._model = string(data.get("model")) or self._model
        self._usage = _usage(mapping(data.get("usage"))) or self._usage
        deltas: list[Delta] = []
        for choice in map(mapping, sequence(data.get("choices"))):
            if choice.get("index", 0) == 0:  # one reply was asked for
                deltas += self._choice(choice)
        return deltas

    def ended(self) -> list[Delta]:
        """What was held back until the model had finished."""
        rest = self._answer.close() if self._answer else ""
        return [TextDelta(rest)] if rest else []

    def reply(self) -> ModelReply:
        """The reply as far as it was read."""
        parts, mended = self._parts()
        called = any(isinstance(part, ToolCall) for part in parts)
        finish = self.finish or "stop"
        if self._refusal.text:
            finish = "refusal"
        elif called and finish in ("stop", "other"):
            finish = "tool_calls"
        logprob = sum(self._logprobs) / len(self._logprobs) if self._logprobs else None
        return ModelReply(parts, finish, self._usage, self._model, logprob, self._raw(), mended)

    def _choice(self, choice: dict[str, Any]) -> list[Delta]:
        message = mapping(choice.get("delta")) or mapping(choice.get("message"))
        deltas: list[Delta] = []
        text, thought = _content(message)
        if thought := self._reasoning.add(thought):
            deltas.append(ReasoningDelta(thought))
        if text := self._shown(self._text.add(text)):
            deltas.append(TextDelta(text))
        # A refusal is not handed on while it is written: it may still move to another model.
        self._refusal.add(string(message.get("refusal")))
        for place, call in enumerate(map(mapping, sequence(message.get("tool_calls")))):
            self._call(call, place)
        self._logprobs += _logprobs(mapping(choice.get("logprobs")))
        if reason := string(choice.get("finish_reason")):
            self.finish = _FINISH.get(reason, "other")
            deltas += self.ended()
        return deltas

    def _shown(self, text: str) -> str:
        return self._answer.add(text) if self._answer and text else text

    def _call(self, piece: dict[str, Any], place: int) -> None:
        function = mapping(piece.get("function"))
        name, identity = string(function.get("name")), string(piece.get("id"))
        index = piece.get("index")
        index = index if isinstance(index, int) else len(self._calls) if name else max(self._latest, default=place)
        call = self._latest.get(index)
        if call is None or _another(call, identity, name):
            call = self._latest[index] = _Call()
            self._calls.append(call)
        call.id = call.id or identity
        if name != call.name:
            call.name += name
        arguments: object = function.get("arguments")
        call.pieces.append(json.dumps(arguments) if is_object(arguments) else string(arguments))

    def _parts(self) -> tuple[tuple[Part, ...], tuple[str, ...]]:
        card = self._encoded.card
        origin = Origin(card.provider, card.dialect, card.model) if card else None
        said: tuple[Text | ToolCall, ...] = tuple(Text(text) for text in (self._text.text, self._refusal.text) if text)
        mended: tuple[str, ...] = ()
        if self._answer and self._text.text and not self._refusal.text:
            said, mended = read(self._text.text, structured=self._encoded.structured)
        thought = (Reasoning(self._reasoning.text),) if self._reasoning.text else ()
        parts = (*thought, *said, *_tool_calls(self._calls, self._encoded))
        return tuple(replace(part, origin=origin) for part in _identified(parts, self._encoded.body)), mended

    def _raw(self) -> str:
        written = [self._text.text or self._refusal.text, *(f"{call.name}({call.arguments})" for call in self._calls)]
        return "\n".join(piece for piece in written if piece)


@dataclass(slots=True)
class _Call:
    """A call while its pieces arrive."""

    id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list[str])

    @property
    def arguments(self) -> str:
        return "".join(self.pieces)


class _Pieces:
    """Text in pieces; a surrogate pair that was split between two of them is joined."""

    def __init__(self) -> None:
        self._held: str = ""
        self.text: str = ""

    def add(self, piece: str) -> str:
        """What can be handed on now."""
        piece = self._held + piece
        self._held = piece[-1:] if "\ud800" <= piece[-1:] <= "\udbff" else ""
        piece = piece.removesuffix(self._held)
        piece = scalars(piece)
        self.text += piece
        return piece


_FINISH: dict[str, Finish] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


def _another(call: _Call, identity: str, name: str) -> bool:
    """True where a piece under a known index begins another call: some servers give every parallel call index 0."""
    if not name:
        return False
    if identity and call.id:
        return identity != call.id
    return parse_object(call.arguments) is not None


def _tool_calls(calls: Sequence[_Call], encoded: Encoded) -> list[ToolCall]:
    if not calls:
        return []
    compiled = compile_tools(encoded.tools)
    canonical = {tool.name: name for name, tool in compiled.items()}
    optional = {tool.name for tool in encoded.tools if not sequence(tool.schema.get("required"))}
    result: list[ToolCall] = []
    for call in calls:
        name, raw = canonical.get(call.name, call.name), call.arguments
        # A tool without arguments may be called with no text at all; that stands for {} only where {} can be meant.
        arguments = {} if not raw.strip() and name in optional else parse_object(raw)
        if arguments is not None and name in compiled:
            arguments = compiled[name].decode(arguments)
        result.append(ToolCall(call.id, name, arguments, raw))
    return result


def _identified(parts: Sequence[Part], body: bytes) -> list[Part]:
    """The parts, each call under an id that neither this reply nor the request uses already."""
    seen: set[str] = set()
    result: list[Part] = []
    for index, part in enumerate(parts):
        if isinstance(part, ToolCall):
            known = not part.id or part.id in seen or json.dumps(part.id).encode() in body
            chosen = f"call_{hashlib.sha256(b'%d:%b' % (index, body)).hexdigest()[:16]}" if known else part.id
            seen.add(chosen)
            result.append(replace(part, id=chosen))
        else:
            result.append(part)
    return result


def _content(message: dict[str, Any]) -> tuple[str, str]:
    """Text and reasoning of a message; some servers write their content as an array of typed pieces."""
    content: object = message.get("content")
    thought = string(message.get("reasoning_content")) or string(message.get("reasoning"))
    pieces = [mapping(piece) for piece in sequence(content)]
    if not pieces:
        return string(content), thought
    thought += "".join(_content({"content": piece.get("thinking")})[0] for piece in pieces)
    return "".join(string(piece.get("text")) for piece in pieces), thought


def _usage(usage: dict[str, Any]) -> Usage | None:
    """None where the counts are no counts: unknown is never 0, and cost is then estimated and said to be."""
    counts = (usage.get("prompt_tokens"), usage.get("completion_tokens"))
    if not all(isinstance(one, int) and not isinstance(one, bool) and one >= 0 for one in counts):
        return None
    read_from_cache = mapping(usage.get("prompt_tokens_details")).get("cached_tokens")
    return Usage(
        input=count(usage.get("prompt_tokens")),
        output=count(usage.get("completion_tokens")),
        cached_input=count(read_from_cache),
        reasoning=count(mapping(usage.get("completion_tokens_details")).get("reasoning_tokens")),
    )


def _logprobs(logprobs: dict[str, Any]) -> list[float]:
    found = (mapping(token).get("logprob") for token in sequence(logprobs.get("content")))
    return [float(value) for value in found if isinstance(value, int | float)]
