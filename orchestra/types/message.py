"""Canonical messages: what was said, by whom, and the provider's opaque state kept byte-exact."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import ClassVar, Literal, TypeAlias, TypeVar

from orchestra.types.json import Json
from orchestra.types.tokens import BYTES_PER_TOKEN, as_json, estimate

T = TypeVar("T")
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

    type: ClassVar[Literal["text"]] = "text"
    text: str
    origin: Origin | None = None
    provider_state: str | None = None


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A model's reasoning; shown to no other model. `provider_state` is replayed unchanged."""

    type: ClassVar[Literal["reasoning"]] = "reasoning"
    text: str
    origin: Origin | None = None
    provider_state: str | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """An image: base64 `data` or a `url`, exactly one of them; of a URL the type may be unknown: `image/*`."""

    type: ClassVar[Literal["image"]] = "image"
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

    type: ClassVar[Literal["document"]] = "document"
    media_type: str
    name: str = ""
    data: str | None = None
    url: str | None = None
    origin: Origin | None = None
    provider_state: str | None = None

    def __post_init__(self) -> None:
        if (self.data is None) == (self.url is None):
            raise ValueError("Document: give exactly one of data (base64) and url")

    @property
    def in_words(self) -> bool:
        """Whether its data are a text: any model can be shown that, one that reads no documents too."""
        kind, _, form = self.media_type.partition(";")[0].strip().lower().partition("/")
        text = kind == "text" or form.endswith(("+json", "+xml")) or (kind == "application" and form in _TEXTS)
        return text and self.data is not None


_TEXTS = frozenset({"json", "jsonl", "toml", "x-ndjson", "x-yaml", "xml", "yaml"})


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to call a tool.

    `arguments` is None where the text the model wrote (`raw`) is no JSON object: such a call is
    judged `malformed_args` and never executes.
    """

    type: ClassVar[Literal["tool_call"]] = "tool_call"
    id: str
    name: str
    arguments: Mapping[str, Json] | None
    raw: str = ""
    origin: Origin | None = None
    provider_state: str | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool answered to the call `call_id`; an error is a text the model can read."""

    type: ClassVar[Literal["tool_result"]] = "tool_result"
    call_id: str
    name: str
    content: tuple[Text | Image | Document, ...]
    is_error: bool = False
    origin: Origin | None = None
    provider_state: str | None = None


Part: TypeAlias = Text | Reasoning | Image | Document | ToolCall | ToolResult


class _Found:
    """Places for what a message has found out of itself, beside its fields: every turn asks all of a history."""

    __slots__ = ("_plain", "_tokens")
    _plain: bool
    _tokens: int


@dataclass(frozen=True, slots=True)
class Message(_Found):
    """One turn: a role and its parts in order.

    It is a value down to its calls' arguments: a change of those is not seen by `tokens` once these were counted.
    """

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
        """The message's texts as one, a line apart but for what a model said; reasoning, calls and media left out."""
        if self.role == "assistant":
            return "".join([part.text for part in self.parts if isinstance(part, Text)])
        return apart(self.parts)

    @property
    def tokens(self) -> int:
        """About how many tokens its parts have (`estimate`)."""
        found: int | None = getattr(self, "_tokens", None)
        if found is None:
            found = self._keep("_tokens", sum([part_tokens(part, estimate) for part in self.parts]))
        return found

    @property
    def plain(self) -> bool:
        """Whether any model may see it as it is: words, calls and results in words, and no opaque state."""
        found: bool | None = getattr(self, "_plain", None)
        if found is None:
            found = self._keep("_plain", all(map(_PLAIN.get(self.role, _is_words), self.parts)))
        return found

    def _keep(self, name: str, found: T) -> T:
        if self.parts.__class__ is tuple:  # people give lists too, and those may grow
            object.__setattr__(self, name, found)
        return found


def apart(parts: Iterable[Part]) -> str:
    """The texts among the parts as one, where only one can be said: a line apart. One alone stays as it is.

    Not for what a model said: its texts are pieces of one, as they came.
    """
    texts = [part.text for part in parts if isinstance(part, Text) and part.text]
    if len(texts) < 2:
        return "".join(texts)
    return "".join([text if text.endswith("\n") else f"{text}\n" for text in texts[:-1]] + texts[-1:])


def _is_words(part: Part) -> bool:
    return isinstance(part, Text) and part.provider_state is None and bool(part.text.strip())


def _is_words_or_call(part: Part) -> bool:
    return _is_words(part) or (isinstance(part, ToolCall) and part.provider_state is None)


def _is_result_in_words(part: Part) -> bool:
    if not isinstance(part, ToolResult) or part.provider_state is not None:
        return False
    return part.content.__class__ is tuple and all(map(_is_words, part.content))


_PLAIN: Mapping[Role, Callable[[Part], bool]] = {
    "assistant": _is_words_or_call,
    "tool": _is_result_in_words,
}

IMAGE_TOKENS = 1_000  # about one megapixel at the providers that publish a rule
DOCUMENT_TOKENS = 4_000  # a few pages: base64 says nothing of the text inside


def part_tokens(part: Part, count: Callable[[str], int]) -> int:
    """About how many tokens a part has, each of its texts counted by `count`."""
    if isinstance(part, Text | Reasoning):
        return count(part.text)
    if isinstance(part, ToolCall):
        written = part.raw if part.arguments is None else as_json(part.arguments)
        return count(part.name) + count(written)
    if isinstance(part, ToolResult):
        return count(part.name) + sum([part_tokens(item, count) for item in part.content])
    if isinstance(part, Image):
        return IMAGE_TOKENS
    return ceil(len(part.data) * 3 / 4 / BYTES_PER_TOKEN) if part.data and part.in_words else DOCUMENT_TOKENS
