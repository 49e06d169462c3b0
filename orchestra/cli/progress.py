"""A run as it stands: one value per step, read from the ledger's rows so far, and the plain lines a row is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestra.ledger import (
    AttemptEnded,
    Decided,
    HumanAnswered,
    Judged,
    Planned,
    Row,
    RunResumed,
    StepEnded,
    StepStarted,
    StepView,
    ToolEnded,
    steps,
)
from orchestra.ledger.sessions import working_times
from orchestra.planning import order


@dataclass(frozen=True, slots=True)
class Progress:
    """One step so far: `state` is waiting, running, asking (a person), done, failed or skipped.

    `trouble` is what went wrong in it.
    """

    id: str
    goal: str
    needs: tuple[str, ...] = ()
    state: str = "waiting"
    model: str = ""
    attempts: int = 0
    tokens: int = 0
    seconds: float = 0.0
    trouble: tuple[str, ...] = ()

    @property
    def figures(self) -> str:
        """Model, attempts, tokens and seconds, as far as there are any."""
        attempts = f"{self.attempts} attempt{'' if self.attempts == 1 else 's'}" if self.attempts else ""
        tokens = f"{self.tokens:,} tokens" if self.tokens else ""
        seconds = f"{self.seconds:.1f} s" if self.state != "waiting" else ""
        return " · ".join(part for part in (self.model, attempts, tokens, seconds) if part)


def progress(rows: Sequence[Row], now: float) -> tuple[Progress, ...]:
    """Every step, planned or begun, in the order in which they may run; `now` is in Unix seconds."""
    begun = {view.id: _begun(view, rows, now) for view in steps(rows)}
    plans = [row.event.plan for row in rows if isinstance(row.event, Planned)]
    planned = {step.id: Progress(step.id, step.goal, step.needs) for plan in plans[-1:] for step in order(plan)}
    # the planner's own steps, and those that a later plan has left out, come first
    first = {name: step for name, step in begun.items() if name not in planned}
    return tuple((first | planned | begun).values())


def lines(row: Row, rows: Sequence[Row]) -> list[str]:
    """The plain lines that tell of `row`, the last one of `rows`; [] for one that is not worth a line."""
    match row.event:
        case Planned(plan=plan, reason=reason):
            flags = f" ({', '.join(plan.flags)})" if plan.flags else ""
            anew = f", made anew: {reason}" if reason else ""
            told = [f"{row.step}: {len(plan.steps)} step{'' if len(plan.steps) == 1 else 's'}{flags}{anew}"]
            told += [f"  {step.id}: {step.goal}{_needs(step.needs)}" for step in order(plan)]
        case StepStarted(goal=goal):
            told = [f"{row.step}: running: {goal}"]
        case Decided(decision=decision):
            why = f": {decision.reasons[0].text}" if decision.reasons else ""
            told = [f"{row.step}: routed to {decision.model} ({decision.tier}){why}"]
        case StepEnded(state=state):
            figures = next(one.figures for one in progress(rows, row.time) if one.id == row.step)
            told = [*(f"{row.step}: {trouble}" for trouble in _troubles(row)), f"{row.step}: {state}: {figures}"]
        case HumanAnswered(decision=decision, text=text):
            told = [f"{row.step}: answered: {decision}{f': {text}' if text else ''}"]
        case _:
            told = [*changes(row), *(f"{row.step}: {trouble}" for trouble in _troubles(row))]
    return told


def changes(row: Row) -> list[str]:
    """How the agent has changed since the run began, where the row says that it is gone on with."""
    return list(row.event.notes) if isinstance(row.event, RunResumed) else []


def _begun(view: StepView, rows: Sequence[Row], now: float) -> Progress:
    own = [row for row in rows if row.step == view.id]
    since = max(0.0, now - rows[-1].time)
    again = view.state == "failed" and not isinstance(own[-1].event, StepEnded)
    state = "running" if again else "asking" if view.state == "waiting" else view.state
    usages = [attempt.usage for attempt in view.attempts if attempt.usage]
    return Progress(
        id=view.id,
        goal=view.goal,
        needs=view.needs,
        state=state,
        model=view.attempts[-1].model if view.attempts else view.model or "",
        attempts=len(view.attempts),
        tokens=sum(usage.input + usage.output for usage in usages),
        seconds=_worked(view, rows) + since if state == "running" else view.seconds,
        trouble=tuple(trouble for row in own for trouble in _troubles(row)),
    )


def _worked(view: StepView, rows: Sequence[Row]) -> float:
    """From the step's first row to the run's last one; while a person thinks no seconds go by."""
    first = next(place for place, row in enumerate(rows) if row.step == view.id)
    times = working_times(rows)
    return times[-1] - times[first]


def _troubles(row: Row) -> list[str]:
    match row.event:
        case AttemptEnded(trigger=trigger, model=model) if trigger is not None:
            return [f"{model}: {trigger}"]
        case Judged(trigger=trigger) if trigger is not None:
            return [_refused(row.event)]
        case ToolEnded(trigger=trigger, tool=tool, result=result) if trigger is not None:
            return [f"{tool}: {trigger}{f': {result}' if result else ''}"]
        case StepEnded(state=state, evidence=evidence) if state != "done":
            return list(evidence)
        case _:
            return []


def _refused(event: Judged) -> str:
    evidence = f" ({event.evidence[0]})" if event.evidence else ""
    target = f" to {event.to_model}" if event.to_model and event.to_model != event.model else ""
    return f"{event.model}: {event.trigger}{evidence}" + (f" → {event.action}{target}" if event.action else "")


def _needs(needs: Sequence[str]) -> str:
    return f" (needs {', '.join(needs)})" if needs else ""
