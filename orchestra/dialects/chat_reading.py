"""Replies of OpenAI-style chat completions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestra.dialects.codec import Delta, Encoded
from orchestra.dialects.draft import CallDraft, Draft
from orchestra.dialects.loose import count, mapping, parse_object, sequence, string
from orchestra.dialects.reading import DONE, bad_reply
from orchestra.types import CallFault, Finish, Usage


class ChatReading:
    """One chat completion, whole or in chunks."""

    def __init__(self, encoded: Encoded) -> None:
        self.draft = Draft(encoded)
        self._done = False
        self._latest: dict[int, CallDraft] = {}

    @property
    def ended(self) -> bool:
        """[DONE], or a finish reason: some servers leave out one of them."""
        return self._done or self.draft.finish is not None

    def event(self, name: str, data: dict[str, Any]) -> Sequence[Delta] | CallFault:
        """Takes in a chunk."""
        if name == DONE:
            self._done = True
            return self.draft.ended()
        self.draft.model = string(data.get("model")) or self.draft.model
        self.draft.usage = usage(mapping(data.get("usage"))) or self.draft.usage
        deltas: list[Delta] = []
        for choice in map(mapping, sequence(data.get("choices"))):
            if choice.get("index", 0) == 0:  # one reply was asked for
                deltas += self._choice(choice)
        return deltas

    def whole(self, data: dict[str, Any]) -> CallFault | None:
        """Takes in a body that was not streamed."""
        if not sequence(data.get("choices")):
            return bad_reply(f"the body holds no choices: {str(data)[:80]!r}")
        self.event("", data)
        return None

    def _choice(self, choice: dict[str, Any]) -> list[Delta]:
        message = mapping(choice.get("delta")) or mapping(choice.get("message"))
        draft = self.draft
        text, thought = _content(message)
        deltas = [*(draft.reason(thought) if thought else ()), *(draft.say(text) if text else ())]
        draft.refuse(string(message.get("refusal")))
        for place, call in enumerate(map(mapping, sequence(message.get("tool_calls")))):
            self._call(call, place)
        draft.logprobs += _logprobs(mapping(choice.get("logprobs")))
        if reason := string(choice.get("finish_reason")):
            draft.finish = _FINISH.get(reason, "other")
            deltas += draft.ended()
        return deltas

    def _call(self, piece: dict[str, Any], place: int) -> None:
        function = mapping(piece.get("function"))
        name, identity = string(function.get("name")), string(piece.get("id"))
        index, number = piece.get("index"), len(self.draft.calls)
        index = index if isinstance(index, int) else number if name else max(self._latest, default=place)
        call = self._latest.get(index)
        if call is None or _another(call, identity, name):
            call = self._latest[index] = self.draft.call(f"call {number}")
        call.id = call.id or identity
        if name != call.name:
            call.name += name
        call.add(function.get("arguments"))


_FINISH: dict[str, Finish] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


def _another(call: CallDraft, identity: str, name: str) -> bool:
    """True where a piece under a known index begins another call: some servers give every parallel call index 0."""
    if not name:
        return False
    if identity and call.id:
        return identity != call.id
    return parse_object(call.raw) is not None


def _content(message: dict[str, Any]) -> tuple[str, str]:
    """Text and reasoning of a message; some servers write their content as an array of typed pieces."""
    content: object = message.get("content")
    thought = string(message.get("reasoning_content")) or string(message.get("reasoning"))
    pieces = [mapping(piece) for piece in sequence(content)]
    if not pieces:
        return string(content), thought
    thought += "".join(_content({"content": piece.get("thinking")})[0] for piece in pieces)
    return "".join(string(piece.get("text")) for piece in pieces), thought


def usage(said: dict[str, Any]) -> Usage | None:
    """None where the counts are no counts: unknown is never 0, and cost is then estimated and said to be."""
    counts = (said.get("prompt_tokens"), said.get("completion_tokens"))
    if not all(isinstance(one, int) and not isinstance(one, bool) and one >= 0 for one in counts):
        return None
    return Usage(
        input=count(said.get("prompt_tokens")),
        output=count(said.get("completion_tokens")),
        cached_input=count(mapping(said.get("prompt_tokens_details")).get("cached_tokens")),
        reasoning=count(mapping(said.get("completion_tokens_details")).get("reasoning_tokens")),
    )


def _logprobs(logprobs: dict[str, Any]) -> list[float]:
    found = (mapping(token).get("logprob") for token in sequence(logprobs.get("content")))
    return [float(value) for value in found if isinstance(value, int | float)]
