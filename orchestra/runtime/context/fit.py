"""Keeps a step's history within its model's window: old tool results go first, then old turns become a summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestra.errors import CallError
from orchestra.fleet.counter import Counter
from orchestra.fleet.tokens import BYTES_PER_TOKEN, message_tokens
from orchestra.runtime.context.shrink import Keep, Shrinking, Summarise, Whole
from orchestra.types import Message, ModelCard, ToolSpec

START_EXACT, START_ESTIMATED = 0.9, 0.8  # shares of the room at which shrinking starts
TARGET = 0.6  # share it shrinks to: far below the start, since every shrinking loses the provider's prompt cache
KEPT_TURNS = (2, 1)  # last turns that are left alone; one only where two do not fit


@dataclass(frozen=True, slots=True)
class Fitted:
    """A shrunk history: tokens before and after, results pruned, messages summarised, whether a tokenizer counted.

    `room` are the tokens there are for input. `fits` is False where `after` is too much for it all the same; `note`
    says what could not be done.
    """

    messages: tuple[Message, ...]
    before: int
    after: int
    pruned: int
    summarised: int
    exact: bool
    room: int
    fits: bool
    note: str = ""


async def fit(
    messages: Sequence[Message],
    *,
    card: ModelCard,
    tools: Sequence[ToolSpec],
    max_output: int,
    counter: Counter,
    summarise: Summarise,
    keep: Keep = lambda _: "",
    whole: Whole = lambda result: result,
    force: bool = False,
    estimated: int | None = None,
) -> Fitted | None:
    """The history shrunk where it nears the card's window less `max_output` tokens; None where it fits as it is.

    Starts at 0.9 of that room where the count is exact, else at 0.8, and shrinks to 0.6. Results before the last two
    turns are left out first, the largest before others; `keep` takes each and gives the handle by which `read_result`
    shows it again ("": none). Then the oldest turns become one message, which `summarise` writes, shown what was left
    out of them, which `whole` gives back where that was before; a CallError of it is noted. System messages, the first
    user message and the last turn always stay, and a call with its result. With `force`, after a provider's
    context_overflow, the count is not believed: 0.6 of it is the target. `estimated` is `message_tokens` of all of it,
    where it is known.
    """
    room = input_room(card, max_output)
    # no tokenizer makes more than one token of a byte: most histories need no closer look
    estimated = message_tokens(messages, tools) if estimated is None else estimated
    if not force and estimated * BYTES_PER_TOKEN <= START_ESTIMATED * room:
        return None
    counted = counter.count(card, messages, tools)
    start = int(room * (START_EXACT if counted.exact else START_ESTIMATED))
    if counted.tokens <= start and not force:
        return None
    believed = min(room, counted.tokens) if force else room
    limit = int(believed * START_ESTIMATED) if force else room
    fixed = counter.count(card, (), tools).tokens
    shrinking = Shrinking(messages, lambda one: counter.count(card, (one,), tools).tokens - fixed, fixed, keep, whole)
    note = await _shrink(shrinking, int(believed * TARGET), limit, summarise)
    after = counter.count(card, shrinking.messages, tools).tokens
    if after >= counted.tokens <= limit:
        return None  # nothing could go, and it fits without
    return Fitted(
        messages=tuple(shrinking.messages),
        before=counted.tokens,
        after=after,
        pruned=shrinking.pruned,
        summarised=shrinking.summarised,
        exact=counted.exact,
        room=room,
        fits=after <= limit,
        note=note,
    )


def input_room(card: ModelCard, max_output: int) -> int:
    """Tokens for input: the window less the output, of which at most half the window is set aside."""
    return card.window - min(max_output, card.window // 2)


async def _shrink(shrinking: Shrinking, target: int, limit: int, summarise: Summarise) -> str:
    """What could not be done, in words."""
    note, refused = "", False
    for turns in KEPT_TURNS:
        shrinking.prune(target, turns)
        if shrinking.tokens > target and not refused:
            try:
                note = await shrinking.summarise(target, turns, summarise)
            except CallError as error:
                note, refused = f"no summary could be had: {error}", True
        if shrinking.tokens <= limit:
            break
    return note
