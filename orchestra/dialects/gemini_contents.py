"""A conversation as Gemini's contents: turns of user and model, each of parts, every part with its own opaque state."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Any, Final

from orchestra.dialects.asked import Asked
from orchestra.dialects.loose import parse_object, string
from orchestra.types import Document, Image, Message, Part, Reasoning, Text, ToolCall, ToolResult
from orchestra.types.message import apart

UNSIGNED: Final = "skip_thought_signature_validator"
"""Stands for the signature that a call of another model cannot have (ai.google.dev, "Thought signatures")."""

_SINCE_3 = re.compile(r"gemini-(?:[3-9]|\d\d|(?:[a-z]+-)+latest)")


def since_gemini_3(model: str) -> bool:
    """Whether a model's name says Gemini 3 or later, as `…-latest` does by now.

    These, and only these, check the signatures of the current turn's calls, take structured output beside tools, media
    inside results, and a level of thinking. A name that says nothing (a tuned model's) counts as older: what older
    models are sent the newer ones understand as well.
    """
    return _SINCE_3.search(model) is not None


def contents(said: Asked) -> tuple[dict[str, Any], tuple[str, ...]]:
    """`systemInstruction` and `contents`, and notes on what could not be said where it was said.

    A part goes back with the signature it came with, and a call, with its result, with the id that the provider
    gave it; where it gave none, none is sent. Reasoning without a signature means nothing to the model and stays out.
    """
    return _Spelling(said).sections()


class _Spelling:
    """One conversation while it is spelled."""

    def __init__(self, said: Asked) -> None:
        self.said = said
        self.since_3 = since_gemini_3(said.card.model)
        self.calls = {
            part.id: part for message in said.messages for part in message.parts if isinstance(part, ToolCall)
        }
        self.notes: list[str] = []

    def sections(self) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Both sections, the first only where there is a system prompt."""
        turns = self._turns()
        if self.since_3:
            _sign(turns)
        system = self._system()
        section: dict[str, Any] = {"systemInstruction": {"parts": system}} if system else {}
        return section | {"contents": turns}, tuple(dict.fromkeys(self.notes))

    def _system(self) -> list[dict[str, Any]]:
        messages = self.said.messages
        places = [index for index, message in enumerate(messages) if message.role == "system"]
        if places != list(range(len(places))):
            self.notes.append("system messages moved to the front: Gemini has one place for them")
        parts = [part for index in places for part in messages[index].parts]
        return [{"text": part.text} for part in parts if isinstance(part, Text)]

    def _turns(self) -> list[dict[str, Any]]:
        """Turns in order; a model's neighbouring ones are one, for a call may not follow another turn of the model."""
        turns: list[dict[str, Any]] = []
        for message in self.said.messages:
            for turn in self._of(message):
                if turns and turn["role"] == turns[-1]["role"] == "model":
                    turns[-1]["parts"] += turn["parts"]
                elif turn["parts"]:
                    turns.append(turn)
        return turns

    def _of(self, message: Message) -> Iterator[dict[str, Any]]:
        if message.role == "tool":
            results = [part for part in message.parts if isinstance(part, ToolResult)]
            yield _turn("user", [self._result(result) for result in results])
            if not self.since_3:
                yield _turn("user", [part for result in results for part in self._following(result)])
        elif message.role != "system":
            parts = [self._part(part) for part in message.parts]
            yield _turn("model" if message.role == "assistant" else "user", [part for part in parts if part])

    def _part(self, part: Part) -> dict[str, Any]:
        """A part on the wire; empty where nothing of it is said."""
        if isinstance(part, ToolCall):
            function = {"name": self.said.names[part.name], "args": self.said.arguments(part)}
            return {"functionCall": _identity(part) | function} | _signature(part)
        if isinstance(part, Text):
            return {"text": part.text} | _signature(part)
        if isinstance(part, Image | Document):
            return self._medium(part)
        return self._reasoning(part) if isinstance(part, Reasoning) else {}

    def _reasoning(self, part: Reasoning) -> dict[str, Any]:
        """A signed thought, or a part of another kind that was kept whole (code the model ran, an image it drew)."""
        state, signature = _state(part), _signature(part)
        if state.keys() - {"thoughtSignature"}:
            return state
        if signature:
            return {"text": part.text, "thought": True} | signature
        self.notes.append("reasoning left out: it came without a signature")
        return {}

    def _result(self, result: ToolResult) -> dict[str, Any]:
        call = self.calls[result.call_id]
        text = apart(result.content)
        media = _media(result)
        if media and not self.since_3:
            text = text or "[see the next message]"
        said = {"name": self.said.names[call.name], "response": {"error" if result.is_error else "output": text}}
        nested = {"parts": [self._medium(part) for part in media]} if media and self.since_3 else {}
        return {"functionResponse": _identity(call) | said | nested}

    def _following(self, result: ToolResult) -> Iterator[dict[str, Any]]:
        """What a result shows, in a turn of its own: older models count what stands beside results as results."""
        if media := _media(result):
            self.notes.append(
                f"media returned by {result.name} moved after the results: {self.said.card.name} takes none inside them"
            )
            yield {"text": f"Returned by {result.name}:"}
            yield from (self._medium(part) for part in media)

    def _medium(self, part: Image | Document) -> dict[str, Any]:
        if isinstance(part, Document) and part.name:
            self.notes.append(f"document name {part.name!r} left out: Gemini has no place for it")
        if part.url is not None:
            known = {} if part.media_type == "image/*" else {"mimeType": part.media_type}
            return {"fileData": known | {"fileUri": part.url}}
        return {"inlineData": {"mimeType": part.media_type, "data": part.data}}


def _turn(role: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {"role": role, "parts": parts}


def _media(result: ToolResult) -> list[Image | Document]:
    return [part for part in result.content if not isinstance(part, Text)]


def _state(part: Part) -> dict[str, Any]:
    return (parse_object(part.provider_state) or {}) if part.provider_state else {}


def _identity(call: ToolCall) -> dict[str, Any]:
    identity = string(_state(call).get("id"))
    return {"id": identity} if identity else {}


def _signature(part: Part) -> dict[str, Any]:
    signature = string(_state(part).get("thoughtSignature"))
    return {"thoughtSignature": signature} if signature else {}


def _sign(turns: Sequence[dict[str, Any]]) -> None:
    """Marks the unsigned first call of every step of the current turn, which is all that is checked."""
    for turn in takewhile(_goes_on, reversed(turns)):
        first = next((part for part in turn["parts"] if "functionCall" in part), None)
        if first is not None:
            first.setdefault("thoughtSignature", UNSIGNED)


def _goes_on(turn: dict[str, Any]) -> bool:
    """Whether it is the model's, or brings results: what else the user says begins a turn in Google's sense."""
    return turn["role"] == "model" or any("functionResponse" in part for part in turn["parts"])
