"""Replies of Google's generateContent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from orchestra.dialects.draft import CallDraft, Draft
from orchestra.dialects.encoded import Encoded
from orchestra.dialects.gemini_arguments import assembled
from orchestra.dialects.loose import is_count, json_text, logprobs, mapping, parse_object, sequence, string
from orchestra.types import CallFault, Finish, Trigger, Usage


class GeminiReading:
    """One GenerateContentResponse, whole or in chunks.

    A part with a signature is a part of the reply of its own, since it goes back exactly as it came; texts without
    one that follow each other are one part. Its end is a finish reason: "if empty, the model has not stopped
    generating".
    """

    def __init__(self, encoded: Encoded) -> None:
        self.draft = Draft(encoded)
        self._place = 0
        self._running: bool | None = None  # whether the text that may go on is a thought
        self._open: tuple[CallDraft, list[Any]] | None = None  # a call whose arguments are arriving in pieces

    def event(self, name: str, data: dict[str, Any]) -> CallFault | None:  # noqa: ARG002  # Google names none
        """Takes in a chunk."""
        self.draft.model = string(data.get("modelVersion")) or self.draft.model
        self.draft.usage = usage(mapping(data.get("usageMetadata"))) or self.draft.usage
        candidate = _first(data)
        if not candidate and (reason := string(mapping(data.get("promptFeedback")).get("blockReason"))):
            return CallFault(Trigger.content_filter, f"the prompt was blocked: {reason[:80]}", final=True)
        for part in map(mapping, sequence(mapping(candidate.get("content")).get("parts"))):
            self._part(part)
        self.draft.logprobs += _logprobs(mapping(candidate.get("logprobsResult")))
        reason = string(candidate.get("finishReason"))
        if reason in ("", "FINISH_REASON_UNSPECIFIED"):
            return None
        return self.draft.stopped(reason, MEANINGS.get(reason), string(candidate.get("finishMessage")))

    def whole(self, data: dict[str, Any]) -> CallFault | None:
        """Takes in a body that was not streamed."""
        return self.event("", data)

    def _part(self, part: dict[str, Any]) -> None:
        state = _fields(thoughtSignature=part.get("thoughtSignature"))
        if "functionCall" in part:
            self._call(mapping(part["functionCall"]), state)
        elif _KEPT & part.keys():
            self.draft.keep(json.dumps(part), self._next(), reasoning=True)
        else:
            self._text(part, state)

    def _text(self, part: dict[str, Any], state: dict[str, str]) -> None:
        text, thought = string(part.get("text")), part.get("thought") is True
        if state:
            self.draft.keep(json.dumps(state), self._next(), reasoning=thought)
        elif text and thought is not self._running:
            self._next(thought)
        if text:
            (self.draft.reason if thought else self.draft.say)(text, self._place)

    def _next(self, running: bool | None = None) -> int:  # noqa: FBT001  # what runs on from here
        self._place, self._running = self._place + 1, running
        return self._place

    def _call(self, function: dict[str, Any], signed: dict[str, str]) -> None:
        """A call, or more of the one whose arguments are arriving."""
        name, identity = string(function.get("name")), string(function.get("id"))
        if self._open is None or _another(self._open[0], name, identity):
            self._open = self.draft.call(self._next()), []
        call, pieces = self._open
        call.name, call.id = call.name or name, call.id or identity
        state = (parse_object(call.state or "") or {}) | _fields(id=identity) | signed
        call.state = json.dumps(state) if state else None
        pieces += sequence(function.get("partialArgs"))
        if function.get("willContinue") is True:
            call.pieces = [_UNFINISHED]
        else:
            call.pieces, self._open = [_arguments(function, pieces)], None


MEANINGS: Final[Mapping[str, Finish | Trigger]] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",  # the output limit of one request, lower than the one that was asked for
    **dict.fromkeys(
        ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "ESCALATION", "MODEL_ARMOR"),
        "content_filter",
    ),
    **dict.fromkeys(("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"), "content_filter"),
    # No reply at all: nothing of what came with these may be used.
    "MALFORMED_FUNCTION_CALL": Trigger.malformed_args,
    "UNEXPECTED_TOOL_CALL": Trigger.unknown_tool,
    "TOO_MANY_TOOL_CALLS": Trigger.no_progress,
    "MISSING_THOUGHT_SIGNATURE": Trigger.bad_request,
    "PUP_LIMITED_DISABLED": Trigger.auth,  # the account is limited or disabled
    **dict.fromkeys(("MALFORMED_RESPONSE", "OTHER", "LANGUAGE", "IMAGE_OTHER", "NO_IMAGE"), Trigger.bad_reply),
}
"""What each reason to stop means: an end of the reply, or a fault."""
# Parts that only go back: what Google's own tools ran and found, what the model drew.
_KEPT = frozenset({"executableCode", "codeExecutionResult", "toolCall", "toolResponse", "inlineData", "fileData"})
_UNFINISHED = "{"


def usage(said: dict[str, Any]) -> Usage | None:
    """None where the counts are no counts. The prompt's count includes what was cached, but not what tools added."""
    counts = [0 if said.get(name) is None else said[name] for name in _COUNTS]
    if said.get("promptTokenCount") is None or not all(map(is_count, counts)):
        return None
    prompt, tools, candidates, thoughts, cached = counts
    return Usage(input=prompt + tools, output=candidates + thoughts, cached_input=cached, reasoning=thoughts)


_COUNTS = (
    "promptTokenCount",
    "toolUsePromptTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "cachedContentTokenCount",
)


def _first(data: dict[str, Any]) -> dict[str, Any]:
    """The one candidate that was asked for, which need not say that its index is 0; an empty one without it."""
    candidates = map(mapping, sequence(data.get("candidates")))
    return next((one for one in candidates if not one.get("index")), dict[str, Any]())


def _another(call: CallDraft, name: str, identity: str) -> bool:
    return bool((name and name != call.name) or (identity and call.id and identity != call.id))


def _arguments(function: dict[str, Any], pieces: list[Any]) -> str:
    """The arguments as text; what cannot be put together is shown as it came, which is no object."""
    if not pieces:
        return json_text({} if function.get("args") is None else function["args"])
    try:
        return json_text(assembled(map(mapping, pieces)))
    except ValueError:
        return json_text(pieces)


def _fields(**given: object) -> dict[str, str]:
    """The fields that hold a text."""
    return {name: value for name, value in given.items() if isinstance(value, str) and value}


def _logprobs(result: dict[str, Any]) -> list[float]:
    found = (mapping(token).get("logProbability") for token in sequence(result.get("chosenCandidates")))
    return logprobs(found)
