"""What a conversation shows of itself without a model: text, length, modalities, documents, code."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypedDict

from orchestra.fleet.tokens import message_tokens
from orchestra.types import Document, Image, Message, ModelCard, Part, ToolResult, ToolSpec

_FENCE = re.compile(r"^ {0,3}(```|~~~)", re.MULTILINE)  # CommonMark: a fence is indented by three spaces at most


class Features(TypedDict):
    """Fields of StepContext by their names: `StepContext(step, **features(messages))`."""

    text: str
    tokens: int
    modalities: tuple[str, ...]
    documents: int
    tools: tuple[str, ...]


def features(messages: Sequence[Message], tools: Sequence[ToolSpec] = ()) -> Features:
    """What routing may know of these messages.

    `text` is the last user message's (what is asked now), `tokens` estimates all messages and tool declarations,
    `modalities` starts with "text", `documents` counts documents in messages and tool results. One whose data are a
    text is of the modality "text": any model can be shown it.
    """
    held = _held(messages)
    documents = [part for part in held if isinstance(part, Document)]
    image = any(isinstance(part, Image) for part in held)
    binary = not all(part.in_words for part in documents)
    asked = next((message for message in reversed(messages) if message.role == "user"), None)
    return Features(
        text=asked.text if asked else "",
        tokens=message_tokens(messages, tools),
        modalities=("text", *["image"] * image, *["document"] * binary),
        documents=len(documents),
        tools=tuple([tool.name for tool in tools]),
    )


class PromptCache(TypedDict):
    """Fields of StepContext by their names, as Features."""

    current_model: str | None
    cached_tokens: int


def prompt_cache(messages: Sequence[Message], models: Mapping[str, ModelCard]) -> PromptCache:
    """Whose prompt cache holds how much of a conversation: the model that spoke last, and the tokens up to there.

    Known from the origins that replies carry; a conversation nobody of these `models` took part in is cold.
    """
    spoken = [at for at, message in enumerate(messages) if message.role == "assistant"]
    names = {(card.provider, card.dialect, card.model): name for name, card in models.items()} if spoken else {}
    for at in reversed(spoken):
        for part in messages[at].parts:
            origin = part.origin
            if origin is not None and (name := names.get((origin.provider, origin.api, origin.model))):
                return PromptCache(current_model=name, cached_tokens=message_tokens(messages[: at + 1]))
    return PromptCache(current_model=None, cached_tokens=0)


def has_code_block(text: str) -> bool:
    """True where the text has a fenced code block, closed or not."""
    return _FENCE.search(text) is not None


def _held(messages: Sequence[Message]) -> Sequence[Part]:
    """The parts, and what the results among them hold; plain messages hold no media."""
    parts = [part for message in messages if not message.plain for part in message.parts]
    return [*parts, *(one for part in parts if isinstance(part, ToolResult) for one in part.content)]
