"""Begun calls, as a step's journal keeps them before they are made: what it takes to repeat exactly that call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from orchestra.runtime.journal import Journal
from orchestra.types import Json, ToolCall, from_json


@dataclass(frozen=True, slots=True)
class Begun:
    """A call that was begun so many times, at last with these arguments, which a person may have edited.

    `ordinal` tells it from other calls with the same arguments. Both are None where an earlier version kept the count
    alone.
    """

    times: int
    arguments: Mapping[str, Json] | None = None
    ordinal: int | None = None

    def made(self, call: ToolCall) -> ToolCall:
        """The call that was really made where a model wrote `call`."""
        as_written = self.arguments is None or self.arguments is call.arguments
        return call if as_written else replace(call, arguments=self.arguments)


def begun(journal: Journal, place: str) -> Begun | None:
    """What is kept of the call at this place, its turn and its number in the turn; None where it was never begun."""
    kept = journal.value(f"{place}.start")
    if kept is None or isinstance(kept, Begun):
        return kept
    return Begun(kept) if isinstance(kept, int) else from_json(Begun, kept)
