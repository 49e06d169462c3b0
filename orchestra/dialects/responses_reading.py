"""Replies of OpenAI's Responses: output items, whole or as events."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

from orchestra.dialects.chat_reading import token_logprobs, usage
from orchestra.dialects.draft import Draft
from orchestra.dialects.encoded import Encoded
from orchestra.dialects.faults import stream_fault
from orchestra.dialects.loose import mapping, sequence, string
from orchestra.dialects.reading import bad_reply
from orchestra.types import CallFault, Finish, Usage

Index: TypeAlias = int | str


class ResponsesReading:
    """One response. Its items are told apart by their place in the output, which every event names."""

    def __init__(self, encoded: Encoded) -> None:
        self.draft = Draft(encoded)
        self._incomplete = ""  # the kind of an item that its provider calls so
        self._opened = 0
        self._places: dict[Index, int] = {}
        self._written: set[int] = set()
        self._paragraphs: dict[int, tuple[str, Index]] = {}
        self._takes = {
            _ADDED: self._added,
            "response.output_item.done": self._done,
            "response.output_text.delta": self._text,
            "response.refusal.delta": self._refusal,
            "response.reasoning_summary_text.delta": self._thought,
            "response.reasoning_text.delta": self._thought,
            "response.function_call_arguments.delta": self._piece,
            "response.function_call_arguments.done": self._arguments,
        }
        self._reads = {"message": self._message, "reasoning": self._reasoning, "function_call": self._call}

    def event(self, name: str, data: dict[str, Any]) -> CallFault | None:
        """Takes in an event; one of a kind that is not known here says nothing of text, reasoning, calls or the end."""
        kind = string(data.get("type")) or name
        if take := self._takes.get(kind):
            index = _index(data, "output_index", "item_id")
            take(data, self._open(index) if kind == _ADDED else self._place(index))
            return None
        response = mapping(data.get("response"))
        self._described(response)
        if ended := _ENDS.get(kind):
            own = string(response.get("status"))  # vLLM completes even what it calls incomplete itself
            return self._end(own if own and ended == "completed" else ended, response)
        return stream_fault(data) if kind == "error" else None

    def whole(self, data: dict[str, Any]) -> CallFault | None:
        """Takes in a response that was not streamed."""
        if not isinstance(data.get("output"), list):
            return bad_reply(f"the body holds no output but {', '.join(data)[:80]!r}")
        self._described(data)
        return self._end(string(data.get("status")), data)

    def _described(self, response: dict[str, Any]) -> None:
        self.draft.model = string(response.get("model")) or self.draft.model
        self.draft.usage = _usage(mapping(response.get("usage"))) or self.draft.usage

    def _end(self, status: str, response: dict[str, Any]) -> CallFault | None:
        """The response's own end; its items are read here only where no event has told of any."""
        if not self._opened:
            for item in sequence(response.get("output")):
                self._done({"item": item}, self._open())
        if status not in ("completed", "incomplete"):
            error = {"code": status or "no status", "message": "the response was not completed"}
            return stream_fault(response.get("error") or error)
        if status == "completed" and self._incomplete:
            return bad_reply(f"the response is called completed, but its {self._incomplete} incomplete")
        self.draft.end("stop" if status == "completed" else _why(response))
        return None

    def _open(self, index: Index = "") -> int:
        """The place of an item that begins; a server may give several of them one index."""
        self._opened += 1
        self._places[index] = self._opened
        return self._opened

    def _place(self, index: Index) -> int:
        return self._places.get(index) or self._open(index)

    def _added(self, data: dict[str, Any], place: int) -> None:
        """An item begins, and keeps its place among the others. What it holds already may not be complete."""
        item = mapping(data.get("item"))
        kind = item.get("type")
        if kind == "message":
            self.draft.say("", place)
        elif kind == "reasoning":
            self.draft.reason("", place)
        elif kind == "function_call":
            self._name(item, place)

    def _done(self, data: dict[str, Any], place: int) -> None:
        item = mapping(data.get("item"))
        kind = string(item.get("type"))
        if read := self._reads.get(kind):
            read(item, place)
            self._incomplete = kind if item.get("status") == "incomplete" else self._incomplete
        self._written.add(place)

    def _message(self, item: dict[str, Any], place: int) -> None:
        pieces = [mapping(piece) for piece in sequence(item.get("content"))]
        for piece in () if place in self._written else pieces:
            self.draft.logprobs += token_logprobs(piece.get("logprobs"))
            self.draft.refuse(string(piece.get("refusal")))
            self.draft.say(string(piece.get("text")), place)
        if any(piece.get("text") for piece in pieces):
            self.draft.keep(_state(item, "type", "role", "content"), place, reasoning=False)

    def _reasoning(self, item: dict[str, Any], place: int) -> None:
        texts = [string(mapping(piece).get("text")) for key in _THOUGHT for piece in sequence(item.get(key))]
        # With neither of these the provider would have to look the item up, and it was told to store nothing. It takes
        # what was thought openly only from models that encrypt nothing.
        if item.get("encrypted_content"):
            self.draft.keep(_state(item, "content"), place, reasoning=True)
        elif item.get("content"):
            self.draft.keep(_state(item), place, reasoning=True)
        if place not in self._written:
            self.draft.reason(_APART.join(filter(None, texts)), place)

    def _call(self, item: dict[str, Any], place: int) -> None:
        self._name(item, place)
        self.draft.call(place).state = _state(item, "type", "call_id", "name", "arguments")
        self._arguments(item, place)

    def _name(self, item: dict[str, Any], place: int) -> None:
        call = self.draft.call(place)
        call.id = string(item.get("call_id")) or call.id
        call.name = string(item.get("name")) or call.name

    def _piece(self, data: dict[str, Any], place: int) -> None:
        self.draft.call(place).add(data.get("delta"))

    def _arguments(self, data: dict[str, Any], place: int) -> None:
        """The arguments in full stand for all their pieces."""
        call = self.draft.call(place)
        if whole := data.get("arguments"):
            call.pieces.clear()
            call.add(whole)

    def _text(self, data: dict[str, Any], place: int) -> None:
        self._written.add(place)
        self.draft.logprobs += token_logprobs(data.get("logprobs"))
        self.draft.say(string(data.get("delta")), place)

    def _refusal(self, data: dict[str, Any], place: int) -> None:
        self._written.add(place)
        self.draft.refuse(string(data.get("delta")))

    def _thought(self, data: dict[str, Any], place: int) -> None:
        self._written.add(place)
        paragraph = (string(data.get("type")), _index(data, "summary_index", "content_index"))
        before = self._paragraphs.get(place, paragraph)
        self._paragraphs[place] = paragraph
        piece = string(data.get("delta"))
        self.draft.reason(piece if before == paragraph else f"{_APART}{piece}", place)


_ADDED = "response.output_item.added"
_ENDS = {"response.completed": "completed", "response.incomplete": "incomplete", "response.failed": "failed"}
_THOUGHT = ("summary", "content")  # open models show what they thought, OpenAI's a summary of it at most
_APART = "\n\n"


def _index(data: dict[str, Any], *names: str) -> Index:
    """The first of these fields that can tell one item or part from another."""
    found = [value for name in names if isinstance(value := data.get(name), int | str)]
    return found[0] if found else ""


def _why(response: dict[str, Any]) -> Finish:
    """Why a response is incomplete: whatever the reason, it is no whole answer, even if the reason is a new one."""
    reason = mapping(response.get("incomplete_details")).get("reason")
    return "content_filter" if reason == "content_filter" else "length"


def _state(item: dict[str, Any], *said: str) -> str:
    """The item but for what its part says and for nulls, which are output only: it goes back as it came."""
    kept = {name: value for name, value in item.items() if value is not None and name not in said}
    return "" if _deep(kept) else json.dumps(kept)


def _deep(value: object, levels: int = 16) -> bool:
    """Whether a value is nested so that it is none of the provider's, and could be too deep to be written again."""
    inner = mapping(value).values() or sequence(value)
    return levels == 0 or any(_deep(one, levels - 1) for one in inner)


def _usage(said: dict[str, Any]) -> Usage | None:
    """What chat completions say too, under other names."""
    return usage({theirs: said.get(name) for theirs, name in _COUNTS.items()})


_COUNTS = {
    "prompt_tokens": "input_tokens",
    "completion_tokens": "output_tokens",
    "prompt_tokens_details": "input_tokens_details",
    "completion_tokens_details": "output_tokens_details",
}
