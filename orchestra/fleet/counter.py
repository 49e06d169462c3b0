"""How many tokens a model reads: its tokenizer's count, or the estimate, calibrated by what the provider reported."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from orchestra.fleet.tokens import message_tokens
from orchestra.types import Message, ModelCard, ToolSpec

CountSource: TypeAlias = Literal["tokenizer", "calibrated", "estimate"]
Asked: TypeAlias = tuple[Sequence[Message], Sequence[ToolSpec]]
Sent: TypeAlias = Callable[[ModelCard, Sequence[Message], Sequence[ToolSpec]], Asked]
"""What becomes of messages and tools on their way to a model: some dialects write tools into the messages."""

LOWEST, HIGHEST = 0.5, 2.0  # bounds of reported / estimated tokens: beyond them the report is of something else
MIN_SAMPLES = 3  # reports before a model's ratio is trusted
REPLY_TOKENS = 3  # that open the model's reply, in ChatML as in OpenAI's own format
_MEMORY = 0.9  # what is left of a sample's weight after the next one


class Tokenizer(Protocol):
    """Counts as a model's own tokenizer does."""

    @property
    def framing(self) -> int:
        """Tokens of one message's role and separators."""
        ...

    def count(self, text: str) -> int:
        """Tokens of a text; cheap for a text it has seen before."""
        ...


@dataclass(frozen=True, slots=True)
class Count:
    """Tokens of a request and where the number comes from.

    `estimate` is the rule of thumb's number, before any calibration: it is what `Counter.learn` wants back.
    """

    tokens: int
    source: CountSource
    estimate: int

    @property
    def exact(self) -> bool:
        """True where the model's own tokenizer counted the texts; media and framing stay estimates."""
        return self.source == "tokenizer"


def no_tokenizer(card: ModelCard) -> Tokenizer | None:  # noqa: ARG001  # the seam's
    """Knows no model's tokenizer."""
    return None


def as_given(card: ModelCard, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Asked:  # noqa: ARG001  # likewise
    """Sends everything as it is."""
    return messages, tools


class Counter:
    """Counts requests and learns, model by model, how far the estimate is off. One for all runs of a process."""

    def __init__(
        self, tokenizer: Callable[[ModelCard], Tokenizer | None] = no_tokenizer, sent: Sent = as_given
    ) -> None:
        self._tokenizer, self._sent = tokenizer, sent
        self._seen: dict[tuple[str, str], _Seen] = {}

    def count(self, card: ModelCard, messages: Sequence[Message], tools: Sequence[ToolSpec] = ()) -> Count:
        """About how many tokens these messages and tool declarations are for this model."""
        estimated = message_tokens(messages, tools)
        if tokenizer := self._tokenizer(card):
            sent = self._sent(card, messages, tools)  # the ratio knows of it, a tokenizer does not
            tokens = message_tokens(*sent, text_tokens=tokenizer.count, framing=tokenizer.framing)
            return Count(tokens + REPLY_TOKENS, "tokenizer", estimated)
        seen = self._seen.get(_key(card))
        if seen is None or seen.samples < MIN_SAMPLES:
            return Count(estimated, "estimate", estimated)
        return Count(math.ceil(estimated * seen.ratio), "calibrated", estimated)

    def learn(self, card: ModelCard, estimated: int, reported: int) -> None:
        """Take in what a provider reported for a request: `Count.estimate` of it, and its `usage.input`.

        The ratio weighs large requests more and old ones less; a single report counts at most as one that is
        half or twice the estimate. A report of nothing is no report.
        """
        if estimated > 0 and reported > 0:
            self._seen.setdefault(_key(card), _Seen()).add(estimated, reported)


def _key(card: ModelCard) -> tuple[str, str]:
    return card.provider, card.model


@dataclass(slots=True)
class _Seen:
    """Decaying sums of estimated and reported tokens."""

    samples: int = 0
    estimated: float = 0.0
    reported: float = 0.0

    @property
    def ratio(self) -> float:
        return self.reported / self.estimated

    def add(self, estimated: int, reported: int) -> None:
        bounded = min(max(reported, LOWEST * estimated), HIGHEST * estimated)
        self.samples += 1
        self.estimated = _MEMORY * self.estimated + estimated
        self.reported = _MEMORY * self.reported + bounded
