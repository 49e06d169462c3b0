"""One task through one agent: what `run` and `plan` have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestra.cli.exits import Exit
from orchestra.cli.options import ledger_file, open_app
from orchestra.types import Mode

if TYPE_CHECKING:
    from orchestra.ledger import Comparison, Row


@dataclass(frozen=True, slots=True)
class Job:
    """What the command line asks for; `budget` in USD, `deadline` in seconds, None for no limit."""

    agent: str
    task: str
    fleet: Path | None = None
    ledger: Path | None = None
    data: Path | None = None
    mode: Mode | None = None
    budget: float | None = None
    deadline: float | None = None
    content: bool = False
    plan_only: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """The agent's `result` as plain JSON, what it took beside the alternatives, and how the command ends."""

    result: Mapping[str, Any]
    comparison: Comparison
    exit: Exit


def perform(job: Job, *, quiet: bool) -> Outcome:
    """Run the job, showing its progress on stderr unless `quiet`. Raises OrchestraError."""
    import asyncio

    return asyncio.run(_perform(job, quiet=quiet))


async def _perform(job: Job, *, quiet: bool) -> Outcome:
    from orchestra.cli.live import watching
    from orchestra.ledger import compare, new_run_id
    from orchestra.runtime.catalog import load_agent

    agent = load_agent(job.agent)  # before anything is opened: a misspelt name costs nothing
    async with open_app(job.fleet, ledger_file(job.ledger), content=job.content) as app:
        graph = agent.build(app, **({} if job.data is None else {"data": job.data}))
        run = new_run_id()
        with watching(f"{agent.name} {run}", quiet=quiet) as listener:
            stop = app.ledger.subscribe(run, listener)
            try:
                result = await graph.ainvoke(_input(job, run))
            finally:
                stop()
        rows = app.ledger.events(run)
        return Outcome(result, compare(rows, app.fleet.models), _exit(result, rows))


def _input(job: Job, run: str) -> dict[str, Any]:
    return {
        "task": job.task,
        "run": run,
        "mode": job.mode,
        "budget": job.budget,
        "deadline": job.deadline,
        "plan_only": job.plan_only,
    }


def _exit(result: Mapping[str, Any], rows: Sequence[Row]) -> Exit:
    from orchestra.ledger import StepEnded

    if result["state"] == "done":
        return Exit.ok
    failed = [row.event for row in rows if isinstance(row.event, StepEnded) and row.event.state == "failed"]
    # a step that no model failed at (it has no trigger) ended for want of a candidate, money or time
    return Exit.limit if failed and all(one.trigger is None for one in failed) else Exit.failed
