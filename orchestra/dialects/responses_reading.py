"""Replies of OpenAI's Responses: output items, whole or as events."""

from __future__ import annotations

import json
from dataclasses import dataclass
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
        self._items: list[_Item] = []
        self._latest: dict[Index, _Item] = {}
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
            take(data, self._open(index) if kind == _ADDED else self._item(index))
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
        if not self._items:
            for item in sequence(response.get("output")):
                self._done({"item": item}, self._open())
        if status not in ("completed", "incomplete"):
            error = {"code": status or "no status", "message": "the response was not completed"}
            return stream_fault(response.get("error") or error)
        if status == "completed" and (broken := next((one.kind for one in self._items if one.incomplete), "")):
            return bad_reply(f"the response is called completed, but its {broken} incomplete")
        self.draft.end("stop" if status == "completed" else _why(response))
        self.draft.over = True
        return None

    def _open(self, index: Index = "") -> _Item:
        """An item that begins; a server may give several of them one index."""
        item = self._latest[index] = _Item(len(self._items))
        self._items.append(item)
        return item

    def _item(self, index: Index) -> _Item:
        return self._latest.get(index) or self._open(index)

    def _added(self, data: dict[str, Any], item: _Item) -> None:
        """An item begins, and keeps its place among the others. What it holds already may not be complete."""
        said = mapping(data.get("item"))
        kind = said.get("type")
        if kind == "message":
            self.draft.say("", item.place)
        elif kind == "reasoning":
            self.draft.reason("", item.place)
        elif kind == "function_call":
            self._name(said, item)

    def _done(self, data: dict[str, Any], item: _Item) -> None:
        said = mapping(data.get("item"))
        if read := self._reads.get(string(said.get("type"))):
            read(said, item)
            item.kind, item.incomplete = string(said.get("type")), said.get("status") == "incomplete"
        item.written = True

    def _message(self, said: dict[str, Any], item: _Item) -> None:
        pieces = [mapping(piece) for piece in sequence(said.get("content"))]
        for piece in () if item.written else pieces:
            self.draft.logprobs += token_logprobs(piece.get("logprobs"))
            self.draft.refuse(string(piece.get("refusal")))
            self.draft.say(string(piece.get("text")), item.place)
        if any(piece.get("text") for piece in pieces):
            self.draft.keep(_state(said, "type", "role", "content"), item.place, reasoning=False)

    def _reasoning(self, said: dict[str, Any], item: _Item) -> None:
        texts = [string(mapping(piece).get("text")) for key in _THOUGHT for piece in sequence(said.get(key))]
        # With neither of these the provider would have to look the item up, and it was told to store nothing. It takes
        # what was thought openly only from models that encrypt nothing.
        if said.get("encrypted_content"):
            self.draft.keep(_state(said, "content"), item.place, reasoning=True)
        elif said.get("content"):
            self.draft.keep(_state(said), item.place, reasoning=True)
        if not item.written:
            self.draft.reason(_APART.join(filter(None, texts)), item.place)

    def _call(self, said: dict[str, Any], item: _Item) -> None:
        self._name(said, item)
        self.draft.call(item.place).state = _state(said, "type", "call_id", "name", "arguments")
        self._arguments(said, item)

    def _name(self, said: dict[str, Any], item: _Item) -> None:
        call = self.draft.call(item.place)
        call.id = string(said.get("call_id")) or call.id
        call.name = string(said.get("name")) or call.name

    def _piece(self, data: dict[str, Any], item: _Item) -> None:
        self.draft.call(item.place).add(data.get("delta"))

    def _arguments(self, data: dict[str, Any], item: _Item) -> None:
        """The arguments in full stand for all their pieces."""
        call = self.draft.call(item.place)
        if whole := data.get("arguments"):
            call.pieces.clear()
            call.add(whole)

    def _text(self, data: dict[str, Any], item: _Item) -> None:
        item.written = True
        self.draft.logprobs += token_logprobs(data.get("logprobs"))
        self.draft.say(string(data.get("delta")), item.place)

    def _refusal(self, data: dict[str, Any], item: _Item) -> None:
        item.written = True
        self.draft.refuse(string(data.get("delta")))

    def _thought(self, data: dict[str, Any], item: _Item) -> None:
        item.written = True
        paragraph = (string(data.get("type")), _index(data, "summary_index", "content_index"))
        apart = item.paragraph not in (None, paragraph)
        item.paragraph = paragraph
        self.draft.reason(_APART * apart + string(data.get("delta")), item.place)


@dataclass(slots=True)
class _Item:
    """An output item while it is read: its place among the others, and whether its text has been taken in.

    `paragraph` is the one of its thoughts that was written last; `kind` and `incomplete` are what its end has said.
    """

    place: int
    written: bool = False
    paragraph: tuple[str, Index] | None = None
    kind: str = ""
    incomplete: bool = False


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
    "total_tokens": "total_tokens",
}
