"""Views: attempts, tools and steps as they stand, made anew from a run's rows, which alone are the truth."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, TypeAlias, TypeVar

from orchestra.ledger.events import (
    AttemptEnded,
    AttemptStarted,
    Decided,
    HumanAnswered,
    HumanAsked,
    Judged,
    Planned,
    QuestionKind,
    Row,
    StepEnded,
    StepStarted,
    StepState,
    ToolEnded,
    ToolStarted,
)
from orchestra.ledger.sessions import working_times
from orchestra.types import Action, Cost, Finish, Json, Sent, Trigger, Usage

AttemptState: TypeAlias = Literal["accepted", "refused", "open"]
V = TypeVar("V", "AttemptView", "ToolView", "StepView", "QuestionView")


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One request to one model, from its start to what recovery did next.

    `state` "open": its end or its verdict is not recorded. `started` is Unix seconds; `seconds` and `first_token` are
    durations. `later` are verdicts on the same attempt after its tools had run. While its end is not recorded `cost` is
    what was `reserved` for it, as an estimate; without a cap nothing was, and the estimate is 0.
    """

    id: str
    step: str
    model: str
    started: float
    state: AttemptState = "open"
    turn: int = 0
    rung: int = 0
    degraded: bool = False
    notes: tuple[str, ...] = ()
    reserved: float | None = None
    key: str = ""
    place: str = ""
    call: str = ""
    wire_model: str | None = None
    trigger: Trigger | None = None
    evidence: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()
    action: Action | None = None
    to_model: str | None = None
    reason: str = ""
    feedback: str = ""
    status: int | None = None
    sent: Sent = "unknown"
    finish: Finish | None = None
    usage: Usage | None = None
    cost: Cost = Cost(0.0)
    seconds: float = 0.0
    first_token: float | None = None
    raw_sha256: str = ""
    raw: str = ""
    later: tuple[Judged, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolView:
    """One run of a tool. `state` "open": it was started and its end is not recorded."""

    call: str
    step: str
    tool: str
    state: Literal["done", "failed", "open"] = "open"
    turn: int = 0
    read_only: bool = False
    idempotent: bool = False
    trigger: Trigger | None = None
    seconds: float = 0.0
    size: int = 0
    arguments: Mapping[str, Json] = field(default_factory=dict[str, Json])
    result: str = ""


@dataclass(frozen=True, slots=True)
class QuestionView:
    """One question to a person, however often it was asked; Unix seconds.

    `state` "open": no answer is recorded; "withdrawn": none is waited for any more, because its step was skipped.
    """

    id: str
    step: str
    kind: QuestionKind
    asked: float
    state: Literal["answered", "open", "withdrawn"] = "open"
    tool: str = ""
    text: str = ""
    arguments: Mapping[str, Json] = field(default_factory=dict[str, Json])
    decision: str = ""
    answer: str = ""
    answered: float | None = None


@dataclass(frozen=True, slots=True)
class StepView:
    """One step with all that was decided, tried and run for it.

    `seconds` is time on the clock from first to last row, less the time between the run's sessions. `state` "running"
    means that its end is not recorded, "waiting" that moreover a person is asked. `decisions` are in order: one a turn
    or replan.
    """

    id: str
    goal: str = ""
    kind: str = ""
    needs: tuple[str, ...] = ()
    state: StepState | Literal["running", "waiting"] = "running"
    model: str | None = None
    degraded: bool = False
    turns: int = 0
    trigger: Trigger | None = None
    evidence: tuple[str, ...] = ()
    result: str = ""
    started: float = 0.0
    seconds: float = 0.0
    decisions: tuple[Decided, ...] = ()
    attempts: tuple[AttemptView, ...] = ()
    tools: tuple[ToolView, ...] = ()
    questions: tuple[QuestionView, ...] = ()


def attempts(rows: Iterable[Row]) -> tuple[AttemptView, ...]:
    """The attempts of a run in the order in which they began."""
    found: dict[tuple[str, str], AttemptView] = {}
    for row in rows:
        event = row.event
        if isinstance(event, AttemptStarted | AttemptEnded | Judged):
            key = (row.step, event.attempt)
            if known := found.get(key):
                found[key] = _attempt(known, event)
            elif not isinstance(event, Judged):  # a verdict may fall on a step that never came to an attempt
                found[key] = _attempt(AttemptView(event.attempt, row.step, event.model, row.time), event)
    return tuple(found.values())


def tools(rows: Iterable[Row]) -> tuple[ToolView, ...]:
    """The tool runs of a run in the order in which they began."""
    found: dict[int, ToolView] = {}
    running: dict[tuple[str, str], int] = {}  # call ids come again: some models number each turn's calls from 0
    for row in rows:
        event = row.event
        if isinstance(event, ToolStarted):
            running[row.step, event.call] = row.seq
            found[row.seq] = _taken(ToolView(event.call, row.step, event.tool), event)
        elif isinstance(event, ToolEnded) and (seq := running.get((row.step, event.call))):
            found[seq] = _taken(found[seq], event, state="failed" if event.trigger else "done")
    return tuple(found.values())


def questions(rows: Iterable[Row]) -> tuple[QuestionView, ...]:
    """What a person was asked, in the order in which it was first asked."""
    found: dict[str, QuestionView] = {}
    for row in rows:
        event = row.event
        if isinstance(event, HumanAsked):
            asked = found.get(event.question)
            if asked is None or asked.state == "withdrawn":
                asked = QuestionView(event.question, row.step, event.kind, row.time)
            found[event.question] = _taken(asked, event)
        elif isinstance(event, HumanAnswered) and (asked := found.get(event.question)):
            found[event.question] = dataclasses.replace(
                asked, state="answered", decision=event.decision, answer=event.text, answered=row.time
            )
        elif isinstance(event, StepEnded) and event.state == "skipped":
            left = (one for one in found.values() if one.step == row.step and one.state == "open")
            found |= {one.id: dataclasses.replace(one, state="withdrawn") for one in left}
    return tuple(found.values())


def steps(rows: Sequence[Row]) -> tuple[StepView, ...]:
    """The steps of a run in the order in which they began."""
    found: dict[str, list[tuple[Row, float]]] = {}
    for row, worked in zip(rows, working_times(rows), strict=True):
        if row.step:
            found.setdefault(row.step, []).append((row, worked))
    return tuple(
        _step(name, [row for row, _ in of_step], of_step[-1][1] - of_step[0][1]) for name, of_step in found.items()
    )


def _attempt(view: AttemptView, event: AttemptStarted | AttemptEnded | Judged) -> AttemptView:
    if isinstance(event, AttemptStarted):
        held = event.reserved or 0.0  # None: nothing bounds it, and what it took until it was cut off nobody knows
        return _taken(view, event, cost=Cost(held, estimated=event.reserved != 0))
    if isinstance(event, AttemptEnded):
        return _taken(view, event, state="refused" if event.trigger else "open")
    if view.state == "accepted" or view.action is not None:
        return dataclasses.replace(view, later=(*view.later, event))
    trigger = event.trigger or view.trigger
    return _taken(view, event, trigger=trigger, state="refused" if trigger else "accepted")


def _step(name: str, rows: Sequence[Row], seconds: float) -> StepView:
    decisions = tuple(row.event for row in rows if isinstance(row.event, Decided))
    view = StepView(
        name,
        started=rows[0].time,
        seconds=seconds,
        decisions=decisions,
        attempts=attempts(rows),
        tools=tools(rows),
        questions=questions(rows),
    )
    if decisions:  # a single call decides without announcing a step
        step = decisions[0].context.step
        view = dataclasses.replace(view, goal=step.goal, kind=step.kind, needs=step.needs)
    elif isinstance(rows[0].event, Planned):  # a fork begins with the plan of the run that it was forked from
        view = dataclasses.replace(view, state="done")
    for row in rows:
        if isinstance(row.event, StepStarted | StepEnded):
            view = _taken(view, row.event)
    waits = view.state == "running" and any(one.state == "open" for one in view.questions)
    return dataclasses.replace(view, state="waiting") if waits else view


def _taken(view: V, source: Any, **more: Any) -> V:
    """The view with every field that `source` has under the same name."""
    names = _names(source.__class__) & _names(type(view)) - {"id"}
    same = {name: getattr(source, name) for name in names}
    return dataclasses.replace(view, **(same | more))


@cache
def _names(cls: Any) -> frozenset[str]:
    return frozenset(field.name for field in dataclasses.fields(cls))
