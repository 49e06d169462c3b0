"""The calls that a step has made, and what they say of the way it goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestra.checks import no_progress
from orchestra.runtime.toolcalls import Called
from orchestra.types import ToolCall, Trigger, Verdict


@dataclass(slots=True)
class Made:
    """A step's calls, with their ends and with what was told of these. Each model that serves has a clean record."""

    calls: list[tuple[ToolCall, Called]] = field(default_factory=list[tuple[ToolCall, Called]])
    told: list[tuple[ToolCall, str]] = field(default_factory=list[tuple[ToolCall, str]])
    since: int = 0

    def anew(self) -> None:
        """Another model serves the step from now on, or the same one with another try."""
        self.since = len(self.calls)

    def add(self, calls: Sequence[ToolCall], ends: Sequence[Called]) -> Verdict:
        """A turn's calls; what is wrong with them, or with the way it has gone so far."""
        self.calls += zip(calls, ends, strict=True)
        self.told += [(call, end.text) for call, end in zip(calls, ends, strict=True)]
        verdict = no_progress(self.told[self.since :])
        return (_trouble(ends) or verdict) if verdict.accepted else verdict

    @property
    def rejected(self) -> bool:
        """Whether the model that serves the step now has called, and every call was rejected for its arguments."""
        fresh = self.calls[self.since :]
        return bool(fresh) and all(end.trigger is Trigger.tool_rejected for _, end in fresh)

    @property
    def good(self) -> list[tuple[ToolCall, str]]:
        """The calls that succeeded, with what they gave."""
        return [(call, end.text) for call, end in self.calls if end.trigger is None and not end.result.is_error]


def _trouble(ends: Sequence[Called]) -> Verdict | None:
    bad = [end for end in ends if end.trigger is not None]
    return Verdict(bad[0].trigger, tuple(end.text for end in bad)) if bad else None
