"""Replies of Anthropic's Messages API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from orchestra.dialects.draft import Draft
from orchestra.dialects.encoded import Encoded
from orchestra.dialects.loose import count, is_count, mapping, parse_object, sequence, string
from orchestra.dialects.reading import bad_reply
from orchestra.types import CallFault, Finish, Usage


@dataclass(slots=True)
class _Block:
    """A content block while it is open: its place in the reply, itself as it began, and the pieces of its input."""

    place: int
    began: dict[str, Any]
    pieces: list[str] = field(default_factory=list[str])

    @property
    def type(self) -> str:
        """`text`, `thinking`, `redacted_thinking`, `tool_use`, or what only the provider's own tools write."""
        return string(self.began.get("type"))


class AnthropicReading:
    """One message, whole or in events. Unknown events and deltas are nothing; unknown blocks are kept to be replayed.

    Its end is `message_stop`, after a reason to stop. What follows that is no part of it.
    Source: `anthropic.types.RawMessageStreamEvent` and `Message` of the official SDK.
    """

    def __init__(self, encoded: Encoded) -> None:
        self.draft = Draft(encoded)
        self._open: dict[int, _Block] = {}
        self._begun = 0
        self._usage: dict[str, Any] = {}
        self._reason = ""
        self._stopped = False

    def event(self, name: str, data: dict[str, Any]) -> CallFault | None:
        """Takes in an event; the type in its data is its name."""
        kind = string(data.get("type")) or name
        if self._stopped:
            return None
        if kind == "message_start":
            self._message(mapping(data.get("message")))
        elif kind == "message_delta":
            self._delta(mapping(data.get("delta")), mapping(data.get("usage")))
        elif kind == "message_stop":
            return self._stop()
        elif kind.startswith("content_block_"):
            return self._content(kind, data)
        return None

    def whole(self, data: dict[str, Any]) -> CallFault | None:
        """Takes in a body that was not streamed: the same events, all at once."""
        if not isinstance(data.get("content"), list):
            return bad_reply(f"the body holds no content: {str(data)[:80]!r}")
        events: list[dict[str, Any]] = [{"type": "message_start", "message": data}]
        for index, block in enumerate(sequence(data.get("content"))):
            events.append({"type": "content_block_start", "index": index, "content_block": block})
        events += [{"type": "message_delta", "delta": data, "usage": data.get("usage")}, {"type": "message_stop"}]
        for one in events:
            if fault := self.event("", one):
                return fault
        return None

    def _content(self, kind: str, data: dict[str, Any]) -> CallFault | None:
        index = data.get("index")
        if not isinstance(index, int):
            return bad_reply(f"{kind} without an index")
        if kind == "content_block_start":
            self._begin(index, mapping(data.get("content_block")))
        elif index not in self._open:
            return bad_reply(f"{kind} for block {index}, which is not open")
        elif kind == "content_block_delta":
            self._piece(self._open[index], mapping(data.get("delta")))
        elif kind == "content_block_stop":
            self._end(index)
        return None

    def _begin(self, index: int, began: dict[str, Any]) -> None:
        """Opens a block; an index that comes again is another block."""
        self._end(index)
        block = self._open[index] = _Block(self._begun, began)
        self._begun += 1
        if block.type == "text":
            self.draft.say(string(began.get("text")), block.place)
        elif block.type == "thinking":
            self._sign(block, began)
            self.draft.reason(string(began.get("thinking")), block.place)
        elif block.type == "tool_use":
            call = self.draft.call(block.place)
            call.id, call.name = string(began.get("id")), string(began.get("name"))
            rest = {key: value for key, value in began.items() if key not in _CALL and value is not None}
            call.state = json.dumps(rest) if rest else None
        elif block.type:  # one of no type is nothing that could go back
            self.draft.keep(json.dumps(began), block.place, reasoning=True)

    def _piece(self, block: _Block, delta: dict[str, Any]) -> None:
        kind = delta.get("type")
        if kind == "text_delta":
            self.draft.say(string(delta.get("text")), block.place)
        elif kind == "thinking_delta":
            self.draft.reason(string(delta.get("thinking")), block.place)
        elif kind == "signature_delta":
            self._sign(block, delta)
        elif kind == "input_json_delta":
            piece = string(delta.get("partial_json"))
            block.pieces.append(piece)
            if block.type == "tool_use":
                self.draft.call(block.place).add(piece)

    def _end(self, index: int) -> None:
        """Closes a block. An input that did not come in pieces is the one it began with."""
        block = self._open.pop(index, None)
        if block is None:
            return
        written = "".join(block.pieces)
        if block.type == "tool_use" and not written:
            self.draft.call(block.place).add(block.began.get("input"))
        elif written and "input" in block.began and block.type != "tool_use":
            kept = block.began | {"input": parse_object(written) or {}}
            self.draft.keep(json.dumps(kept), block.place, reasoning=True)

    def _sign(self, block: _Block, signed: dict[str, Any]) -> None:
        if signature := string(signed.get("signature")):
            state = json.dumps({"type": "thinking", "signature": signature})
            self.draft.keep(state, block.place, reasoning=True)

    def _message(self, message: dict[str, Any]) -> None:
        self.draft.model = string(message.get("model")) or self.draft.model
        self._usage = mapping(message.get("usage"))
        self.draft.counted = partial(usage, self._usage)

    def _delta(self, stop: dict[str, Any], counts: dict[str, Any]) -> None:
        self._reason = string(stop.get("stop_reason")) or self._reason
        if self._reason == "refusal":
            self.draft.refuse(string(mapping(stop.get("stop_details")).get("explanation")))
        # Counts are totals so far; where one is left out, that of the beginning stands.
        self._usage = self._usage | {name: value for name, value in counts.items() if value is not None}
        if counts:
            self.draft.usage = usage(self._usage)

    def _stop(self) -> CallFault | None:
        self._stopped = self.draft.over = True
        for index in [*self._open]:
            self._end(index)
        return self.draft.stopped(self._reason, _MEANINGS.get(self._reason)) if self._reason else None


_CALL = frozenset({"type", "id", "name", "input"})
_MEANINGS: Final[Mapping[str, Finish]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "length",  # the provider's own tools have more to do: whatever stands there is unfinished
    "refusal": "refusal",
}


def usage(said: dict[str, Any]) -> Usage | None:
    """None where the counts are no counts. The provider's input leaves out what was read from or put into the cache."""
    fresh, output = said.get("input_tokens"), said.get("output_tokens")
    read, made = said.get("cache_read_input_tokens") or 0, said.get("cache_creation_input_tokens") or 0
    thought = mapping(said.get("output_tokens_details")).get("thinking_tokens") or 0
    if not all(map(is_count, (fresh, output, read, made, thought))):
        return None
    return Usage(count(fresh) + count(read) + count(made), count(output), count(read), count(thought), count(made))
