"""The two ways in which a history becomes shorter, and what they must leave alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

from orchestra.runtime.context.blocks import blocks, turn_start
from orchestra.runtime.context.stubs import characters, is_summary, stub, summary
from orchestra.types import Message, Text, ToolResult

Summarise: TypeAlias = Callable[[Sequence[Message]], Awaitable[str]]
"""Writes a summary of old turns."""
Keep: TypeAlias = Callable[[ToolResult], str]
"""Keeps a result that is about to be left out; the handle it can be read by."""
Whole: TypeAlias = Callable[[ToolResult], ToolResult]
"""Gives a result back that was left out when the history shrank before; one that was not as it is."""

WORTH_LEAVING_OUT = 400  # characters: below them a stub with its handle saves little
SUMMARY_TOKENS = 400  # expected of a summary


class Shrinking:
    """A history while it shrinks. `size` gives a message's tokens, `fixed` are those of the tool declarations."""

    def __init__(
        self, messages: Sequence[Message], size: Callable[[Message], int], fixed: int, keep: Keep, whole: Whole
    ) -> None:
        self.messages = list(messages)
        self.summarised = 0
        self._whole = list(messages)  # beside `messages`: each as it was before a result in it was left out
        self._size, self._fixed, self._keep, self._given = size, fixed, keep, whole

    @property
    def tokens(self) -> int:
        """Tokens of the history as it is now."""
        return self._fixed + sum(map(self._size, self.messages))

    @property
    def pruned(self) -> int:
        """Results for which a stub stands now."""
        pairs = zip(self.messages, self._whole, strict=True)
        return sum(a is not b for now, was in pairs for a, b in zip(now.parts, was.parts, strict=True))

    def prune(self, target: int, turns: int) -> None:
        """Leave out results before the last `turns` turns until `target` tokens: the largest first, then the oldest."""
        over = self.tokens - target
        places = [
            (-characters(part), index, place)
            for index in self._free(turns)
            for place, part in enumerate(self.messages[index].parts)
            if isinstance(part, ToolResult) and _worth_leaving_out(part)
        ]
        for _, index, place in sorted(places):
            if over <= 0:
                return
            over -= self._leave_out(index, place)

    async def summarise(self, target: int, turns: int, write: Summarise) -> str:
        """Have the oldest turns become one message so that about `target` tokens are left; why not, where it did not.

        `write` is given the turns with all their results, those left out before too. Raises what it raises.
        """
        expected = min(SUMMARY_TOKENS, target // 4)
        chosen = self._oldest(self.tokens - target + expected, turns)
        before = sum(self._size(self.messages[index]) for index in chosen)
        if before <= expected:
            return "no old turns are left to summarise"
        old = [self._restored(self._whole[index]) for index in chosen]
        text = await write(old)
        if not text.strip():
            return "the summary was empty"
        message = summary(text, old, self._handles(old))
        if self._size(message) >= before:
            return "the summary was no shorter than what it summarises"
        self._replace(chosen, message)
        return ""

    def _restored(self, message: Message) -> Message:
        """The message with what was left out of it before."""
        parts = tuple(self._given(part) if isinstance(part, ToolResult) else part for part in message.parts)
        return message if parts == message.parts else replace(message, parts=parts)

    def _leave_out(self, index: int, place: int) -> int:
        """Tokens saved."""
        before = self.messages[index]
        parts = list(before.parts)
        result = parts[place]
        assert isinstance(result, ToolResult)
        parts[place] = stub(result, self._keep(result))
        self.messages[index] = replace(before, parts=tuple(parts))
        return self._size(before) - self._size(self.messages[index])

    def _replace(self, chosen: Sequence[int], message: Message) -> None:
        gone = set(chosen)
        for messages in (self.messages, self._whole):
            messages[:] = [
                message if index == chosen[0] else one
                for index, one in enumerate(messages)
                if index == chosen[0] or index not in gone
            ]
        self.summarised += len(chosen)

    def _handles(self, old: Sequence[Message]) -> dict[str, str]:
        results = [part for message in old for part in message.parts if isinstance(part, ToolResult)]
        large = [part for part in results if characters(part) > WORTH_LEAVING_OUT]
        return {handle: part.name for part in large if (handle := self._keep(part))}

    def _oldest(self, wanted: int, turns: int) -> list[int]:
        """The messages of as many of the oldest blocks as have `wanted` tokens, or of all that may go."""
        free = set(self._free(turns))
        chosen: list[int] = []
        for block in blocks(self.messages):
            if wanted <= 0:
                break
            if free.issuperset(block):
                chosen += block
                wanted -= sum(self._size(self.messages[index]) for index in block)
        return chosen

    def _free(self, turns: int) -> Iterator[int]:
        """Indices of what may change: before the last `turns` turns, no system message, not the first user message."""
        asked = (at for at, message in enumerate(self.messages) if message.role == "user" and not is_summary(message))
        task = next(asked, -1)
        for index in range(turn_start(self.messages, turns)):
            if index != task and self.messages[index].role != "system":
                yield index


def _worth_leaving_out(result: ToolResult) -> bool:
    media = any(not isinstance(part, Text) for part in result.content)
    return media or characters(result) > WORTH_LEAVING_OUT
