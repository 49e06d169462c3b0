"""Server-sent events out of bytes, however the bytes are split (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

_FIELDS = ("data", "event", "id", "retry")
# A carriage return at the very end waits: its line feed may come with the next chunk.
_LINE_END = re.compile(rb"\r\n|\n|\r(?=[\s\S])")


class ServerEvent(NamedTuple):
    """One event: its name ("" where none was given) and its data lines joined."""

    name: str
    data: str


class EventStream:
    """Collects bytes, gives events. Comments and unknown fields are skipped; invalid UTF-8 raises ValueError."""

    def __init__(self) -> None:
        self._rest: list[bytes] = [b""]
        self._name = ""
        self._data: list[str] = []
        self.strange = b""  # the first line of no field that there is

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """The events that this chunk completes, one by one."""
        if not chunk:
            return
        waits = self._rest[-1].endswith(b"\r")
        self._rest.append(chunk)
        if not waits and chunk.find(b"\n") < 0 and chunk.find(b"\r") < 0:
            return  # a long line is not gone through again with every chunk of it
        data = b"".join(self._rest)
        returns = data.find(b"\r") >= 0  # quicker than `in`, which takes the bytes for a number first
        if not (returns or self._data or self._name) and (events := _whole_events(data)):
            self._rest = [b""]
            for event in events:
                if (text := event.decode()).strip():
                    yield ServerEvent("", text)
            return
        *lines, rest = _LINE_END.split(data) if returns else data.split(b"\n")
        self._rest = [rest]
        yield from self._through(lines)

    def _through(self, lines: Iterable[bytes]) -> Iterator[ServerEvent]:
        for line in lines:
            if line.startswith(b"data: "):  # nearly all
                self._data.append(line[6:].decode())
            elif line:
                self._field(line)
            elif event := self._dispatched():
                yield event

    def close(self) -> Iterator[ServerEvent]:
        """What the last event holds where its closing blank line never came."""
        return self.feed(b"\n\n\n") if self._data or any(self._rest) else iter(())

    def _field(self, line: bytes) -> None:
        field, _, value = line.decode().removeprefix("\ufeff").partition(":")
        if field == "data":
            self._data.append(value.removeprefix(" "))
        elif field == "event":
            self._name = value.removeprefix(" ")
        elif not any(known.startswith(field) for known in _FIELDS):  # the last line may be cut
            self.strange = self.strange or line

    def _dispatched(self) -> ServerEvent | None:
        name, data = self._name, "\n".join(self._data)
        self._name, self._data = "", []
        return ServerEvent(name, data) if data.strip() else None  # some keep alive with `data:`


def _whole_events(data: bytes) -> Sequence[bytes]:
    """What nearly every chunk is: the data of whole events, each of one line; empty where it is anything else."""
    if not (data.startswith(b"data: ") and data.endswith(b"\n\n")):
        return ()
    events = data[6:-2].split(b"\n\ndata: ")
    return events if data.count(b"\n") == 2 * len(events) else ()
