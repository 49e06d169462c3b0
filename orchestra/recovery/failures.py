"""Failures: what a history tells of tools that ran elsewhere, and so how far up its ladder a step stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby, takewhile

from orchestra.types import Message, Text, ToolResult, Trigger, Verdict


def failures(messages: Sequence[Message]) -> list[Verdict]:
    """What the tools of the last turns failed with, as `unbroken`; nothing from before a user or the system spoke.

    A turn are all the results between two replies of the model.
    """
    recent = takewhile(lambda message: message.role in _OF_TURNS, reversed(messages))
    turns = (reversed(list(turn)) for role, turn in groupby(recent, lambda message: message.role) if role == "tool")
    return unbroken([bad for message in turn for bad in _failed(message)] for turn in turns)


def unbroken(turns: Iterable[Sequence[Verdict]]) -> list[Verdict]:
    """One Verdict for each of the last turns that failed, oldest first.

    `turns` come newest first, each with its failures in order; the first without any is the end. A turn failed by the
    trigger of its first failure, with the evidence of all.
    """
    failed = takewhile(bool, turns)
    return [Verdict(bad[0].trigger, tuple(line for one in bad for line in one.evidence)) for bad in failed][::-1]


_OF_TURNS = frozenset({"assistant", "tool"})


def _failed(message: Message) -> list[Verdict]:
    bad = [part for part in message.parts if isinstance(part, ToolResult) and part.is_error]
    return [Verdict(Trigger.tool_error, (f"{one.name}: {_text(one)}",)) for one in bad]


def _text(result: ToolResult) -> str:
    return "".join(part.text for part in result.content if isinstance(part, Text))
