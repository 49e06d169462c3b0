"""Replies of Bedrock's Converse, whole and streamed, and its errors."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from orchestra.dialects.codec import Delta, Encoded
from orchestra.dialects.draft import CallDraft, Draft
from orchestra.dialects.faults import http_fault
from orchestra.dialects.loose import count, mapping, parse_object, sequence, string
from orchestra.dialects.reading import bad_reply
from orchestra.types import CallFault, Finish, Usage


class BedrockReading:
    """One reply of Converse. `messageStop` is its end; the usage comes after it, and is unknown where it does not."""

    def __init__(self, encoded: Encoded) -> None:
        self.draft = Draft(encoded)
        self._calls: dict[int, CallDraft] = {}
        self._states: dict[int, dict[str, str]] = {}
        self._foreign: set[int] = set()

    @property
    def ended(self) -> bool:
        """Whether the stop reason has come."""
        return self.draft.finish is not None

    def event(self, name: str, data: dict[str, Any]) -> Sequence[Delta]:
        """Takes in one event; unknown ones say nothing."""
        if name == "contentBlockStart":
            self._start(_index(data), mapping(mapping(data.get("start")).get("toolUse")))
        elif name == "contentBlockDelta":
            return self._delta(_index(data), mapping(data.get("delta")))
        elif name == "messageStop":
            return self._stop(data)
        elif name == "metadata":
            self._metadata(data)
        return ()

    def whole(self, data: dict[str, Any]) -> CallFault | None:
        """Takes in a body that was not streamed."""
        message = mapping(mapping(data.get("output")).get("message"))
        if not message or not string(data.get("stopReason")):
            return bad_reply(f"the body holds no message with a stop reason: {str(data)[:80]!r}")
        for index, block in enumerate(map(mapping, sequence(message.get("content")))):
            self._block(index, block)
        self._metadata(data)
        self._stop(data)
        return None

    def _block(self, index: int, block: dict[str, Any]) -> None:
        """A whole block as what a stream would have said of it."""
        use, thought = mapping(block.get("toolUse")), mapping(block.get("reasoningContent"))
        self._start(index, use)
        for piece in map(mapping, sequence(mapping(block.get("citationsContent")).get("content"))):
            self._delta(index, {"text": piece.get("text")})
        self._delta(
            index,
            {
                "text": block.get("text"),
                "toolUse": use,
                "reasoningContent": thought | mapping(thought.get("reasoningText")),
            },
        )

    def _start(self, index: int, use: dict[str, Any]) -> None:
        if use.get("type"):  # a tool that runs at the provider: none of ours
            self._foreign.add(index)
        elif use:
            # The place is new: a call never continues another, even where a server uses an index twice.
            call = self._calls[index] = self.draft.call(f"call {len(self.draft.calls)}")
            call.id, call.name = string(use.get("toolUseId")), string(use.get("name"))

    def _delta(self, index: int, delta: dict[str, Any]) -> list[Delta]:
        text, thought = string(delta.get("text")), mapping(delta.get("reasoningContent"))
        use = delta.get("toolUse")
        if use and index not in self._foreign:
            self._call(index).add(mapping(use).get("input"))
        deltas = self.draft.say(text, index) if text else []
        return [*deltas, *self._reason(index, thought)] if thought else deltas

    def _call(self, index: int) -> CallDraft:
        if index not in self._calls:
            self._calls[index] = self.draft.call(f"call {len(self.draft.calls)}")
        return self._calls[index]

    def _reason(self, index: int, thought: dict[str, Any]) -> list[Delta]:
        text, signature, redacted = (string(thought.get(key)) for key in ("text", "signature", "redactedContent"))
        deltas = self.draft.reason(text, index) if text else []
        if signature or redacted:
            state = self._states.setdefault(index, {})
            if signature:
                state["signature"] = state.get("signature", "") + signature
            if redacted:
                state["redactedContent"] = _joined(state.get("redactedContent", ""), redacted)
            self.draft.keep(json.dumps(state), index, reasoning=True)
        return deltas

    def _stop(self, data: dict[str, Any]) -> list[Delta]:
        self.draft.finish = _FINISH.get(string(data.get("stopReason")), "other")
        return self.draft.ended()

    def _metadata(self, data: dict[str, Any]) -> None:
        self.draft.usage = usage(mapping(data.get("usage"))) or self.draft.usage
        router = mapping(mapping(data.get("trace")).get("promptRouter"))
        self.draft.model = string(router.get("invokedModelId")) or self.draft.model


_FINISH: dict[str, Finish] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
}


def _index(data: dict[str, Any]) -> int:
    index = data.get("contentBlockIndex")
    return index if isinstance(index, int) else -1


def _joined(before: str, piece: str) -> str:
    """Base64 of what both hold, one after the other. Raises ValueError where one of them is no base64."""
    return b64encode(b64decode(before) + b64decode(piece)).decode() if before else piece


def usage(said: dict[str, Any]) -> Usage | None:
    """Input is what was neither read from the cache nor written to it; all of it is input. None: no counts."""
    counts = (said.get("inputTokens"), said.get("outputTokens"))
    if not all(isinstance(one, int) and not isinstance(one, bool) and one >= 0 for one in counts):
        return None
    cached, written = count(said.get("cacheReadInputTokens")), count(said.get("cacheWriteInputTokens"))
    whole = count(said.get("inputTokens")) + cached + written
    return Usage(whole, count(said.get("outputTokens")), cached_input=cached, cache_write=written)


def bedrock_fault(status: int, headers: Mapping[str, str], body: bytes) -> CallFault:
    """The error's name stands in `x-amzn-errortype` or, as in other AWS protocols, in the body's `__type` or `code`."""
    said = parse_object(body)
    said = {"message": body.decode("utf-8", "replace").strip()} if said is None else said
    kind = headers.get("x-amzn-errortype") or string(said.get("__type")) or string(said.get("code"))
    if not kind or "error" in said:  # a proxy's, in a shape of its own
        return http_fault(status, headers, body)
    text = string(said.get("message")) or string(said.get("Message"))
    told = {"type": kind.partition(":")[0].rpartition("#")[2], "message": text}
    if original := string(said.get("originalMessage")):
        told["message"] = f"{text} ({original})"
    return http_fault(status, headers, json.dumps(told).encode())
