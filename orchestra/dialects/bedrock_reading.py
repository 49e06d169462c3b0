"""Replies of Bedrock's Converse, whole and streamed, and its errors."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, Final

from orchestra.dialects.draft import CallDraft, Draft
from orchestra.dialects.encoded import Encoded
from orchestra.dialects.faults import http_fault, stream_fault
from orchestra.dialects.loose import count, is_count, mapping, parse_object, sequence, string
from orchestra.dialects.reading import bad_reply
from orchestra.types import CallFault, Finish, Trigger, Usage


class BedrockReading:
    """One reply of Converse. `messageStop` is its end; the usage comes after it, and is unknown where it does not."""

    def __init__(self, encoded: Encoded) -> None:
        self.draft = Draft(encoded)
        self._calls: dict[int, CallDraft] = {}
        self._states: dict[int, dict[str, str]] = {}
        self._foreign: set[int] = set()

    def event(self, name: str, data: dict[str, Any]) -> CallFault | None:
        """Takes in one event; unknown ones say nothing."""
        if name == "contentBlockStart":
            self._start(_index(data), mapping(mapping(data.get("start")).get("toolUse")))
        elif name == "contentBlockDelta":
            self._delta(_index(data), mapping(data.get("delta")))
        elif name == "messageStop":
            return self._stop(data)
        elif name == "metadata":
            self._metadata(data)
        return None

    def whole(self, data: dict[str, Any]) -> CallFault | None:
        """Takes in a body that was not streamed."""
        message = mapping(mapping(data.get("output")).get("message"))
        if "__type" in data:
            return stream_fault(_named(data))
        if not message:
            return bad_reply(f"the body holds no message: {str(data)[:80]!r}")
        for index, block in enumerate(map(mapping, sequence(message.get("content")))):
            self._block(index, block)
        self._metadata(data)
        return self._stop(data)

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

    def _delta(self, index: int, delta: dict[str, Any]) -> None:
        text, thought = string(delta.get("text")), mapping(delta.get("reasoningContent"))
        use = delta.get("toolUse")
        if use and index not in self._foreign:
            self._call(index).add(mapping(use).get("input"))
        if text:
            self.draft.say(text, index)
        if thought:
            self._reason(index, thought)

    def _call(self, index: int) -> CallDraft:
        if index not in self._calls:
            self._calls[index] = self.draft.call(f"call {len(self.draft.calls)}")
        return self._calls[index]

    def _reason(self, index: int, thought: dict[str, Any]) -> None:
        text, signature, redacted = (string(thought.get(key)) for key in ("text", "signature", "redactedContent"))
        if text:
            self.draft.reason(text, index)
        if signature or redacted:
            state = self._states.setdefault(index, {})
            if signature:
                state["signature"] = state.get("signature", "") + signature
            if redacted:
                state["redactedContent"] = _joined(state.get("redactedContent", ""), redacted)
            self.draft.keep(json.dumps(state), index, reasoning=True)

    def _stop(self, data: dict[str, Any]) -> CallFault | None:
        reason = string(data.get("stopReason"))
        return self.draft.stopped(reason, MEANINGS.get(reason)) if reason else None

    def _metadata(self, data: dict[str, Any]) -> None:
        self.draft.usage = usage(mapping(data.get("usage"))) or self.draft.usage
        router = mapping(mapping(data.get("trace")).get("promptRouter"))
        self.draft.model = string(router.get("invokedModelId")) or self.draft.model


MEANINGS: Final[Mapping[str, Finish | Trigger]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
    "malformed_tool_use": Trigger.malformed_args,
    "malformed_model_output": Trigger.bad_reply,
}
"""What each reason to stop means: an end of the reply, or a fault."""


def _index(data: dict[str, Any]) -> int:
    index = data.get("contentBlockIndex")
    return index if isinstance(index, int) else -1


def _joined(before: str, piece: str) -> str:
    """Base64 of what both hold, one after the other. Raises ValueError where one of them is no base64."""
    return b64encode(b64decode(before) + b64decode(piece)).decode() if before else piece


def usage(said: dict[str, Any]) -> Usage | None:
    """Input is what was neither read from the cache nor written to it; all of it is input. None: no counts."""
    counts = (said.get("inputTokens"), said.get("outputTokens"))
    if not all(map(is_count, counts)):
        return None
    cached, written = count(said.get("cacheReadInputTokens")), count(said.get("cacheWriteInputTokens"))
    whole = count(said.get("inputTokens")) + cached + written
    return Usage(whole, count(said.get("outputTokens")), cached_input=cached, cache_write=written)


def bedrock_fault(status: int, headers: Mapping[str, str], body: bytes) -> CallFault:
    """The error's name stands in `x-amzn-errortype` or, as in other AWS protocols, in the body's `__type` or `code`."""
    said = parse_object(body)
    said = {"message": body.decode("utf-8", "replace").strip()} if said is None else said
    named = _named(said, headers.get("x-amzn-errortype", ""))
    if not named["type"] or "error" in said:  # a proxy's, in a shape of its own
        return http_fault(status, headers, body)
    return http_fault(status, headers, json.dumps(named).encode())


def _named(said: dict[str, Any], kind: str = "") -> dict[str, str]:
    """The error as faults are read everywhere else."""
    kind = kind or string(said.get("__type")) or string(said.get("code"))
    text = string(said.get("message")) or string(said.get("Message"))
    if original := string(said.get("originalMessage")):
        text = f"{text} ({original})"
    return {"type": kind.partition(":")[0].rpartition("#")[2], "message": text}
