"""Canonical messages: what was said, by whom, and the provider's opaque state kept byte-exact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from orchestra.types.json import Json

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Who produced a part: opaque state goes back only to the same provider *and* model."""

    provider: str
    api: str
    model: str


@dataclass(frozen=True, slots=True)
class Text:
    """Plain text."""

    type: ClassVar[str] = "text"
    text: str
    origin: Origin | None = None
    provider_state: str | None = None


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A model's reasoning; shown to no other model. `provider_state` is replayed unchanged."""

    type: ClassVar[str] = "reasoning"
    text: str
    origin: Origin | None = None
    provider_state: str | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """An image: base64 `data` or a `url`, exactly one of them; of a URL the type may be unknown: `image/*`."""

    type: ClassVar[str] = "image"
    media_type: str
    data: str | None = None
    url: str | None = None
    origin: Origin | None = None
    provider_state: str | None = None

    def __post_init__(self) -> None:
        if (self.data is None) == (self.url is None):
            raise ValueError("Image: give exactly one of data (base64) and url")


@dataclass(frozen=True, slots=True)
class Document:
    """A document such as a PDF: base64 `data` or a `url`, exactly one of them."""

    type: ClassVar[str] = "document"
    media_type: str
    name: str = ""
    data: str | None = None
    url: str | None = None
    origin: Origin | None = None
    provider_state: str | None = None

    def __post_init__(self) -> None:
        if (self.data is None) == (self.url is None):
            raise ValueError("Document: give exactly one of data (base64) and url")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to call a tool.

    `arguments` is None where the text the model wrote (`raw`) is no JSON object: such a call is
    judged `malformed_args` and never executes.
    """

    type: ClassVar[str] = "tool_call"
    id: str
    name: str
    arguments: Mapping[str, Json] | None
    raw: str = ""
    origin: Origin | None = None
    provider_state: str | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool answered to the call `call_id`; an error is a text the model can read."""

    type: ClassVar[str] = "tool_result"
    call_id: str
    name: str
    content: tuple[Text | Image | Document, ...]
    is_error: bool = False
    origin: Origin | None = None
    provider_state: str | None = None


Part: TypeAlias = Text | Reasoning | Image | Document | ToolCall | ToolResult


@dataclass(frozen=True, slots=True)
class Message:
    """One turn: a role and its parts in order."""

    role: Role
    parts: tuple[Part, ...]

    @classmethod
    def system(cls, text: str) -> Message:
        """A system message of plain text."""
        return cls("system", (Text(text),))

    @classmethod
    def user(cls, text: str) -> Message:
        """A user message of plain text."""
        return cls("user", (Text(text),))

    @classmethod
    def assistant(cls, text: str) -> Message:
        """An assistant message of plain text."""
        return cls("assistant", (Text(text),))

    @property
    def text(self) -> str:
        """The message's text parts joined; reasoning, calls and media left out."""
        return "".join([part.text for part in self.parts if isinstance(part, Text)])
