"""Amazon's binary event streams (`application/vnd.amazon.eventstream`) out of bytes, however the bytes are split."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from zlib import crc32

from orchestra.dialects.loose import parse_object
from orchestra.dialects.sse import ServerEvent

LONGEST = 24 * 2**20
"""Bytes of one message; no event of a language model comes near."""


@dataclass(frozen=True, slots=True)
class AwsMessage:
    """One message: its headers whose values are text, and its payload."""

    headers: Mapping[str, str]
    payload: bytes


class AwsEventStream:
    """Collects bytes, gives events. Raises ValueError for bytes that are no event stream: a wrong length or checksum.

    A message is `total length, headers' length, CRC of both, headers, payload, CRC of all before it`, numbers in
    32 bits, big-endian (Smithy specification, "Amazon event stream").
    """

    strange = b""  # what is none of a message's raises

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """The events that this chunk completes, one by one; an exception is an event named `error`."""
        return map(_event, self.messages(chunk))

    def close(self) -> Iterator[ServerEvent]:
        """Nothing: a message that was cut says nothing."""
        return iter(())

    def messages(self, chunk: bytes) -> Iterator[AwsMessage]:
        """The messages that this chunk completes, one by one."""
        self._rest += chunk
        while len(self._rest) >= _PRELUDE.size:
            total, headers = _lengths(self._rest)
            if len(self._rest) < total:
                return
            message = bytes(self._rest[:total])
            del self._rest[:total]
            yield _message(message, headers)


_PRELUDE = struct.Struct("!III")  # total length, headers' length, CRC
_CRC = struct.Struct("!I")
_SHORT = struct.Struct("!H")
_OVERHEAD = _PRELUDE.size + _CRC.size
_TEXT = 7
_MEASURED = (6, _TEXT)  # bytes and text: two bytes of length come before the value
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}  # true, false, numbers, timestamp, UUID


def _lengths(data: bytearray) -> tuple[int, int]:
    total, headers, crc = _PRELUDE.unpack_from(data)
    if crc32(data[: _PRELUDE.size - _CRC.size]) != crc:
        raise ValueError(f"no event stream: the checksum of a message's prelude is wrong: {bytes(data[:12])!r}")
    if not _OVERHEAD + headers <= total <= LONGEST:
        raise ValueError(f"no event stream: a message of {total} bytes with {headers} bytes of headers")
    return total, headers


def _message(data: bytes, headers: int) -> AwsMessage:
    end = len(data) - _CRC.size
    if crc32(data[:end]) != _CRC.unpack_from(data, end)[0]:
        raise ValueError("the checksum of a message is wrong")
    start = _PRELUDE.size + headers
    return AwsMessage(dict(_headers(data[_PRELUDE.size : start])), data[start:end])


def _headers(data: bytes) -> Iterator[tuple[str, str]]:
    at = 0
    try:
        while at < len(data):
            kind_at = at + 1 + data[at]
            name, kind, at = data[at + 1 : kind_at].decode(), data[kind_at], kind_at + 1
            size = _SIZES.get(kind)
            if kind in _MEASURED:
                size, at = _SHORT.unpack_from(data, at)[0], at + _SHORT.size
            if size is None or at + size > len(data):
                raise ValueError(f"header {name!r} of type {kind} does not fit its message")
            if kind == _TEXT:
                yield name, data[at : at + size].decode()
            at += size
    except (IndexError, struct.error):
        raise ValueError("a message's headers are cut short") from None


def _event(message: AwsMessage) -> ServerEvent:
    headers, text = message.headers, message.payload.decode()
    if headers.get(":message-type", "event") == "event":
        return ServerEvent(headers.get(":event-type", ""), text)
    said = parse_object(text)
    said = {"message": text} if said is None else said
    kind = headers.get(":exception-type") or headers.get(":error-code") or "exception"
    told = said.get("originalMessage") or said.get("message") or said.get("Message") or headers.get(":error-message")
    return ServerEvent("error", json.dumps({"type": kind, "message": told or ""}))
