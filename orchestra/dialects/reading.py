"""Replies as bytes arrive: what all dialects share, from the first byte to an explicit end."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

from orchestra.dialects.draft import Draft
from orchestra.dialects.encoded import Delta
from orchestra.dialects.faults import stream_fault
from orchestra.dialects.loose import is_object, mapping, parse, sequence
from orchestra.dialects.sse import EventStream, ServerEvent
from orchestra.types import CallFault, ModelReply, Trigger

LONGEST = 32 * 2**20
"""Bytes of one streamed reply; more is no answer of a language model."""


class Reading(Protocol):
    """One dialect's reading of one reply into a draft, whose `finish` stays None until the provider says it ended."""

    @property
    def draft(self) -> Draft:
        """What was read so far."""
        ...

    def event(self, name: str, data: dict[str, Any]) -> CallFault | None:
        """Takes in one event of a stream; the fault where it tells of one."""
        ...

    def whole(self, data: dict[str, Any]) -> CallFault | None:
        """Takes in a body that was not streamed; the fault where it holds no reply."""
        ...


class Frames(Protocol):
    """Events out of bytes, however the bytes are split. Raises ValueError for bytes that are none.

    `strange` is the first line that belongs to no event, if there was one and it was passed over.
    """

    strange: bytes

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """The events that this chunk completes."""
        ...

    def close(self) -> Iterator[ServerEvent]:
        """What the last event holds where its end never came."""
        ...


def whole_reply(reading: Reading, body: bytes) -> ModelReply | CallFault:
    """The reply in a body that was not streamed."""
    fault = _whole(reading, body)
    return _result(reading.draft, fault and replace(fault, final=True))


def bad_reply(text: str) -> CallFault:
    """A reply that is none."""
    return CallFault(Trigger.bad_reply, text)


class Streamed:
    """Reads one streamed reply, however its bytes are split. What was read before a fault is handed on too."""

    def __init__(self, reading: Reading, frames: Frames | None = None) -> None:
        self.fault: CallFault | None = None
        self._reading = reading
        self._frames = frames or EventStream()
        self._lead: bytes = b""  # what came before the first byte that tells a body from events
        self._first: bytes = b""
        self._body: list[bytes] = []  # of a server that answers without streaming although it was asked to
        self._begun = False  # whether any event came
        self._length = 0

    @property
    def over(self) -> bool:
        """Whether the provider has sent the last of its events."""
        return self._reading.draft.over

    def feed(self, chunk: bytes) -> Sequence[Delta]:
        """The deltas that this chunk completes; after a fault, none."""
        if self.fault is None and (fault := self._fed(chunk)):
            self.fault = self._reading.draft.broken_off(fault)
        return self._reading.draft.news()

    def close(self) -> ModelReply | CallFault:
        """The whole reply once the bytes have ended, or the fault."""
        if self._body and self.fault is None:
            return whole_reply(self._reading, b"".join(self._body))
        return _result(self._reading.draft, self.fault or self._closed())

    def _fed(self, chunk: bytes) -> CallFault | None:
        self._length += len(chunk)
        if self._length > LONGEST:
            return bad_reply(f"the reply is longer than {LONGEST:,} bytes")
        if not self._first:
            chunk = self._lead + chunk
            start = chunk.lstrip()
            self._first = b"" if BOM_UTF8.startswith(start) else start.removeprefix(BOM_UTF8).lstrip()[:1]
            if not self._first:
                self._lead = chunk
                return None
        if self._first in _JSON:
            self._body.append(chunk)
            return None
        try:
            return self._read(self._frames.feed(chunk))
        except ValueError as error:
            return bad_reply(f"a chunk is no JSON ({error})")

    def _closed(self) -> CallFault | None:
        try:
            if fault := self._read(self._frames.close()):
                return fault
        except ValueError:
            pass  # the last event was cut; whether the reply was complete without it is decided below
        if self._reading.draft.finish:
            return None
        if self._frames.strange and not self._begun:
            return bad_reply(f"the body is neither JSON nor an event stream: {_shown(self._frames.strange)}")
        return CallFault(Trigger.stream_cut, "the stream ended before the provider said that it was complete")

    def _read(self, events: Iterator[ServerEvent]) -> CallFault | None:
        for event in events:
            self._begun = True
            if event.data.strip() == _DONE:
                self._reading.draft.over = True
                continue  # it says nothing of how the reply ended
            data: object = parse(event.data)
            said = data if is_object(data) else _first(data)
            if fault := _inner_fault(said) or (stream_fault(data) if event.name == "error" else None):
                return fault
            if said is not data:
                raise ValueError(f"expected an object, got {event.data[:60]!r}")
            if fault := self._reading.event(event.name, said):
                return fault
        return None


_JSON = (b"{", b"[")
_DONE = "[DONE]"  # what terminates OpenAI-style streams


def _whole(reading: Reading, body: bytes) -> CallFault | None:
    try:
        data: object = parse(body)
    except ValueError as error:
        return bad_reply(f"the body is no JSON ({error}): {_shown(body)}" if body.strip() else "the body is empty")
    said = data if is_object(data) else _first(data)
    if fault := _inner_fault(said):
        return fault
    if said is not data:
        return bad_reply(f"the body is no JSON object: {_shown(body)}")
    if fault := reading.whole(said):
        return fault
    return None if reading.draft.finish else bad_reply(f"the body does not say why the model stopped: {_shown(body)}")


def _first(data: object) -> dict[str, Any]:
    """What an array holds first: Google reports errors in one."""
    return mapping(next(iter(sequence(data)), None))


def _inner_fault(said: dict[str, Any]) -> CallFault | None:
    """The fault where the server reports an error inside a reply that began as a success."""
    error = said if said.get("object") == "error" else said.get("error")  # vLLM's and Mistral's stand bare
    return stream_fault(error) if error else None


def _result(draft: Draft, fault: CallFault | None) -> ModelReply | CallFault:
    return draft.reply() if fault is None else draft.broken_off(fault)


def _shown(body: bytes) -> str:
    return repr(body[:80].decode("utf-8", "replace"))
