"""Runs: their ids, and each in one line."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, TypeAlias

from orchestra.ledger.events import (
    AttemptStarted,
    Planned,
    Row,
    RunEnded,
    RunResumed,
    RunStarted,
    RunState,
    StepStarted,
    ToolEnded,
    ToolStarted,
)
from orchestra.ledger.sessions import active_seconds
from orchestra.ledger.totals import totals
from orchestra.ledger.views import attempts, questions
from orchestra.types import Cost, Usage

Standing: TypeAlias = RunState | Literal["running"]


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run in one line. `state` "running" means that no end is recorded: it runs, or its process died.

    `started` is Unix seconds, `seconds` its time at work: what lies between an interruption and the resume after it
    does not count. `waiting` counts the questions that no person has answered yet, `replans` the plans after the first.
    `task` is empty unless content is kept.
    """

    run: str
    agent: str
    state: Standing
    started: float
    seconds: float
    steps: int
    attempts: int
    models: tuple[str, ...]
    usage: Usage
    cost: Cost
    task: str = ""
    mode: str = ""
    reason: str = ""
    waiting: int = 0
    resumes: int = 0
    replans: int = 0


def summary(rows: Sequence[Row]) -> RunSummary:
    """The run in one line; `rows` are all of one run, at least one."""
    start = next((row.event for row in rows if isinstance(row.event, RunStarted)), RunStarted(agent=""))
    end = _end(rows)
    total = totals(rows)
    resumes = sum(isinstance(row.event, RunResumed) for row in rows)
    ends = sum(isinstance(row.event, RunEnded) for row in rows)
    plans = {row.event.version for row in rows if isinstance(row.event, Planned)}
    return RunSummary(
        run=rows[0].run,
        agent=start.agent,
        state=end.state if end else "running",
        started=rows[0].time,
        seconds=end.seconds if end and not resumes and ends == 1 else active_seconds(rows),
        steps=len({row.step for row in rows if row.step}),
        attempts=total.attempts,
        models=tuple(dict.fromkeys(attempt.model for attempt in attempts(rows))),
        usage=total.usage,
        cost=total.cost,
        task=start.task,
        mode=start.mode,
        reason=end.reason if end else "",
        waiting=sum(one.state == "open" for one in questions(rows)) if not end or end.state == "interrupted" else 0,
        resumes=resumes,
        replans=max(0, len(plans) - 1),
    )


def _end(rows: Sequence[Row]) -> RunEnded | None:
    """The run's last word, unless it was taken up again after it, which it may not say itself.

    Calls that were made beside the one that left it come to their end, and may have begun a moment later. One that is
    made once more though it never ended was left, and is taken up again.
    """
    end: RunEnded | None = None
    open_calls: set[tuple[str, str]] = set()
    late: set[tuple[str, str]] = set()  # of them those that began after the end
    for row in rows:
        match row.event:
            case RunEnded():
                end, late = row.event, set()
            case ToolStarted(call=call):
                if (row.step, call) in open_calls:
                    end, open_calls = None, set()
                open_calls.add((row.step, call))
                late.add((row.step, call))
            case ToolEnded(call=call):
                open_calls.discard((row.step, call))
                late.discard((row.step, call))
            case RunResumed():
                end, open_calls = None, set()
            case StepStarted() | AttemptStarted():
                end = None
            case _:
                continue
    return None if late else end


def new_run_id() -> str:
    """A run id of 16 characters: ids sort by the microsecond they were made in, and end in 25 random bits."""
    number = time.time_ns() // 1000 << 25 | secrets.randbits(25)
    return "".join([_PAIRS[number >> place & 1023] for place in range(70, -1, -10)])


_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: nothing that reads like something else
_PAIRS = tuple(map("".join, product(_ALPHABET, repeat=2)))
