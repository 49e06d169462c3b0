"""Replies of Cohere's v2 chat: typed events, a plan beside the calls, citations that are not read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from orchestra.dialects.draft import CallDraft, Draft
from orchestra.dialects.encoded import Encoded
from orchestra.dialects.faults import stream_fault
from orchestra.dialects.loose import count, is_count, is_object, logprobs, mapping, sequence, string
from orchestra.dialects.reading import bad_reply
from orchestra.types import CallFault, Finish, Trigger, Usage

PLAN: Final = "tool_plan"
"""The state of a reasoning that came as `tool_plan`, and goes back as such."""


class CohereReading:
    """One reply, whole or in events. Its end is a finish reason, which comes with `message-end`."""

    def __init__(self, encoded: Encoded) -> None:
        self.draft = Draft(encoded)
        self._calls: dict[int, CallDraft] = {}

    def event(self, name: str, data: dict[str, Any]) -> CallFault | None:
        """Takes in one event; kinds to come, citations and debugging are passed over."""
        kind = string(data.get("type")) or name
        delta, index = mapping(data.get("delta")), data.get("index")
        message = mapping(delta.get("message"))
        if kind in ("content-start", "content-delta"):
            self._log(data.get("logprobs"))
            self._content(mapping(message.get("content")), f"content {index}")
        elif kind == "tool-plan-delta":
            self._plan(string(message.get("tool_plan")))
        elif kind in ("tool-call-start", "tool-call-delta"):
            self._call(mapping(message.get("tool_calls")), index, begins=kind == "tool-call-start")
        elif kind == "message-end":
            return self._end(delta)
        elif "type" not in data and "message" in data:
            return stream_fault(data)  # Cohere's error object is no more than its message
        return None

    def whole(self, data: dict[str, Any]) -> CallFault | None:
        """Takes in a body that was not streamed."""
        message = data.get("message")
        if not is_object(message):
            return stream_fault(data) if message else bad_reply(f"the body holds no message: {str(data)[:80]!r}")
        self._plan(string(message.get("tool_plan")))
        for index, content in enumerate(_contents(message.get("content"))):
            self._content(content, f"content {index}")
        for index, call in enumerate(sequence(message.get("tool_calls"))):
            self._call(mapping(call), index, begins=True)
        for said in sequence(data.get("logprobs")):
            self._log(said)
        return self._end(data)

    def _content(self, content: dict[str, Any], place: str) -> None:
        if thought := string(content.get("thinking")):
            self.draft.reason(thought, f"{place} thinking")
        if text := string(content.get("text")):
            self.draft.say(text, place)

    def _plan(self, piece: str) -> None:
        if piece:
            self.draft.keep(PLAN, PLAN, reasoning=True)
            self.draft.reason(piece, PLAN)

    def _call(self, piece: dict[str, Any], index: object, *, begins: bool) -> None:
        if not isinstance(index, int):
            index = len(self._calls) if begins else max(self._calls, default=0)
        if begins or index not in self._calls:
            self._calls[index] = self.draft.call(f"call {len(self.draft.calls)}")
        call, function = self._calls[index], mapping(piece.get("function"))
        call.id = call.id or string(piece.get("id"))
        call.name = call.name or string(function.get("name"))
        call.add(function.get("arguments"))

    def _log(self, said: object) -> None:
        found = sequence(mapping(said).get("logprobs"))
        self.draft.logprobs += logprobs(found)

    def _end(self, said: dict[str, Any]) -> CallFault | None:
        self.draft.usage = usage(mapping(said.get("usage"))) or self.draft.usage
        reason = string(said.get("finish_reason"))
        return self.draft.stopped(reason, _MEANINGS.get(reason), string(said.get("error"))) if reason else None


_MEANINGS: Final[Mapping[str, Finish | Trigger]] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR": Trigger.server_error,
    "TIMEOUT": Trigger.timeout,
}


def usage(said: dict[str, Any]) -> Usage | None:
    """What is billed, for that is what a price is of; what was counted where nothing is said of billing."""
    for counted in (mapping(said.get("billed_units")), mapping(said.get("tokens"))):
        numbers = [counted.get("input_tokens"), counted.get("output_tokens")]
        if all(map(is_count, numbers)):
            sent = count(numbers[0])
            # The cache counts all tokens of the prompt, also those that are not billed.
            return Usage(sent, count(numbers[1]), min(sent, count(said.get("cached_tokens"))))
    return None


def _contents(content: object) -> list[dict[str, Any]]:
    return [{"text": content}] if isinstance(content, str) else [mapping(one) for one in sequence(content)]
