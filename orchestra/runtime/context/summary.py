"""What a cheap model is asked so that old turns become one message."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from orchestra.fleet.tokens import BYTES_PER_TOKEN
from orchestra.toolbox.result import cut
from orchestra.types import Message, Part, Text, ToolCall, ToolResult, to_json

SUMMARISER = """\
You shorten the record of work in progress. Write what a colleague needs to go on: what was asked, what was found \
(every number, name, id and error exactly as it stands), what was decided, what is still open. \
Add nothing. No introduction; at most {words} words."""

WORDS = 250
"""Words a summary may have."""


def summary_messages(old: Sequence[Message], tokens: int) -> tuple[Message, ...]:
    """The messages that ask for a summary of `old`, within about `tokens` tokens: long texts keep their beginnings."""
    room = max(int(tokens * BYTES_PER_TOKEN) // 2, 1)  # half: a character beyond ASCII has two or three bytes
    lines = [line for message in old for line in _lines(message)]
    return (Message.system(SUMMARISER.format(words=WORDS)), Message.user("\n\n".join(_shortened(lines, room))))


def _lines(message: Message) -> Iterator[str]:
    for part in message.parts:
        if text := _said(part):
            yield f"{message.role}: {text}"


def _said(part: Part) -> str:
    if isinstance(part, Text):
        return part.text
    if isinstance(part, ToolCall):
        written = part.raw if part.arguments is None else json.dumps(to_json(part.arguments), ensure_ascii=False)
        return f"calls {part.name}({written})"
    if isinstance(part, ToolResult):
        return f"{'error of' if part.is_error else 'result of'} {part.name}: {' '.join(map(_said, part.content))}"
    return "" if part.type == "reasoning" else f"[{part.type}]"


def _shortened(lines: Sequence[str], room: int) -> list[str]:
    """The lines within `room` characters: short ones whole, the others cut where they have an equal share."""
    left, share = room, room
    for number, size in enumerate(sorted(map(len, lines))):
        share = left // (len(lines) - number)
        if size > share:
            break
        left -= size
    return [cut(line, max(share, 1)) for line in lines]
