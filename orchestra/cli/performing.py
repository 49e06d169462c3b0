"""One task through one agent, from its beginning or from where it was left: what `run` and `plan` have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from orchestra.cli.asking import Asked, Person
from orchestra.cli.exits import Exit
from orchestra.cli.options import ledger_file, open_app, open_ledger
from orchestra.errors import ConfigError
from orchestra.types import Mode

if TYPE_CHECKING:
    from orchestra.app import Orchestra
    from orchestra.ledger import Comparison, Row
    from orchestra.runtime.catalog import Runnable


@dataclass(frozen=True, slots=True)
class Job:
    """What the command line asks for; `budget` in USD, `deadline` in seconds, None for no limit.

    `resume` is the run that is to go on, in place of a task; `changed` says what has changed since.
    """

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
    resume: str = ""
    changed: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The agent's `result` as plain JSON, what it took beside the alternatives, and how the command ends.

    `questions` are those that nobody has answered yet.
    """

    result: Mapping[str, Any]
    comparison: Comparison
    exit: Exit
    questions: tuple[Asked, ...] = ()


def perform(job: Job, person: Person, *, quiet: bool) -> Outcome:
    """Run the job, showing its progress on stderr unless `quiet`. Raises OrchestraError."""
    import asyncio

    return asyncio.run(_perform(_found(job) if job.resume else job, person, quiet=quiet))


def _found(job: Job) -> Job:
    """The job with what the ledger knows of how its run was begun."""
    from orchestra.ledger import Invoked

    ledger = open_ledger(job.ledger)
    try:
        run = ledger.resolve(job.resume)
        begun = next((row.event for row in ledger.events(run) if isinstance(row.event, Invoked)), None)
    finally:
        ledger.close()
    if begun is None and not job.agent:
        way = f"orchestra run AGENT --resume {run}"
        raise ConfigError(f"run {run} was not begun by this command, so its agent is not known; name it: {way}")
    begun = begun or Invoked(job.agent)
    return replace(
        job,
        resume=run,
        agent=job.agent or begun.agent,
        data=job.data or (Path(begun.data) if begun.data else None),
        fleet=job.fleet or (Path(begun.fleet) if begun.fleet else None),
    )


async def _perform(job: Job, person: Person, *, quiet: bool) -> Outcome:
    from orchestra.ledger import compare, new_run_id
    from orchestra.runtime.catalog import load_agent

    agent = load_agent(job.agent)  # before anything is opened: a misspelt name costs nothing
    async with open_app(job.fleet, ledger_file(job.ledger), content=job.content) as app:
        graph = agent.build(app, **({} if job.data is None else {"data": job.data}))
        run = job.resume or new_run_id()
        title = f"{agent.name} {run}"
        if not job.resume and not job.plan_only:
            _sign(app, job, run)
        result = await _invoke(app, graph, _input(job, run), title, quiet=quiet)
        while (asked := _asked(result)) and (answers := person.answers(asked)):
            result = await _invoke(app, graph, {"run": run, "answers": answers}, title, quiet=quiet)
        rows = app.ledger.events(run)
        return Outcome(result, compare(rows, app.fleet.models), _exit(result, rows), _asked(result))


def _sign(app: Orchestra, job: Job, run: str) -> None:
    """How the run was begun, so that `--resume` can build the same agent."""
    from orchestra.cli.options import fleet_file
    from orchestra.ledger import Invoked

    fleet, is_file = fleet_file(job.fleet), Path(job.agent).suffix == ".py"
    agent = str(Path(job.agent).resolve()) if is_file else job.agent
    data = str(job.data.resolve()) if job.data else ""
    app.ledger.append(run, "", Invoked(agent, data, str(fleet.resolve()) if fleet else ""))


async def _invoke(app: Orchestra, graph: Runnable, given: dict[str, Any], title: str, *, quiet: bool) -> Any:
    from orchestra.cli.live import watching

    with watching(title, quiet=quiet) as listener:
        stop = app.ledger.subscribe(given["run"], listener)
        try:
            return await graph.ainvoke(given)
        finally:
            stop()


def _input(job: Job, run: str) -> dict[str, Any]:
    limits = {"run": run, "mode": job.mode, "budget": job.budget, "deadline": job.deadline}
    if job.resume:
        return limits | ({"changed": job.changed} if job.changed else {})
    return limits | {"task": job.task, "plan_only": job.plan_only}


def _asked(result: Mapping[str, Any]) -> tuple[Asked, ...]:
    return tuple(cast("Asked", one.value) for one in result.get("__interrupt__", ()))


def _exit(result: Mapping[str, Any], rows: Sequence[Row]) -> Exit:
    from orchestra.ledger import StepEnded

    if _asked(result):
        return Exit.waiting
    if result["state"] == "done":
        return Exit.ok
    failed = [row.event for row in rows if isinstance(row.event, StepEnded) and row.event.state == "failed"]
    # a step that no model failed at (it has no trigger) ended for want of a candidate, money or time
    return Exit.limit if failed and all(one.trigger is None for one in failed) else Exit.failed
