"""Replies of OpenAI-style chat completions, whole or streamed: one draft collects both."""

from __future__ import annotations

from collections.abc import Sequence

from orchestra.dialects.codec import Delta, Encoded
from orchestra.dialects.loose import is_object, mapping, parse, sequence
from orchestra.dialects.openai_draft import ChatDraft
from orchestra.dialects.openai_faults import stream_fault
from orchestra.dialects.sse import EventStream, ServerEvent
from orchestra.types import CallFault, ModelReply, Trigger


def whole_reply(encoded: Encoded, body: bytes) -> ModelReply | CallFault:
    """The reply in a body that was not streamed."""
    try:
        data = parse(body)
    except ValueError as error:
        return _bad_reply(f"the body is no JSON ({error}): {_shown(body)}")
    if fault := _inner_fault(data):
        return fault
    draft = ChatDraft(encoded)
    if not sequence(mapping(data).get("choices")):
        return _bad_reply(f"the body holds no choices: {_shown(body)}")
    draft.add(data)
    return draft.reply()


class ChatReader:
    """Reads one streamed reply, however its bytes are split."""

    def __init__(self, encoded: Encoded) -> None:
        self._encoded = encoded
        self._events = EventStream()
        self._draft = ChatDraft(encoded)
        self._done = False
        self._first = b""
        self._body = b""  # of a server that answers without streaming although it was asked to

    def feed(self, chunk: bytes) -> Sequence[Delta] | CallFault:
        """The deltas that this chunk completes, or the fault it reveals."""
        self._first = self._first or chunk.lstrip()[:1]
        if self._first == b"{":
            self._body += chunk
            return ()
        deltas: list[Delta] = []
        try:
            for event in self._events.feed(chunk):
                got = self._event(event)
                if isinstance(got, CallFault):
                    return got
                deltas += got
        except ValueError as error:
            return _bad_reply(f"a chunk is no JSON ({error})", self._draft.text)
        return deltas

    def close(self) -> ModelReply | CallFault:
        """The whole reply once the bytes have ended."""
        if self._body:
            return whole_reply(self._encoded, self._body)
        try:
            for event in self._events.close():
                if isinstance(got := self._event(event), CallFault):
                    return got
        except ValueError:
            pass  # the last event was cut; whether the reply was complete without it is decided below
        if self._done or self._draft.finish is not None:
            return self._draft.reply()
        text = "the stream ended without a finish reason or [DONE]"
        return CallFault(Trigger.stream_cut, text, partial_text=self._draft.text)

    def _event(self, event: ServerEvent) -> Sequence[Delta] | CallFault:
        if event.data.strip() == "[DONE]":
            self._done = True
            return self._draft.ended()
        data: object = parse(event.data)
        if fault := _inner_fault(data, self._draft.text, named=event.name == "error"):
            return fault
        if not is_object(data):
            raise ValueError(f"expected an object, got {event.data[:60]!r}")
        return self._draft.add(data)


def _inner_fault(data: object, text: str = "", *, named: bool = False) -> CallFault | None:
    """The fault where the server reports an error inside a reply that began as a success."""
    error = mapping(data).get("error") or (data if named else None)
    return stream_fault(error, text) if error else None


def _bad_reply(text: str, partial_text: str = "") -> CallFault:
    return CallFault(Trigger.bad_reply, text, partial_text=partial_text)


def _shown(body: bytes) -> str:
    return repr(body[:80].decode("utf-8", "replace"))
