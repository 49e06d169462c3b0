"""One task through one agent, from its beginning or from where it was left: what `run` and `plan` have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestra.cli import resuming
from orchestra.cli.asking import Asked, Person
from orchestra.cli.exits import Exit
from orchestra.cli.options import ledger_file, open_app
from orchestra.errors import AgentError
from orchestra.types import Mode

if TYPE_CHECKING:
    import asyncio

    from orchestra.app import Orchestra
    from orchestra.ledger import Comparison, Row
    from orchestra.runtime.catalog import AgentFile, Runnable


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

    `questions` are those that nobody has answered yet, `resume` is the command that goes on with the run, if any does.
    """

    result: Mapping[str, Any]
    comparison: Comparison
    exit: Exit
    questions: tuple[Asked, ...] = ()
    resume: str = ""


def perform(job: Job, person: Person, *, quiet: bool) -> Outcome:
    """Run the job, showing its progress on stderr unless `quiet`.

    Raises OrchestraError, and KeyboardInterrupt with the command that goes on with the run.
    """
    import asyncio

    job = resuming.found(job, tuple(person.given)) if job.resume else job
    agent = resuming.load(job)  # before anything is opened: a misspelt name costs nothing
    with asyncio.Runner() as loop:
        app = open_app(job.fleet, ledger_file(job.ledger), content=job.content)
        try:
            work = loop.run(_opened(app, job, agent))
            return work.to_its_end(loop, person, quiet=quiet)
        finally:
            loop.run(app.aclose())


@dataclass(frozen=True, slots=True)
class _Work:
    """A job on its agent's graph; `rows` are the run's so far, for those who watch it."""

    app: Orchestra
    job: Job
    graph: Runnable
    run: str
    title: str
    rows: list[Row]
    resume: str

    def to_its_end(self, loop: asyncio.Runner, person: Person, *, quiet: bool) -> Outcome:
        """Part by part, each up to the next question that the person has an answer to."""
        try:
            result = loop.run(self._first_part(quiet=quiet))
            # the loop rests while a person thinks: inside of it the first Ctrl-C would not end the waiting
            while answers := person.answers(self._asked(result)):
                result = loop.run(self._part({"run": self.run, "answers": answers}, quiet=quiet))
        except KeyboardInterrupt as stop:
            raise KeyboardInterrupt(f"{self.resume} goes on" if self.resume else "") from stop
        return self._outcome(result)

    def _given(self) -> dict[str, Any]:
        """What the graph is given first."""
        job = self.job
        limits = {"run": self.run, "mode": job.mode, "budget": job.budget, "deadline": job.deadline}
        if job.resume:
            return limits | ({"changed": job.changed} if job.changed else {})
        return limits | {"task": job.task, "plan_only": job.plan_only}

    async def _first_part(self, *, quiet: bool) -> Any:
        """Signed only here: a run that is interrupted while its agent is built has not begun, and none is listed."""
        if self.resume:
            resuming.sign(self.app.ledger, self.job, self.run)
        return await self._part(self._given(), quiet=quiet)

    async def _part(self, given: Mapping[str, Any], *, quiet: bool) -> Any:
        """From one question to the next, or to the end."""
        from orchestra.cli.live import watching

        with watching(self.title, self.rows, quiet=quiet) as listener:
            stop = self.app.ledger.subscribe(self.run, listener)
            try:
                return await self.graph.ainvoke(given)
            finally:
                stop()

    def _asked(self, result: Mapping[str, Any]) -> tuple[Asked, ...]:
        """What people are asked. Raises AgentError for questions that this command cannot ask."""
        values = [one.value for one in result.get("__interrupt__", ())]
        for value in values:
            if not (isinstance(value, Mapping) and {"question", "kind", "decisions"} <= value.keys()):
                text = f"agent {self.job.agent!r} asks in its own way: {value!r:.200}; run and answer it in Python"
                raise AgentError(text)
        return tuple(values)

    def _outcome(self, result: Mapping[str, Any]) -> Outcome:
        """What it has come to."""
        from orchestra.ledger import compare

        rows, asked = self.app.ledger.events(self.run), self._asked(result)
        return Outcome(result, compare(rows, self.app.fleet.models), _exit(result, rows), asked, self.resume)


async def _opened(app: Orchestra, job: Job, agent: AgentFile) -> _Work:
    from orchestra.ledger import new_run_id

    graph = agent.build(app, **({} if job.data is None else {"data": job.data}))
    run = job.resume or new_run_id()
    resume = "" if job.plan_only else resuming.command(graph, job, run)
    return _Work(app, job, graph, run, f"{agent.name} {run}", app.ledger.events(run), resume)


def _exit(result: Mapping[str, Any], rows: Sequence[Row]) -> Exit:
    from orchestra.ledger import steps

    if result.get("__interrupt__"):
        return Exit.waiting
    if result["state"] == "done":
        return Exit.ok
    failed = [step for step in steps(rows) if step.state == "failed"]
    # a step that no model failed at (it has no trigger) ended for want of a candidate, money or time
    return Exit.limit if failed and all(step.trigger is None for step in failed) else Exit.failed
