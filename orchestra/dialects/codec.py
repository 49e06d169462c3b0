"""The seam between canonical values and a provider's wire format: pure functions on bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from orchestra.dialects.rate_limits import RateLimit
from orchestra.dialects.tool_schema import CompiledTool
from orchestra.types import CallFault, ModelCard, ModelReply, ReasoningDelta, Request, TextDelta, ToolSpec

Delta: TypeAlias = TextDelta | ReasoningDelta


@dataclass(frozen=True, slots=True)
class Encoded:
    """A request in a provider's format: `path` below base_url, headers without secrets, the body.

    `notes` lists what the dialect cannot say and was therefore dropped. `tools` is what the reply may call, `compiled`
    how it was declared, by canonical name; `structured` says that the answer is JSON under a schema. `key_header` is
    the header that carries the API key, bare, where this server wants it otherwise than the dialect's others.
    """

    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    stream: bool
    notes: tuple[str, ...] = ()
    tools: tuple[ToolSpec, ...] = ()
    compiled: Mapping[str, CompiledTool] = field(default_factory=dict[str, CompiledTool])
    card: ModelCard | None = None
    json_tools: bool = False
    structured: bool = False
    key_header: str | None = None


class StreamReader(Protocol):
    """Reads one streamed reply, however its bytes are split."""

    def feed(self, chunk: bytes) -> Sequence[Delta] | CallFault:
        """The deltas that this chunk completes, or the fault it reveals (then nothing more is fed)."""
        ...

    def close(self) -> ModelReply | CallFault:
        """The whole reply once the bytes have ended; a stream without its explicit end is `stream_cut`."""
        ...


class Codec(Protocol):
    """One dialect. Pure: no socket, clock or environment; nothing above it knows the wire format."""

    @property
    def dialect(self) -> str:
        """The dialect's name as written in fleet.toml."""
        ...

    def authorization(self, key: str | None) -> tuple[tuple[str, str], ...]:
        """The headers that carry an API key; empty without one."""
        ...

    def encode(self, request: Request, card: ModelCard) -> Encoded:
        """The request as this card's provider wants it."""
        ...

    def decode(self, encoded: Encoded, body: bytes) -> ModelReply | CallFault:
        """A whole (not streamed) successful body."""
        ...

    def reader(self, encoded: Encoded) -> StreamReader:
        """A reader for the streamed reply to `encoded`."""
        ...

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> CallFault:
        """What a response with an error status means; header names are lower case."""
        ...

    def limits(self, headers: Mapping[str, str]) -> tuple[RateLimit, ...]:
        """What a response's headers say of the key's rate limits; header names are lower case."""
        ...
