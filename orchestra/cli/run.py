"""`orchestra run`: a task through an agent, to its answer."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestra.cli.options import AgentName, AsJson, Budget, Data, Deadline, Fleet, LedgerFile, ModeChoice, Task
from orchestra.cli.performing import Job, perform
from orchestra.cli.screen import print_error, print_json, say, stderr
from orchestra.types import to_json

EXAMPLE = 'orchestra run analyst "Which species is heaviest?" --data penguins.csv --mode cost'
KEYS = ("run", "state", "answer", "reason", "plan", "steps")


def run(
    agent: AgentName,
    task: Task,
    *,
    fleet: Fleet = None,
    mode: ModeChoice = None,
    budget: Budget = None,
    deadline: Deadline = None,
    data: Data = None,
    ledger: LedgerFile = None,
    content: Annotated[bool, typer.Option("--content", help="Keep what people and models wrote as well.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a task: progress on stderr, the answer on stdout."""
    job = Job(agent, task, fleet, ledger, data, mode, budget, deadline, content)
    done = perform(job, quiet=as_json)
    result = done.result
    if as_json:
        print_json({key: result.get(key) for key in KEYS} | {"comparison": to_json(done.comparison)})
    elif result["state"] == "done":
        say(result["answer"] or "")
        stderr().print("\n".join(done.comparison.findings), style="dim")
        stderr().print(f"orchestra trace {result['run']} shows every decision", style="dim")
    else:
        print_error(result["reason"] or "the run failed", f"orchestra trace {result['run']} shows where")
    raise typer.Exit(done.exit)
