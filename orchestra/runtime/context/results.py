"""Whole tool results, kept under handles so that a model can read on where one was cut or left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import count

from orchestra.fleet.spelling import known
from orchestra.runtime.context.stubs import is_stub
from orchestra.toolbox import ToolRejected
from orchestra.types import Json, Text, ToolResult, from_json, to_json
from orchestra.types.message import apart

MAX_TEXT = 1_000_000
"""Characters kept of one result; the rest is lost, and whoever reads it is told so."""
MAX_TOTAL = 8_000_000
"""Characters kept in all; beyond them the results kept longest are dropped."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A result's text, at most its first `MAX_TEXT` characters, and how many it had."""

    text: str
    size: int


@dataclass(frozen=True, slots=True)
class _Stored:
    """Everything as plain JSON."""

    kept: Mapping[str, Kept]
    handles: Mapping[str, Mapping[str, str]]


class Results:
    """The results of one step, or of several: handles are `STEP.1`, `STEP.2`, … in the order of the step's calls."""

    def __init__(self) -> None:
        self._kept: dict[str, Kept] = {}
        self._handles: dict[str, dict[str, str]] = {}
        self._total = 0

    @classmethod
    def from_json(cls, data: Json) -> Results:
        """What `to_json` gave. Raises JsonMismatch."""
        stored, results = from_json(_Stored, data), cls()
        results._handles = {step: dict(calls) for step, calls in stored.handles.items()}
        for handle, kept in stored.kept.items():
            results._keep(handle, kept)
        return results

    def to_json(self) -> Json:
        """Plain JSON that holds everything, the texts too."""
        return to_json(_Stored(self._kept, self._handles))

    def handle(self, step: str, call_id: str) -> str:
        """The handle of this call's result; the same call has the same one for ever."""
        calls = self._handles.setdefault(step, {})
        return calls.setdefault(call_id, f"{step}.{len(calls) + 1}")

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, handle: str, text: str) -> None:
        """Keep a result's text under its handle; a text put there before is replaced."""
        self._keep(handle, Kept(text[:MAX_TEXT], len(text)))

    def add(self, step: str, text: str) -> str:
        """Keep a text that belongs to no call; its new handle."""
        taken = self._handles.get(step, {})
        handle = self.handle(step, next(name for n in count(1) if (name := f"+{n}") not in taken))
        self.put(handle, text)
        return handle

    def get(self, handle: str) -> Kept:
        """The text under a handle. Raises ToolRejected, which names the known ones."""
        if handle not in self._kept:
            gone = any(handle in calls.values() for calls in self._handles.values())
            why = f"the result {handle!r} is no longer kept" if gone else f"no result has the handle {handle!r}"
            raise ToolRejected(f"{why}; {known(handle, self._kept)}")
        return self._kept[handle]

    def keeper(self, step: str) -> Callable[[ToolResult], str]:
        """What `fit` asks before it leaves a result of this step out: its text is kept, and its handle named."""

        def keep(result: ToolResult) -> str:
            handle = self.handle(step, result.call_id)
            if handle not in self._kept:  # where it was cut before, all of it is there already
                self.put(handle, apart(result.content))
            return handle

        return keep

    def giver(self, step: str) -> Callable[[ToolResult], ToolResult]:
        """What `fit` asks for a result of this step that was left out before; without a text it stays out."""

        def whole(result: ToolResult) -> ToolResult:
            kept = self._kept.get(self.handle(step, result.call_id)) if is_stub(result) else None
            return replace(result, content=(Text(kept.text),)) if kept and kept.text else result

        return whole

    def _keep(self, handle: str, kept: Kept) -> None:
        if before := self._kept.pop(handle, None):
            self._total -= len(before.text)
        self._kept[handle] = kept
        self._total += len(kept.text)
        while self._total > MAX_TOTAL:
            oldest = next(iter(self._kept))
            self._total -= len(self._kept.pop(oldest).text)
