"""How a run was begun, so that `--resume` can go on with it: the same agent on the same data and fleet."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from orchestra.cli.options import fleet_file, open_ledger
from orchestra.errors import AgentError, ConfigError

if TYPE_CHECKING:
    from orchestra.cli.performing import Job
    from orchestra.ledger import Invoked, Ledger, Row
    from orchestra.runtime.catalog import AgentFile, Runnable


def found(job: Job, answers: Sequence[str] = ()) -> Job:
    """The job with what the ledger knows of how its run was begun; what the job says itself wins.

    `answers` are the questions that the command line answers. Raises LedgerError for an unknown run, ConfigError for
    one whose agent is not known, for data or a fleet that are gone, and for answers to what is not asked.
    """
    ledger = open_ledger(job.ledger)
    try:
        run = ledger.resolve(job.resume)
        rows = ledger.events(run)
    finally:
        ledger.close()
    agent, data, fleet, content = _begun(rows)
    if not (job.agent or agent):
        way = f"orchestra run AGENT --resume {run}"
        raise ConfigError(f"run {run} was not begun by this command, so its agent is not known; name it: {way}")
    _check_answers(run, rows, answers)
    return replace(
        job,
        resume=run,
        agent=job.agent or agent,
        data=job.data or _there(run, "data", data),
        fleet=job.fleet or _there(run, "fleet", fleet),
        content=job.content or content,
    )


def load(job: Job) -> AgentFile:
    """The job's agent. Raises AgentError, with the way out where it is a run's that was begun before."""
    from orchestra.runtime.catalog import load_agent

    try:
        return load_agent(job.agent)
    except AgentError as error:
        if not job.resume:
            raise
        way = f"orchestra run AGENT --resume {job.resume}"
        raise AgentError(f"run {job.resume} goes on with its agent: {error}; put it back, or name it: {way}") from error


def sign(ledger: Ledger, job: Job, run: str) -> None:
    """Record how the run is begun or gone on with, where that is not how it was before."""
    from orchestra.ledger import Invoked

    fleet, is_file = fleet_file(job.fleet), Path(job.agent).suffix == ".py"
    signed = Invoked(
        agent=str(Path(job.agent).resolve()) if is_file else job.agent,
        data=str(job.data.resolve()) if job.data else "",
        fleet=str(fleet.resolve()) if fleet else "",
    )
    if _last(ledger.events(run)) != signed:
        ledger.append(run, "", signed)


def command(graph: Runnable, job: Job, run: str) -> str:
    """The command that goes on with the run; "" for a graph that is not planner_executor's.

    Raises AgentError where the job wants to go on with such a graph.
    """
    from orchestra.runtime.agent import Agent

    if isinstance(graph, Agent):
        where = f" --ledger {shlex.quote(str(job.ledger))}" if job.ledger else ""
        return f"orchestra run --resume {run}{where}"
    if job.resume:
        raise AgentError(
            f"agent {job.agent!r} is a graph of its own, and this command resumes only those of planner_executor; "
            "resume it in Python, from its own checkpointer"
        )
    return ""


def _begun(rows: Sequence[Row]) -> tuple[str, str, str, bool]:
    """Agent, data, fleet, and whether content is kept: only then a run's task stands in its first row."""
    from orchestra.ledger import RunStarted

    content = any(isinstance(row.event, RunStarted) and row.event.task for row in rows)
    last = _last(rows)
    return (last.agent, last.data, last.fleet, content) if last else ("", "", "", content)


def _last(rows: Sequence[Row]) -> Invoked | None:
    from orchestra.ledger import Invoked

    return next((row.event for row in reversed(rows) if isinstance(row.event, Invoked)), None)


def _there(run: str, option: str, path: str) -> Path | None:
    if path and not Path(path).exists():
        raise ConfigError(f"run {run} was begun with --{option} {path}, which is gone; put it back, or give --{option}")
    return Path(path) if path else None


def _check_answers(run: str, rows: Sequence[Row], answers: Sequence[str]) -> None:
    """A misspelt question is told before the run goes on, not after it has ended without the answer."""
    from orchestra.ledger import questions

    asked = {one.id: one for one in questions(rows)}
    for name in answers:
        if name not in asked:
            pending = ", ".join(one.id for one in asked.values() if one.state == "open") or "none"
            near = get_close_matches(name, asked, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ConfigError(f"--answer: run {run} has not asked {name!r}; {hint}pending: {pending}")
