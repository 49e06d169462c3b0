"""The seam between canonical values and a provider's wire format: pure functions on bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from orchestra.dialects.asked import Asked, asked
from orchestra.dialects.encoded import Encoded, StreamReader
from orchestra.dialects.faults import http_fault
from orchestra.dialects.loose import written
from orchestra.dialects.rate_limits import RateLimit
from orchestra.dialects.reading import Frames, Reading, Streamed, whole_reply
from orchestra.dialects.sse import EventStream
from orchestra.types import CallFault, ModelCard, ModelReply, Request


class Spelled(NamedTuple):
    """A request in a dialect's words: below `path` of base_url, as this body, which is still to get `said.extra`.

    `said` is what was spelled, `notes` tells what could not be. `headers` are those besides the ones that all have;
    `key_header` is the one that carries the API key, bare, where this server wants it otherwise.
    """

    said: Asked
    path: str
    body: dict[str, Any]
    stream: bool
    notes: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    key_header: str | None = None


@dataclass(frozen=True, slots=True)
class Codec:
    """One dialect, as what is its own. Pure: no socket, clock or environment; nothing above it knows the wire format.

    `spelled` writes requests, `reading` takes in one reply. `error` is what a response with an error status means,
    `limits` what a response's headers say of the key's rate limits (header names in lower case). `key` is the header
    of the API key and what stands before it there. Streams are `streams`, their events told apart by `frames`.
    """

    dialect: str
    spelled: Callable[[Asked], Spelled]
    reading: Callable[[Encoded], Reading]
    limits: Callable[[Mapping[str, str]], tuple[RateLimit, ...]]
    key: tuple[str, str] = ("authorization", "Bearer ")
    error: Callable[[int, Mapping[str, str], bytes], CallFault] = http_fault
    streams: str = "text/event-stream"
    frames: Callable[[], Frames] = EventStream

    def authorization(self, key: str | None, bare: str | None = None) -> tuple[tuple[str, str], ...]:
        """The headers that carry an API key, in `bare` where this server wants it there; empty without one.

        An access token in its place goes as such: Azure and Google take both, each in its own header.
        """
        if not key:
            return ()
        header, before = (bare, "") if bare else self.key
        if header in _BESIDE_TOKENS and _TOKEN.match(key):
            header, before = "authorization", "Bearer "
        return ((header, f"{before}{key}"),)

    def encode(self, request: Request, card: ModelCard) -> Encoded:
        """The request as this card's provider wants it. Raises ToolError for a tool that cannot be said."""
        spelled = self.spelled(asked(request, card))
        said = spelled.said
        body, notes = said.completed(spelled.body)
        accepted = self.streams if spelled.stream else _JSON
        return Encoded(
            path=spelled.path,
            headers=(("content-type", _JSON), ("accept", accepted), *spelled.headers),
            body=written(body),
            stream=spelled.stream,
            notes=tuple(dict.fromkeys((*notes, *spelled.notes))),
            tools=request.tools if card.capabilities.tools != "none" else (),
            compiled=said.compiled,
            card=card,
            json_tools=said.json_tools,
            structured=request.output_schema is not None,
            key_header=spelled.key_header,
        )

    def decode(self, encoded: Encoded, body: bytes) -> ModelReply | CallFault:
        """A whole (not streamed) successful body."""
        return whole_reply(self.reading(encoded), body)

    def reader(self, encoded: Encoded) -> StreamReader:
        """A reader for the streamed reply to `encoded`."""
        return Streamed(self.reading(encoded), self.frames())


_JSON: Final = "application/json"
_BESIDE_TOKENS: Final = frozenset({"api-key", "x-goog-api-key"})
_TOKEN: Final = re.compile(r"ya29\.|eyJ[\w-]+\.[\w-]+\.")
"""How Google's access tokens begin, and JSON Web Tokens such as Entra's; no API key of theirs does."""
