"""Replies as bytes arrive: what all dialects share, from the first byte to an explicit end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from orchestra.dialects.codec import Delta
from orchestra.dialects.draft import Draft
from orchestra.dialects.faults import stream_fault
from orchestra.dialects.loose import is_object, mapping, parse
from orchestra.dialects.sse import EventStream, ServerEvent
from orchestra.types import CallFault, ModelReply, Trigger

LONGEST = 32 * 2**20
"""Bytes of one streamed reply; more is no answer of a language model."""


class Reading(Protocol):
    """One dialect's reading of one reply into a draft."""

    @property
    def draft(self) -> Draft:
        """What was read so far."""
        ...

    @property
    def ended(self) -> bool:
        """Whether the provider has said that this is all: a stream that only stops is cut."""
        ...

    def event(self, name: str, data: dict[str, object]) -> Sequence[Delta] | CallFault:
        """Takes in one event of a stream: the deltas it brings, or the fault it tells of."""
        ...

    def whole(self, data: dict[str, object]) -> CallFault | None:
        """Takes in a body that was not streamed; the fault where it holds no reply."""
        ...


class Frames(Protocol):
    """Events out of bytes, however the bytes are split. Raises ValueError for bytes that are none."""

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """The events that this chunk completes."""
        ...

    def close(self) -> Iterator[ServerEvent]:
        """What the last event holds where its end never came."""
        ...


def whole_reply(reading: Reading, body: bytes) -> ModelReply | CallFault:
    """The reply in a body that was not streamed."""
    try:
        data: object = parse(body)
    except ValueError as error:
        return bad_reply(f"the body is no JSON ({error}): {_shown(body)}" if body.strip() else "the body is empty")
    if not is_object(data):
        return bad_reply(f"the body is no JSON object: {_shown(body)}")
    return inner_fault(data) or reading.whole(data) or reading.draft.reply()


def inner_fault(data: object, text: str = "", *, named: bool = False) -> CallFault | None:
    """The fault where the server reports an error inside a reply that began as a success."""
    error = mapping(data).get("error") or (data if named else None)
    return stream_fault(error, text) if error else None


def bad_reply(text: str, partial_text: str = "") -> CallFault:
    """A reply that is none, with what was seen of it."""
    return CallFault(Trigger.bad_reply, text, partial_text=partial_text)


class Streamed:
    """Reads one streamed reply, however its bytes are split."""

    def __init__(self, reading: Reading, frames: Frames | None = None) -> None:
        self._reading = reading
        self._frames = frames or EventStream()
        self._first = b""
        self._body = b""  # of a server that answers without streaming although it was asked to
        self._length = 0

    def feed(self, chunk: bytes) -> Sequence[Delta] | CallFault:
        """The deltas that this chunk completes, or the fault it reveals."""
        self._length += len(chunk)
        if self._length > LONGEST:
            return bad_reply(f"the reply is longer than {LONGEST:,} bytes", self._reading.draft.text)
        self._first = self._first or chunk.lstrip()[:1]
        if self._first == b"{":
            self._body += chunk
            return ()
        try:
            return self._read(self._frames.feed(chunk))
        except ValueError as error:
            return bad_reply(f"a chunk is no JSON ({error})", self._reading.draft.text)

    def close(self) -> ModelReply | CallFault:
        """The whole reply once the bytes have ended."""
        if self._body:
            return whole_reply(self._reading, self._body)
        try:
            if isinstance(got := self._read(self._frames.close()), CallFault):
                return got
        except ValueError:
            pass  # the last event was cut; whether the reply was complete without it is decided below
        if self._reading.ended:
            return self._reading.draft.reply()
        text = "the stream ended before the provider said that it was complete"
        return CallFault(Trigger.stream_cut, text, partial_text=self._reading.draft.text)

    def _read(self, events: Iterator[ServerEvent]) -> list[Delta] | CallFault:
        deltas: list[Delta] = []
        for event in events:
            got = self._event(event)
            if isinstance(got, CallFault):
                return got
            deltas += got
        return deltas

    def _event(self, event: ServerEvent) -> Sequence[Delta] | CallFault:
        data: object = {} if event.data.strip() == DONE else parse(event.data)
        if fault := inner_fault(data, self._reading.draft.text, named=event.name == "error"):
            return fault
        if not is_object(data):
            raise ValueError(f"expected an object, got {event.data[:60]!r}")
        return self._reading.event(DONE if event.data.strip() == DONE else event.name, data)


DONE = "[DONE]"
"""The name under which a reading is told that the terminating event of OpenAI-style streams has come."""


def _shown(body: bytes) -> str:
    return repr(body[:80].decode("utf-8", "replace"))
