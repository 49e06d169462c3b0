"""A history as blocks that are kept or left out as a whole: a message, or calls together with their results."""

from __future__ import annotations

from collections.abc import Sequence

from orchestra.types import Message, ToolCall, ToolResult


def blocks(messages: Sequence[Message]) -> list[range]:
    """The history cut wherever no call lies on one side and its result on the other; parallel calls stay together.

    A result belongs to the latest call before it with its id, as on the wire; a call without a result ties nothing.
    """
    last = _last_results(messages)
    found: list[range] = []
    start = end = 0
    for index in range(len(messages)):
        end = max(end, last[index] + 1)
        if end == index + 1:
            found.append(range(start, end))
            start = end
    return found


def turn_start(messages: Sequence[Message], turns: int) -> int:
    """The index at which the last `turns` turns begin: as many blocks that a model opened, and what was asked before.

    0 where there are not so many.
    """
    starts = [block.start for block in blocks(messages)]
    opened = [at for at, start in enumerate(starts) if messages[start].role == "assistant"]
    if len(opened) < turns:
        return 0
    at = opened[-turns]
    while at and messages[starts[at - 1]].role == "user":
        at -= 1
    return starts[at]


def _last_results(messages: Sequence[Message]) -> list[int]:
    """For each message the index of the last message that holds a result of one of its calls, or its own."""
    last = list(range(len(messages)))
    waiting: dict[str, int] = {}
    for index, message in enumerate(messages):
        for part in message.parts:
            if isinstance(part, ToolCall):
                waiting[part.id] = index
            elif isinstance(part, ToolResult) and part.call_id in waiting:
                last[waiting.pop(part.call_id)] = index
    return last
