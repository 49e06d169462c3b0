"""`orchestra run`: a task through an agent to its answer, or a run that was left from where it stands."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Annotated

import typer

from orchestra.cli.asking import Asked, Person, at_keyboard, shown, ways
from orchestra.cli.options import AsJson, Budget, Data, Deadline, Fleet, LedgerFile, ModeChoice
from orchestra.cli.performing import Job, Outcome, perform
from orchestra.cli.screen import print_error, print_json, safe, say, stderr
from orchestra.errors import ConfigError
from orchestra.types import to_json

EXAMPLE = 'orchestra run analyst "Which species is heaviest?" --data penguins.csv --mode cost'
KEYS = ("run", "state", "answer", "reason", "missing", "partial", "plan", "steps", "cost", "usage")


def run(
    agent: Annotated[str, typer.Argument(help="An agent's name, or the path of an agent file.")] = "",
    task: Annotated[str, typer.Argument(help="What is to be done, in words.")] = "",
    *,
    fleet: Fleet = None,
    mode: ModeChoice = None,
    budget: Budget = None,
    deadline: Deadline = None,
    data: Data = None,
    ledger: LedgerFile = None,
    content: Annotated[bool, typer.Option("--content", help="Keep what people and models wrote as well.")] = False,
    resume: Annotated[str, typer.Option(metavar="RUN", help="Go on with this run in place of a new task.")] = "",
    changed: Annotated[
        str, typer.Option(metavar="TEXT", help="With --resume: what has changed; the rest is planned anew.")
    ] = "",
    answer: Annotated[
        list[str] | None, typer.Option(metavar="ID=ANSWER", help="Answer a question of the run; may come again.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Approve calls of read-only tools, no others.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a task: progress and questions on stderr, the answer on stdout."""
    job = Job(agent, task, fleet, ledger, data, mode, budget, deadline, content, resume=resume, changed=changed)
    _check(job, answer or ())
    person = Person(answer or (), yes=yes, at_keyboard=at_keyboard() and not as_json)
    done = perform(job, person, quiet=as_json)
    if as_json:
        found = {key: done.result.get(key) for key in KEYS}
        print_json(found | {"questions": [dict(one) for one in done.questions], "comparison": to_json(done.comparison)})
    else:
        _tell(done)
    raise typer.Exit(done.exit)


def _check(job: Job, answers: Sequence[str]) -> None:
    if job.resume and job.task:
        raise ConfigError(f"--resume goes on with the task of run {job.resume}; leave the task out, or --resume")
    if not job.resume and not (job.agent and job.task):
        raise ConfigError(f"give an agent and a task, or --resume RUN; for example: {EXAMPLE}")
    if job.changed and not job.resume:
        raise ConfigError("--changed goes with --resume: it says what has changed since that run was begun")
    if answers and not job.resume:
        raise ConfigError("--answer goes with --resume: a run that begins has not asked anything yet")
    if answers and job.changed:
        raise ConfigError("--changed has the rest planned anew, and what was asked may lapse; give --answer afterwards")


def _tell(done: Outcome) -> None:
    result, run = done.result, done.result["run"]
    if done.questions:
        stderr().print(f"run {run} waits for a person", style="bold yellow")
        for one in done.questions:
            stderr().print("\n".join([*shown(one), *_way(one, done.resume)]), soft_wrap=True)
    elif result["state"] == "done":
        say(result["answer"] or "")
        stderr().print("\n".join(done.comparison.findings), style="dim")
        stderr().print(f"orchestra trace {run} shows every decision", style="dim")
    else:
        if result.get("partial"):
            stderr().print(safe(result["partial"]))
        again = f"; {done.resume} tries what failed again" if done.resume else ""
        print_error(result["reason"] or "the run failed", f"orchestra trace {run} shows where{again}")


def _way(asked: Asked, resume: str) -> list[str]:
    """The command that answers, and what else it may say."""
    answer, others = ways(asked)
    given = shlex.quote(f"{asked['question']}={answer}")
    return [f"  to answer: {resume} --answer {given}", f"  or, in its place: {others}"]
