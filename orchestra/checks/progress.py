"""Progress: a step that runs in circles over its tool results."""

from __future__ import annotations

import re
from collections.abc import Sequence

from orchestra.checks.calls import identity
from orchestra.checks.wording import cut, listing
from orchestra.types import ToolCall, Trigger, Verdict

_ERROR = re.compile(r"\s*(?:\w*(?:error|exception)\b|failed\b|failure\b)", re.IGNORECASE)


def no_progress(results: Sequence[tuple[ToolCall, str]], limit: int = 3) -> Verdict:
    """`no_progress` where the last calls of a step led nowhere `limit` times in a row, else accepted.

    Nowhere means: the same tool with the same error whatever the arguments, or the same calls with the same results in
    a circle of any length. The same success for different arguments (`ok`, `ok`, `ok`) is work being done.
    """
    for text in (_same_error(results, limit), _circle(results, limit)):
        if text is not None:
            return Verdict(Trigger.no_progress, (text,))
    return Verdict()


def _same_error(results: Sequence[tuple[ToolCall, str]], limit: int) -> str | None:
    last = results[-limit:]
    if len(last) < limit or len({(call.name, text) for call, text in last}) > 1 or not _ERROR.match(last[0][1]):
        return None
    return f"{last[0][0].name}: the same error {limit} times in a row: {cut(last[0][1], 200)}"


def _circle(results: Sequence[tuple[ToolCall, str]], limit: int) -> str | None:
    turns = results[::-1]
    for length in range(1, len(turns) // limit + 1):
        if all(map(_same, turns[: length * (limit - 1)], turns[length:])):
            names = listing([call.name for call, _ in results[-length:]])
            return f"{names}: the same calls with the same results {limit} times in a row"
    return None


def _same(turn: tuple[ToolCall, str], other: tuple[ToolCall, str]) -> bool:
    return turn[1] == other[1] and identity(turn[0]) == identity(other[0])
