"""Replies of Mistral's chat completions: OpenAI's shape, with content in typed chunks and errors that stand bare."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from orchestra.dialects.chat_reading import ChatCalls, finish_fault, first_choice, logprobs, usage
from orchestra.dialects.codec import Delta, Encoded
from orchestra.dialects.draft import Draft
from orchestra.dialects.faults import stream_fault
from orchestra.dialects.loose import is_object, mapping, sequence, string
from orchestra.dialects.reading import DONE, bad_reply
from orchestra.types import CallFault, Finish


class MistralReading:
    """One reply, whole or in chunks."""

    def __init__(self, encoded: Encoded) -> None:
        self.draft = Draft(encoded)
        self._calls = ChatCalls(self.draft)
        self._kind = ""
        self._block = 0

    @property
    def ended(self) -> bool:
        """A finish reason, which every reply of Mistral's has; [DONE] alone says nothing of how it ended."""
        return self.draft.finish is not None

    def event(self, name: str, data: dict[str, Any]) -> Sequence[Delta] | CallFault:
        """Takes in a chunk."""
        draft = self.draft
        if name == DONE:
            return ()
        if data.get("object") == "error" or "detail" in data:
            return stream_fault(data, draft.text)
        draft.model = string(data.get("model")) or draft.model
        draft.usage = usage(mapping(data.get("usage"))) or draft.usage
        choice = first_choice(data)
        return finish_fault(choice, draft.text) or self._choice(choice)

    def whole(self, data: dict[str, Any]) -> CallFault | None:
        """Takes in a body that was not streamed."""
        got = self.event("", data)
        if isinstance(got, CallFault):
            return got
        return None if self.ended else bad_reply(f"the body holds no finished reply: {str(data)[:80]!r}")

    def _choice(self, choice: dict[str, Any]) -> list[Delta]:
        message = mapping(choice.get("delta")) or mapping(choice.get("message"))
        deltas = [delta for chunk in _chunks(message.get("content")) for delta in self._chunk(chunk)]
        self._calls.add(_identified(message))
        self.draft.logprobs += logprobs(mapping(choice.get("logprobs")))
        if reason := string(choice.get("finish_reason")):
            self.draft.finish = _FINISH.get(reason, "other")
            deltas += self.draft.ended()
        return deltas

    def _chunk(self, chunk: dict[str, Any]) -> list[Delta]:
        kind = string(chunk.get("type"))
        if kind == "thinking":
            return self._thinking(chunk)
        # References and kinds to come say nothing that could be shown as the model's text.
        return self.draft.say(string(chunk.get("text")), self._place(kind)) if kind == "text" else []

    def _thinking(self, chunk: dict[str, Any]) -> list[Delta]:
        place = self._place("thinking")
        deltas = self.draft.reason("".join(_texts(chunk.get("thinking"))), place)
        if isinstance(signature := chunk.get("signature"), str):
            self.draft.keep(signature, place, reasoning=True)
            self._kind = ""  # a signature ends its block: what is thought next is another one
        return deltas

    def _place(self, kind: str) -> str:
        """Where a piece belongs: to the latest block, unless that is of another kind."""
        if kind != self._kind:
            self._kind, self._block = kind, self._block + 1
        return f"{kind} {self._block}"


_FINISH: dict[str, Finish] = {
    "stop": "stop",
    "length": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
}


def _chunks(content: object) -> list[dict[str, Any]]:
    """The chunks of a content; one that is a string is a text, which is how streams give what follows the thinking."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return [chunk for chunk in sequence(content) if is_object(chunk)]


def _texts(thinking: object) -> Iterator[str]:
    yield from (string(chunk.get("text")) for chunk in _chunks(thinking))


def _identified(message: dict[str, Any]) -> dict[str, Any]:
    """The calls of a message; where one has no id, the API's types say `null`, a word."""
    calls = map(mapping, sequence(message.get("tool_calls")))
    return {"tool_calls": [call | {"id": ""} if call.get("id") == "null" else call for call in calls]}
