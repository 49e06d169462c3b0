"""A request on its way out, and what its reply is read with: the words that the rest of the framework has for bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from orchestra.dialects.tool_schema import CompiledTool
from orchestra.types import CallFault, ModelCard, ModelReply, ReasoningDelta, TextDelta, ToolSpec

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

    def called(self, wire_name: str) -> tuple[str, CompiledTool | None, ToolSpec | None]:
        """What a reply calls by a name: the tool's own name, how it was declared, the tool; unknown, the name alone."""
        declared = ((name, one) for name, one in self.compiled.items() if one.name == wire_name)
        name, compiled = next(declared, (wire_name, None))
        return name, compiled, next((tool for tool in self.tools if tool.name == name), None)


class StreamReader(Protocol):
    """Reads one streamed reply, however its bytes are split."""

    @property
    def fault(self) -> CallFault | None:
        """What has ended the reply before its time; nothing that is fed after it is read."""
        ...

    @property
    def over(self) -> bool:
        """Whether the provider has sent the last of its events, so that the body has no more to tell than its end."""
        ...

    def feed(self, chunk: bytes) -> Sequence[Delta]:
        """The deltas that this chunk completes, those before a fault included."""
        ...

    def close(self) -> ModelReply | CallFault:
        """The whole reply once the bytes have ended, or the fault; without an explicit end that is `stream_cut`."""
        ...
