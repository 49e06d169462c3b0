"""The runs of an agent in this process: opened from a graph's state, closed at their end."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from orchestra.errors import BudgetExceeded
from orchestra.ledger import RunEnded, RunState, totals
from orchestra.runtime.engine import Engine
from orchestra.runtime.scope import Limits, RunScope
from orchestra.runtime.state import RunState as GraphState


class Runs:
    """Scopes by run id. After a resume in another process a scope is made anew, less the money already spent."""

    def __init__(self, engine: Engine, limits: Limits) -> None:
        self.engine, self.limits = engine, limits
        self._open: dict[str, RunScope] = {}

    def open(self, state: GraphState) -> RunScope:
        """The run's scope. Raises ConfigError for limits that make no sense."""
        run = state["run"]
        if run not in self._open:
            limits = self._limits(state)
            spent = totals(self.engine.ledger.events(run)).cost.usd
            if spent is None and limits.budget is not None and not limits.allow_unknown_price:
                raise BudgetExceeded(f"run {run}: what it spent before is unknown, and a money cap is set")
            self._open[run] = self.engine.scope(limits, run=run, spent=spent or 0.0, elapsed=_elapsed(state))
        return self._open[run]

    def close(self, run: str, state: RunState, reason: str = "", *, seconds: float = 0.0, answer: str = "") -> None:
        """The run's last word in the ledger."""
        self._open.pop(run, None)
        self.engine.ledger.append(run, "", RunEnded(state, seconds, reason, answer))

    def abandon(self, run: str, state: RunState, reason: str) -> None:
        """The last word on a run that was left before its end; none where it never began or has ended."""
        if run in self._open:
            self.close(run, state, reason)

    def _limits(self, state: GraphState) -> Limits:
        given: dict[str, Any] = {name: state.get(name) for name in ("mode", "budget", "deadline")}
        return dataclasses.replace(self.limits, **{name: value for name, value in given.items() if value is not None})


def _elapsed(state: GraphState) -> float:
    """Seconds since the run began, 0 for one that begins; a second task on a thread has a run of its own."""
    return max(0.0, time.time() - state["started"]) if state.get("plan") and "started" in state else 0.0
