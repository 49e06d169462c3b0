"""Token counts where the provider has not said: a rule of thumb, the same everywhere."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from orchestra.types import Image, Message, Part, Reasoning, Text, ToolCall, ToolResult, ToolSpec
from orchestra.types.same import Same

BYTES_PER_TOKEN = 3.6  # English prose runs at 4 to 4.5, code and JSON at 3 to 3.5
MESSAGE_TOKENS = 4  # role and separators
IMAGE_TOKENS = 1_000  # about one megapixel at the providers that publish a rule
DOCUMENT_TOKENS = 4_000  # a few pages: base64 says nothing of the text inside
_JSON = json.JSONEncoder(ensure_ascii=False, default=dict)  # json.dumps would build one for every call of a history


def estimate(text: str) -> int:
    """About how many tokens `text` has: UTF-8 bytes / 3.6, rounded up.

    Bytes rather than characters, since scripts beyond ASCII take more tokens a character.
    """
    size = len(text) if text.isascii() else len(text.encode(errors="replace"))
    return math.ceil(size / BYTES_PER_TOKEN)


def message_tokens(
    messages: Sequence[Message],
    tools: Sequence[ToolSpec] = (),
    *,
    text_tokens: Callable[[str], int] = estimate,
    framing: int = MESSAGE_TOKENS,
) -> int:
    """About how many tokens a request with these messages and tool declarations has.

    `text_tokens` counts one text and `framing` is added for each message: a tokenizer's where there is one.
    """
    said = sum([_part(part, text_tokens) for message in messages for part in message.parts])
    return framing * len(messages) + said + (_declared(Same(tools)).tokens(text_tokens) if tools else 0)


class Tally:
    """The estimate of a history that grows: each message is looked at once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Message, int]] = {}  # held, so that an id stays its own

    def __call__(self, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()) -> int:
        """As `message_tokens`."""
        known = self._known
        for message in messages:
            if id(message) not in known:
                known[id(message)] = message, message_tokens((message,))
        return message_tokens((), tools) + sum([known[id(message)][1] for message in messages])


def _part(part: Part, count: Callable[[str], int]) -> int:
    if isinstance(part, Text):
        return count(part.text)
    if isinstance(part, ToolCall):
        written = part.raw if part.arguments is None else _JSON.encode(part.arguments)
        return count(part.name) + count(written)
    if isinstance(part, ToolResult):
        return count(part.name) + sum([_part(item, count) for item in part.content])
    if isinstance(part, Reasoning):
        return count(part.text)
    return IMAGE_TOKENS if isinstance(part, Image) else DOCUMENT_TOKENS


class _Declared(NamedTuple):
    """What a model reads of tools, as texts, and what they are estimated at."""

    texts: tuple[str, ...]
    estimated: int

    def tokens(self, count: Callable[[str], int]) -> int:
        return self.estimated if count is estimate else sum(map(count, self.texts))


@lru_cache(maxsize=256)
def _declared(tools: Same[ToolSpec]) -> _Declared:
    """Of all requests with these tools: their schemas are the most of many, and the same in all."""
    texts = tuple(text for tool in tools.held for text in (tool.name + tool.description, _JSON.encode(tool.schema)))
    return _Declared(texts, sum(map(estimate, texts)))
