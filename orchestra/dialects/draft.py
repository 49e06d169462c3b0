"""A reply while it is being read: whole bodies and streams differ only in how much comes at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final, TypeAlias

from orchestra.dialects.encoded import Delta, Encoded
from orchestra.dialects.json_tools import AnswerText, read
from orchestra.dialects.loose import is_object, parse_object, scalars, sequence, written
from orchestra.types import (
    CallFault,
    Finish,
    Json,
    ModelReply,
    Origin,
    Part,
    Reasoning,
    ReasoningDelta,
    Text,
    TextDelta,
    ToolCall,
    Trigger,
    Usage,
)

Place: TypeAlias = int | str
State: TypeAlias = str | Callable[[], str]


class Draft:
    """Blocks of text, reasoning and calls in the order in which they began, each under its place in the reply.

    `model`, `usage` and `logprobs` are set as they arrive; `finish` stays None until the provider has said that the
    reply has ended, `over` is set with the last event there is. `counted` gives what the provider has counted of a
    reply that ends before its `usage` is told.
    """

    def __init__(self, encoded: Encoded) -> None:
        self.encoded = encoded
        self.model: str | None = None
        self.usage: Usage | None = None
        self.counted: Callable[[], Usage | None] | None = None
        self.finish: Finish | None = None
        self.over = False
        self.logprobs: list[float] = []
        self._answer = AnswerText(structured=encoded.structured) if encoded.json_tools else None
        self._refusal: _Said | None = None
        self._blocks: dict[Place, _Said | CallDraft] = {}
        self._news: list[Delta] = []

    @property
    def text(self) -> str:
        """The answer's text so far, as it may be shown."""
        return self._answer.shown if self._answer else self._written()

    @property
    def begun(self) -> bool:
        """Whether anything has been said, thought or called."""
        return bool(self._blocks or self._refusal)

    @property
    def said(self) -> tuple[str, str, str]:
        """Text, reasoning and refusal so far, as the provider has written them."""
        thoughts = [block.text for block in self._blocks.values() if isinstance(block, _Said) and block.reasoning]
        return self._written(), "".join(thoughts), self._refusal.text if self._refusal else ""

    @property
    def calls(self) -> tuple[CallDraft, ...]:
        """The calls so far."""
        return tuple([block for block in self._blocks.values() if isinstance(block, CallDraft)])

    def news(self) -> list[Delta]:
        """What can be handed on since this was last asked."""
        news, self._news = self._news, []
        return news

    def say(self, piece: str, at: Place = "text") -> None:
        """Takes in a piece of text, which begins a block where it is the first at its place."""
        shown = self._said(at, reasoning=False).add(piece)
        if shown and self._answer:
            shown = self._answer.add(shown)
        if shown:
            self._news.append(TextDelta(shown))

    def reason(self, piece: str, at: Place = "reasoning") -> None:
        """Takes in a piece of reasoning, which begins a block where it is the first at its place."""
        if shown := self._said(at, reasoning=True).add(piece):
            self._news.append(ReasoningDelta(shown))

    def refuse(self, piece: str) -> None:
        """Takes in a piece of a refusal, which is not handed on while it is written: another model may answer yet."""
        self._refusal = self._refusal or _Said(reasoning=False)
        self._refusal.add(piece)

    def call(self, at: Place) -> CallDraft:
        """The call at a place; it begins here where there is none."""
        block = self._blocks.get(at) or self._blocks.setdefault(at, CallDraft())
        return block if isinstance(block, CallDraft) else self.call(f"{at}'")  # a server that reuses a text's place

    def keep(self, state: State, at: Place, *, reasoning: bool) -> None:
        """Opaque state of a block of text or reasoning, which may say nothing else; or what gives it in the end."""
        self._said(at, reasoning=reasoning).state = state

    def stopped(self, reason: str, meaning: Finish | Trigger | None, told: str = "") -> CallFault | None:
        """Takes in why the provider stopped, in its own words, and what that means: None where nobody knows.

        The fault where that is no end of a reply: an unknown reason is none either, since nearly every one that
        providers have added tells of something broken off.
        """
        if meaning is None or isinstance(meaning, Trigger):
            text = f"the provider stopped with {reason!r}{': ' if told else ''}{told}"
            return CallFault(meaning or Trigger.bad_reply, scalars(text[:_TEXT_LIMIT]), final=True)
        self.end(meaning)
        return None

    def end(self, finish: Finish) -> None:
        """The reply has ended; what was held back until then can be handed on.

        A server may say so twice: a reply that was broken off stays so.
        """
        if self.finish not in _BROKEN_OFF:
            self.finish = finish
        if self._answer and (held := self._answer.close()):
            self._news.append(TextDelta(held))

    def reply(self) -> ModelReply:
        """The reply, which has ended."""
        assert self.finish is not None, "a reply that has not ended is none"
        written, refusal = self._written(), self._refusal.text if self._refusal else ""
        parts, mended = self._parts(written, refusal)
        called, said = ToolCall in map(type, parts), written or refusal
        finish = "tool_calls" if called and self.finish == "stop" else self.finish
        logprob = sum(self.logprobs) / len(self.logprobs) if self.logprobs else None
        return ModelReply(
            parts,
            "refusal" if refusal else finish,
            self.usage,
            self.model and scalars(self.model),
            logprob,
            scalars(self._raw(said) if called else said),
            mended,
        )

    def broken_off(self, fault: CallFault) -> CallFault:
        """The fault, with all that was read before it: what is to be paid for, though it is no reply."""
        usage = self.usage or (self.counted() if self.counted else None)
        final = fault.final and self.usage is not None
        return replace(fault, partial_text=self.text, written=self._all(), usage=usage, final=final)

    def _all(self) -> str:
        blocks = [b.text if isinstance(b, _Said) else f"{b.name}{b.raw}" for b in self._blocks.values()]
        return "".join([*blocks, self._refusal.text if self._refusal else ""])

    def _said(self, at: Place, *, reasoning: bool) -> _Said:
        block = self._blocks.get(at) or self._blocks.setdefault(at, _Said(reasoning=reasoning))
        if isinstance(block, _Said) and block.reasoning is reasoning:
            return block
        return self._said(f"{at}'", reasoning=reasoning)

    def _written(self) -> str:
        blocks = self._blocks.values()
        return "".join([block.text for block in blocks if isinstance(block, _Said) and not block.reasoning])

    def _parts(self, written: str, refusal: str) -> tuple[tuple[Part, ...], tuple[str, ...]]:
        card = self.encoded.card
        origin = _origin(card.provider, card.dialect, card.model) if card else None
        parts, mended = [*self._in_order(origin)], tuple[str, ...]()
        if refusal:
            parts.append(Text(refusal, origin))
        elif self._answer and written:
            said, mended = read(written, structured=self.encoded.structured)
            parts, twice = _with_said(parts, said)
            mended += twice
        anew = self._answer or ToolCall in map(type, parts)
        return _identified(parts, origin, self.encoded.body) if anew else tuple(parts), mended

    def _in_order(self, origin: Origin | None) -> Iterator[Part]:
        for block in self._blocks.values():
            if isinstance(block, CallDraft):
                yield from _calls(block, self.encoded)
            elif (text := block.text) or block.state is not None:
                state = block.state() if callable(block.state) else block.state
                yield (Reasoning if block.reasoning else Text)(text, origin, state)

    def _raw(self, written: str) -> str:
        blocks = self._blocks.values()
        calls = [f"{block.name}({block.raw})" for block in blocks if isinstance(block, CallDraft)]
        return "\n".join([written, *calls] if written else calls)


@dataclass(slots=True)
class CallDraft:
    """A call while its pieces arrive: its arguments as text, or whole where the provider gives them as an object."""

    id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list[str])
    state: str | None = None

    @property
    def raw(self) -> str:
        """The arguments as written so far."""
        return "".join(self.pieces)

    def add(self, arguments: object) -> None:
        """Takes in a piece of text, or the whole object."""
        if is_object(arguments):
            self.pieces.append(json.dumps(arguments, ensure_ascii=False))
        elif isinstance(arguments, str):
            self.pieces.append(arguments)


class _Said:
    """A block of text or reasoning while its pieces arrive; a surrogate pair split between two of them is joined."""

    def __init__(self, *, reasoning: bool) -> None:
        self.reasoning = reasoning
        self.state: State | None = None
        self._held: str = ""
        self._pieces: list[str] = []

    @property
    def text(self) -> str:
        """All that could be handed on."""
        return "".join(self._pieces)

    def add(self, piece: str) -> str:
        """What can be handed on now."""
        if not self._held and piece.isascii():
            self._pieces.append(piece)
            return piece
        piece = self._held + piece
        self._held = piece[-1:] if _FIRST_HALVES[0] <= piece[-1:] <= _FIRST_HALVES[1] else ""
        piece = scalars(piece.removesuffix(self._held))
        self._pieces.append(piece)
        return piece


_TEXT_LIMIT = 600
_origin = lru_cache(maxsize=256)(Origin)
_BROKEN_OFF: Final = ("length", "content_filter", "refusal")


def _calls(call: CallDraft, encoded: Encoded) -> Iterator[ToolCall]:
    """The call; several where a server has written the arguments of several one after the other."""
    name, declared, tool = encoded.called(call.name)
    may_be_empty = tool is not None and not sequence(tool.schema.get("required"))
    for number, raw in enumerate(_split(scalars(call.raw))):
        # A tool without arguments may be called with no text at all; that stands for {} only where {} can be meant.
        arguments: Mapping[str, Json] | None = {} if not raw.strip() and may_be_empty else parse_object(raw)
        if arguments is not None and declared is not None:
            arguments = declared.decode(arguments)
        yield ToolCall(call.id if not number else "", name, arguments, raw, provider_state=call.state)


def _with_said(parts: Sequence[Part], said: Sequence[Part]) -> tuple[list[Part], tuple[str, ...]]:
    """The parts with what their text stands for in its place, and what was mended.

    A server that reads the calls in a text itself may leave them there too: one that stands in both is one call.
    """
    beside = [part for part in parts if isinstance(part, ToolCall)]
    written = [(part.name, part.arguments) for part in said if isinstance(part, ToolCall)]
    others = [part for part in beside if (part.name, part.arguments) not in written]
    thoughts = [part for part in parts if isinstance(part, Reasoning)]
    return [*thoughts, *said, *others], (_TWICE,) * (len(others) < len(beside))


_TWICE = "a call that stood in the text and beside it was taken once"
_SPACE = " \t\r\n"
_FIRST_HALVES = (chr(0xD800), chr(0xDBFF))  # of surrogate pairs, the first and the last of them
_DECODER = json.JSONDecoder()


def _split(raw: str) -> list[str]:
    """The objects that stand one after the other in a text; the text itself where that is not what it is."""
    found: list[str] = []
    start, text = 0, raw.strip(_SPACE)
    while start < len(text):
        try:
            value, end = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            return [raw]
        if not isinstance(value, dict):
            return [raw]
        found.append(text[start:end])
        start = end + len(text[end:]) - len(text[end:].lstrip(_SPACE))
    return found if len(found) > 1 else [raw]


def _identified(parts: Sequence[Part], origin: Origin | None, body: bytes) -> tuple[Part, ...]:
    """The parts with their origin, each call under an id that neither this reply nor the request uses already."""
    seen: set[str] = set()
    result: list[Part] = []
    for index, part in enumerate(parts):
        if isinstance(part, ToolCall):
            identity = scalars(part.id)
            known = not identity or identity in seen or written(identity) in body
            chosen = f"call_{hashlib.sha256(b'%d:%b' % (index, body)).hexdigest()[:16]}" if known else identity
            seen.add(chosen)
            name, raw = scalars(part.name), scalars(part.raw)
            result.append(ToolCall(chosen, name, part.arguments, raw, origin, part.provider_state))
        else:
            result.append(part if part.origin is origin else replace(part, origin=origin))
    return tuple(result)
