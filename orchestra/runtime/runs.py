"""An agent's runs in this process: claimed when they are entered, opened from a graph's state, left at their end."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from typing import Any

from orchestra.errors import BudgetExceeded, LedgerError
from orchestra.ledger import (
    Lease,
    Recorder,
    Row,
    RunEnded,
    RunResumed,
    RunStarted,
    RunState,
    Sink,
    active_seconds,
    attempts,
    totals,
)
from orchestra.ledger.process import here
from orchestra.runtime.engine import Engine
from orchestra.runtime.scope import Limits, RunScope, Spent
from orchestra.runtime.state import RunState as GraphState
from orchestra.types import Cost, Earlier, Usage, from_json

_log = logging.getLogger("orchestra.runtime")


@dataclasses.dataclass(slots=True)
class _Entered:
    """A run this process is at work on, since `began` on the engine's clock.

    `heard`: somebody reads its ledger rows as they come; `deafen` ends that. `scope` once a node has opened it, `done`
    once it has come to its end.
    """

    lease: Lease
    began: float
    heard: bool
    deafen: Callable[[], None] = lambda: None
    before: float = 0.0
    scope: RunScope | None = None
    done: bool = False


class Runs:
    """Runs by id. A run belongs to one task of one process at a time, by its lease in the ledger.

    After a resume a scope is made anew, less the money and the seconds that were spent before.
    """

    def __init__(self, engine: Engine, agent: str, limits: Limits) -> None:
        self.engine, self.agent, self.limits = engine, agent, limits
        self._entered: dict[str, _Entered] = {}
        self._replaced: dict[str, str] = {}  # by the run that took its thread over

    def enter(self, run: str, *, heard: bool = True) -> None:
        """Claim the run, whose rows are `heard` as they come. Raises RunOwned where it is at work elsewhere."""
        lease = self.engine.ledger.claim(run)
        self._entered[run] = _Entered(lease, self.engine.clock(), heard)

    def tell(self, run: str, listener: Sink) -> Callable[[], None]:
        """Hand the run's rows to `listener` from now on, where anybody hears them; returns what ends it."""
        if run not in self._entered:
            return self.engine.ledger.subscribe(run, listener)
        entered = self._entered[run]
        if entered.heard:
            entered.deafen = self.engine.ledger.subscribe(run, listener)
        return entered.deafen

    def leave(self, run: str) -> None:
        """Give the run back; one that did not come to its end is recorded as interrupted.

        It is given back even where that cannot be recorded: raises LedgerError then.
        """
        self._replaced.pop(run, None)
        entered = self._entered.get(run)
        if entered is None:
            return
        try:
            if entered.scope is not None:
                self.close(run, "interrupted", "it waits to be resumed")
        finally:
            del self._entered[run]
            entered.lease.release()

    def open(self, state: GraphState, *, asks: bool, notes: tuple[str, ...] = ()) -> RunScope:
        """The run's scope. Raises ConfigError for limits that make no sense.

        `notes` say how the agent has changed since the run began; they are recorded where it is resumed.
        """
        run = state["run"]
        if run not in self._entered:  # a node called by itself, as a test does
            self.enter(run)
        entered = self._entered[run]
        if entered.scope is None:
            entered.scope = self._scope(state, entered, asks=asks, notes=notes)
        return entered.scope

    def recorder(self, run: str) -> Recorder:
        """What writes into the run's part of the ledger."""
        return Recorder(self.engine.ledger, run)

    def seconds(self, run: str) -> float:
        """Seconds in which the run was at work, in this process and before; the days a person takes do not count."""
        entered = self._entered[run]
        return entered.before + self.engine.clock() - entered.began

    def close(self, run: str, state: RunState, reason: str = "", *, answer: str = "") -> None:
        """The run's last word in the ledger."""
        entered = self._entered[run]
        entered.scope, entered.done = None, state == "done"
        self.engine.ledger.append(run, "", RunEnded(state, self.seconds(run), reason, answer))

    def forget(self, run: str) -> None:
        """Delete what nobody resumes any more: what the run kept, where it is done, and what one kept that it replaced.

        To be called once the run's checkpoints are safe.
        """
        if replaced := self._replaced.pop(run, None):
            self.engine.ledger.forget(replaced)
        entered = self._entered.get(run)
        if entered is not None and entered.done:
            self.engine.ledger.forget(run)

    def cancel(self, run: str, reason: str, *, by: str) -> None:
        """The last word on a run whose thread run `by` is about to take over. Raises RunOwned where it is at work.

        It keeps its journal until `by` has the thread: where no checkpoint of `by` is ever written, it can go on.
        """
        with self.engine.ledger.claim(run):
            self.engine.ledger.append(run, "", RunEnded("cancelled", 0.0, reason))
        self._replaced[by] = run

    def abandon(self, run: str, state: RunState, reason: str) -> None:
        """The last word on a run that was left before its end; none where it never began or has ended.

        A failure to record it, as when the app was closed before, is logged, so that it does not hide why it was left.
        """
        entered = self._entered.get(run)
        if entered is None or entered.scope is None:
            return
        entered.deafen()  # LangGraph's stream is closed by now
        try:
            self.close(run, state, reason)
        except LedgerError as error:
            _log.warning("%s; run %s has no last word: %s (%s)", error, run, state, reason)

    def _scope(self, state: GraphState, entered: _Entered, *, asks: bool, notes: tuple[str, ...]) -> RunScope:
        run, limits = state["run"], self._limits(state)
        scope = dataclasses.replace(self.engine.scope(limits, run=run), asks=asks)
        rows = self.engine.ledger.events(run)
        begun = any(isinstance(row.event, RunStarted) for row in rows)
        if not begun and not state.get("plan"):
            return scope
        if begun or not state.get("forked"):
            scope.recorder.record("", RunResumed(self.agent, str(here()), notes))
        entered.before = max(active_seconds(rows), state.get("seconds", 0.0))
        return self._spent_before(scope, state, entered, rows)

    def _spent_before(self, scope: RunScope, state: GraphState, entered: _Entered, rows: list[Row]) -> RunScope:
        took = totals(rows)
        cost, usage = (took.cost, took.usage) if rows else _told(state)
        limits = scope.limits
        if cost.usd is None and limits.budget is not None and not limits.allow_unknown_price:
            raise BudgetExceeded(f"run {scope.run}: what it spent before is unknown, and a money cap is set")
        purse = scope.purse.anew(spent=cost.usd or 0.0)
        recorder = dataclasses.replace(scope.recorder, spent=Spent(cost, usage))
        return dataclasses.replace(
            scope,
            recorder=recorder,
            purse=purse,
            deadline=min(scope.deadline, self.engine.clock() + limits.deadline - entered.before),
            history=[Earlier(one.step, one.model, one.trigger) for one in attempts(rows) if one.trigger],
            resumed=True,
        )

    def _limits(self, state: GraphState) -> Limits:
        names = ("mode", "budget", "deadline", "feature")
        given: dict[str, Any] = {name: value for name in names if (value := state.get(name)) is not None}
        return dataclasses.replace(self.limits, **given) if given else self.limits


def _told(state: GraphState) -> tuple[Cost, Usage]:
    """What the state says was spent, where the ledger keeps nothing."""
    cost, usage = state.get("cost"), state.get("usage")
    return (from_json(Cost, cost) if cost else Cost(0.0), from_json(Usage, usage) if usage else Usage())
