"""Replies of Google's generateContent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from orchestra.dialects.codec import Delta, Encoded
from orchestra.dialects.draft import CallDraft, Draft
from orchestra.dialects.gemini_arguments import assembled
from orchestra.dialects.loose import mapping, parse_object, scalars, sequence, string
from orchestra.dialects.reading import bad_reply
from orchestra.types import CallFault, Finish, Trigger, Usage


class GeminiReading:
    """One GenerateContentResponse, whole or in chunks.

    A part with a signature is a part of the reply of its own, since it goes back exactly as it came; texts without
    one that follow each other are one part.
    """

    def __init__(self, encoded: Encoded) -> None:
        self.draft = Draft(encoded)
        self._place = 0
        self._running: bool | None = None  # whether the text that may go on is a thought
        self._open: tuple[CallDraft, list[Any]] | None = None  # a call whose arguments are arriving in pieces

    @property
    def ended(self) -> bool:
        """A finish reason: "if empty, the model has not stopped generating"."""
        return self.draft.finish is not None

    def event(self, name: str, data: dict[str, Any]) -> Sequence[Delta] | CallFault:  # noqa: ARG002  # Google names none
        """Takes in a chunk."""
        self.draft.model = string(data.get("modelVersion")) or self.draft.model
        self.draft.usage = usage(mapping(data.get("usageMetadata"))) or self.draft.usage
        candidate = _first(data)
        if not candidate and (reason := string(mapping(data.get("promptFeedback")).get("blockReason"))):
            return self._fault(Trigger.content_filter, f"the prompt was blocked: {reason}")
        deltas: list[Delta] = []
        for part in map(mapping, sequence(mapping(candidate.get("content")).get("parts"))):
            deltas += self._part(part)
        self.draft.logprobs += _logprobs(mapping(candidate.get("logprobsResult")))
        return self._stopped(candidate) or [*deltas, *(self.draft.ended() if self.ended else ())]

    def whole(self, data: dict[str, Any]) -> CallFault | None:
        """Takes in a body that was not streamed."""
        if isinstance(got := self.event("", data), CallFault):
            return got
        if self.ended:
            return None
        return bad_reply(f"the body does not say why it ends: {_dumps(data)[:80]}", self.draft.text)

    def _part(self, part: dict[str, Any]) -> list[Delta]:
        state = _fields(thoughtSignature=part.get("thoughtSignature"))
        if "functionCall" in part:
            self._call(mapping(part["functionCall"]), state)
            return []
        if _KEPT & part.keys():
            self.draft.keep(_dumps(part), self._next(), reasoning=True)
            return []
        text, thought = string(part.get("text")), part.get("thought") is True
        if state:
            self.draft.keep(_dumps(state), self._next(), reasoning=thought)
        elif not text:
            return []
        elif thought is not self._running:
            self._next(thought)
        return self.draft.reason(text, self._place) if thought else self.draft.say(text, self._place)

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
        call.state = _dumps(state) if state else None
        pieces += sequence(function.get("partialArgs"))
        if function.get("willContinue") is True:
            call.pieces = [_UNFINISHED]
        else:
            call.pieces, self._open = [_arguments(function, pieces)], None

    def _stopped(self, candidate: dict[str, Any]) -> CallFault | None:
        reason, message = string(candidate.get("finishReason")), string(candidate.get("finishMessage"))
        if reason in _FINISH:
            self.draft.finish = _FINISH[reason]
        elif reason and reason != "FINISH_REASON_UNSPECIFIED":
            return self._fault(
                _FAULTS.get(reason, Trigger.bad_reply), f"the model stopped: {reason} {message}".rstrip()
            )
        return None

    def _fault(self, trigger: Trigger, text: str) -> CallFault:
        return CallFault(trigger, scalars(text[:_TEXT_LIMIT]), partial_text=self.draft.text)


_FINISH: Final[Mapping[str, Finish]] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",  # the output limit of one request, lower than the one that was asked for
    **dict.fromkeys(
        ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "ESCALATION", "MODEL_ARMOR"),
        "content_filter",
    ),
    **dict.fromkeys(("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"), "content_filter"),
    **dict.fromkeys(("OTHER", "LANGUAGE", "IMAGE_OTHER", "NO_IMAGE", "TOO_MANY_TOOL_CALLS"), "other"),
}
# No reply at all: nothing of what came with these may be used. An unknown reason is one of them, since every reason
# that was added so far tells of something broken off.
_FAULTS: Final[Mapping[str, Trigger]] = {
    "MALFORMED_FUNCTION_CALL": Trigger.malformed_args,
    "UNEXPECTED_TOOL_CALL": Trigger.unknown_tool,
    "MALFORMED_RESPONSE": Trigger.bad_reply,
    "MISSING_THOUGHT_SIGNATURE": Trigger.bad_request,
    "PUP_LIMITED_DISABLED": Trigger.auth,  # the account is limited or disabled
}
_TEXT_LIMIT = 600
# Parts that only go back: what Google's own tools ran and found, what the model drew.
_KEPT = frozenset({"executableCode", "codeExecutionResult", "toolCall", "toolResponse", "inlineData", "fileData"})
_UNFINISHED = "{"


def usage(said: dict[str, Any]) -> Usage | None:
    """None where the counts are no counts. The prompt's count includes what was cached, but not what tools added."""
    counts = [0 if said.get(name) is None else said[name] for name in _COUNTS]
    if said.get("promptTokenCount") is None or not all(type(one) is int and one >= 0 for one in counts):
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
        return _dumps({} if function.get("args") is None else function["args"])
    try:
        return _dumps(assembled(map(mapping, pieces)))
    except ValueError:
        return _dumps(pieces)


def _fields(**given: object) -> dict[str, str]:
    """The fields that hold a text."""
    return {name: value for name, value in given.items() if isinstance(value, str) and value}


def _dumps(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:  # it could be read, but only just
        return _UNFINISHED


def _logprobs(result: dict[str, Any]) -> list[float]:
    found = (mapping(token).get("logProbability") for token in sequence(result.get("chosenCandidates")))
    return [float(value) for value in found if isinstance(value, int | float) and -_IMPROBABLE < value <= 0]


_IMPROBABLE = 1e6
