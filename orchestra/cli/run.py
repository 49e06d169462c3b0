"""`orchestra run`: a task through an agent, to its answer."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestra.cli.exits import Exit
from orchestra.cli.options import AgentName, AsJson, Budget, Data, Deadline, Fleet, LedgerFile, ModeChoice, Task
from orchestra.cli.performing import Job, perform
from orchestra.cli.screen import print_error, print_json, safe, stderr, stdout

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
    result = perform(job, quiet=as_json)
    if as_json:
        print_json({key: result.get(key) for key in KEYS})
    elif result["state"] == "done":
        stdout().print(safe(result["answer"] or ""))
        stderr().print(f"orchestra trace {result['run']} shows every decision", style="dim")
    if result["state"] != "done":
        if not as_json:
            print_error(result["reason"] or "the run failed", f"orchestra trace {result['run']} shows where")
        raise typer.Exit(Exit.failed)
