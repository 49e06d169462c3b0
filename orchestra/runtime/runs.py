"""The runs of an agent in this process: opened from a graph's state, closed at their end."""

from __future__ import annotations

import dataclasses
from typing import Any, get_args

from orchestra.errors import ConfigError
from orchestra.ledger import RunEnded, RunState, totals
from orchestra.runtime.engine import Engine
from orchestra.runtime.scope import Limits, RunScope
from orchestra.runtime.state import RunState as GraphState
from orchestra.types import Mode


class Runs:
    """Scopes by run id. After a resume in another process a scope is made anew, less the money already spent."""

    def __init__(self, engine: Engine, limits: Limits) -> None:
        self.engine, self.limits = engine, limits
        self._open: dict[str, RunScope] = {}

    def open(self, state: GraphState) -> RunScope:
        """The run's scope. Raises ConfigError for limits that make no sense."""
        run = state["run"]
        if run not in self._open:
            spent = totals(self.engine.ledger.events(run)).cost.usd or 0.0
            self._open[run] = self.engine.scope(self._limits(state), run=run, spent=spent)
        return self._open[run]

    def close(self, run: str, state: RunState, reason: str = "", *, seconds: float = 0.0, answer: str = "") -> None:
        """The run's last word in the ledger."""
        self._open.pop(run, None)
        self.engine.ledger.append(run, "", RunEnded(state, seconds, reason, answer))

    def _limits(self, state: GraphState) -> Limits:
        limits = self.limits
        if (mode := state.get("mode")) is not None:
            limits = dataclasses.replace(limits, mode=_one_of(mode))
        if (budget := state.get("budget")) is not None:
            limits = dataclasses.replace(limits, budget=_positive("budget", budget, "USD"))
        if (deadline := state.get("deadline")) is not None:
            limits = dataclasses.replace(limits, deadline=_positive("deadline", deadline, "seconds"))
        return limits


def _one_of(mode: str) -> Mode:
    if mode not in get_args(Mode):
        raise ConfigError(f"mode {mode!r} is unknown; known: {', '.join(get_args(Mode))}")
    return mode  # type: ignore[return-value]  # just checked


def _positive(name: str, value: Any, unit: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not value >= 0:
        raise ConfigError(f"{name}: expected a number of {unit} that is not negative, got {value!r}")
    return value
