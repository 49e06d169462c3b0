"""Token counts where the provider has not said: a rule of thumb, the same everywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from orchestra.types import Message, ToolSpec
from orchestra.types.message import part_tokens
from orchestra.types.same import Same
from orchestra.types.tokens import BYTES_PER_TOKEN, as_json, estimate

__all__ = ["BYTES_PER_TOKEN", "MESSAGE_TOKENS", "estimate", "message_tokens"]

MESSAGE_TOKENS = 4  # role and separators


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
    if text_tokens is estimate:
        said = sum([message.tokens for message in messages])
    else:
        said = sum([part_tokens(part, text_tokens) for message in messages for part in message.parts])
    return framing * len(messages) + said + (_declared(Same(tools)).tokens(text_tokens) if tools else 0)


class _Declared(NamedTuple):
    """What a model reads of tools, as texts, and what they are estimated at."""

    texts: tuple[str, ...]
    estimated: int

    def tokens(self, count: Callable[[str], int]) -> int:
        return self.estimated if count is estimate else sum(map(count, self.texts))


@lru_cache(maxsize=256)
def _declared(tools: Same[ToolSpec]) -> _Declared:
    """Of all requests with these tools: their schemas are the most of many, and the same in all."""
    texts = tuple(text for tool in tools.held for text in (tool.name + tool.description, as_json(tool.schema)))
    return _Declared(texts, sum(map(estimate, texts)))
