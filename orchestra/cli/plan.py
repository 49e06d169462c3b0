"""`orchestra plan`: the plan an agent makes of a task, without running it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from orchestra.cli.asking import Person
from orchestra.cli.options import AgentName, AsJson, Budget, Data, Deadline, Fleet, LedgerFile, ModeChoice, Task
from orchestra.cli.performing import Job, perform
from orchestra.cli.screen import one_line, print_error, print_json, say

if TYPE_CHECKING:
    from orchestra.types import Plan

EXAMPLE = 'orchestra plan analyst "Which species is heaviest?" --data penguins.csv'
KEYS = ("run", "state", "reason", "plan")


def plan(
    agent: AgentName,
    task: Task,
    *,
    fleet: Fleet = None,
    mode: ModeChoice = None,
    budget: Budget = None,
    deadline: Deadline = None,
    data: Data = None,
    ledger: LedgerFile = None,
    as_json: AsJson = False,
) -> None:
    """Show the plan for a task and run none of it."""
    from orchestra.types import Plan, from_json

    job = Job(agent, task, fleet, ledger, data, mode, budget, deadline, plan_only=True)
    done = perform(job, Person(), quiet=True)
    result = done.result
    if as_json:
        print_json({key: result.get(key) for key in KEYS})
    elif result["state"] == "done":
        for line in plan_lines(from_json(Plan, result["plan"])):
            say(one_line(line))
    else:
        print_error(result["reason"] or "planning failed", f"orchestra trace {result['run']} shows where")
    raise typer.Exit(done.exit)


def plan_lines(plan: Plan) -> list[str]:
    """The steps in the order in which they may run, a line each, and the plan's flags."""
    from orchestra.planning import order

    lines = [f"flags: {', '.join(plan.flags)}"] if plan.flags else []
    for step in order(plan):
        notes = (
            step.kind if step.kind != "act" else "",
            step.difficulty or "",
            f"tools: {', '.join(step.tools)}" if step.tools else "",
            f"needs: {', '.join(step.needs)}" if step.needs else "",
        )
        said = "; ".join(note for note in notes if note)
        lines.append(f"{step.id}  {step.goal}" + (f"  ({said})" if said else ""))
    return lines
