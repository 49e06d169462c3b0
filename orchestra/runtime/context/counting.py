"""The counter with all that is at hand: tokenizers of this machine, and how dialects write what they are given."""

from __future__ import annotations

from collections.abc import Sequence

from orchestra.dialects.json_tools import flattened, instructed, instructions, reminder
from orchestra.fleet.counter import Asked, Counter
from orchestra.local import WeightStore
from orchestra.runtime.context.tokenizers import tokenizers
from orchestra.types import Message, ModelCard, Request, ToolSpec


def new_counter(store: WeightStore | None = None) -> Counter:
    """A counter that knows the tokenizers of the weights in `store` (by default the user's) and tiktoken's."""
    return Counter(tokenizers(store), as_sent)


def as_sent(card: ModelCard, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Asked:
    """Messages and tools as the model's tokenizer meets them: where calls are written as JSON, all is messages."""
    if card.capabilities.tools != "json" or not tools:
        return messages, tools
    request = Request((), tuple(tools))
    return instructed(flattened(messages, reminder(request)), instructions(request)), ()
