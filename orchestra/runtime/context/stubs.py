"""What stands in a history for a result that was left out, and for turns that became a summary."""

from __future__ import annotations

import re
from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from orchestra.types import Message, Text, ToolResult

_LEFT_OUT = "[left out to save room: "
_HEAD = "Summary of the earlier work ({count} messages):"
_HEADED = re.compile(r"Summary of the earlier work \(\d+ messages\):\n")
_AGAIN = "Results that read_result shows again: "


def characters(result: ToolResult) -> int:
    """Characters of a result's text."""
    return sum(len(part.text) for part in result.content if isinstance(part, Text))


def stub(result: ToolResult, handle: str) -> ToolResult:
    """The result with a line in place of its content: what was left out, and the handle it can be read by, if any."""
    media = Tally(part.type for part in result.content if not isinstance(part, Text))
    sizes = [f"{characters(result):,} characters", *(f"{count} {kind}" for kind, count in media.items())]
    again = f'; read_result(handle="{handle}") shows the text' if handle else ""
    return replace(result, content=(Text(f"{_LEFT_OUT}{', '.join(sizes)}{again}]"),))


def is_stub(result: ToolResult) -> bool:
    """Whether `stub` made it."""
    return len(result.content) == 1 and isinstance(one := result.content[0], Text) and one.text.startswith(_LEFT_OUT)


def summary(text: str, old: Sequence[Message], handles: Mapping[str, str]) -> Message:
    """The message that stands for `old`; `handles` are the tools' names by the handles of their results.

    What an earlier summary among them said can be read again stays said.
    """
    listed = [line.removeprefix(_AGAIN) for line in _lines(old) if line.startswith(_AGAIN)]
    listed += _listed(handles)
    again = f"\n{_AGAIN}{', '.join(listed)}" if listed else ""
    return Message.user(f"{_HEAD.format(count=len(old))}\n{text.strip()}{again}")


def _listed(handles: Mapping[str, str]) -> Iterator[str]:
    """The handles, those of one tool that follow upon each other as one: a long step has hundreds."""
    rows: list[tuple[str, str, str]] = []  # the first of them, the last, and the tool
    for handle, tool in handles.items():
        first, last, before = rows[-1] if rows else ("", "", "")
        if follows := bool(rows) and before == tool and _follows(last, handle):
            rows.pop()
        rows.append((first if follows else handle, handle, tool))
    return (f"{first} ({tool})" if first == last else f"{first} to {last} ({tool})" for first, last, tool in rows)


def _follows(last: str, handle: str) -> bool:
    """Whether it is the next one, as `Results` counts them; who keeps results otherwise may name them otherwise."""
    before, here = last.rpartition(".")[2], handle.rpartition(".")[2]
    return before.isdecimal() and here.isdecimal() and int(here) == int(before) + 1


def is_summary(message: Message) -> bool:
    """Whether `summary` made it: such a message is no task, and becomes part of the next summary."""
    return message.role == "user" and _HEADED.match(message.text) is not None


def _lines(messages: Iterable[Message]) -> Iterable[str]:
    return (line for message in messages if is_summary(message) for line in message.text.splitlines())
