"""`orchestra runs`: the runs the ledger knows, newest first."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from orchestra.cli.options import AsJson, LedgerFile, open_ledger
from orchestra.cli.screen import one_line, print_json, print_table, safe
from orchestra.types import to_json

if TYPE_CHECKING:
    from orchestra.ledger import RunSummary

EXAMPLE = "orchestra runs --limit 5"
HEAD = ("run", "agent", "state", "started", "seconds", "steps", "attempts", "tokens", "cost", "models", "task")


def runs(
    *,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    ledger: LedgerFile = None,
    as_json: AsJson = False,
) -> None:
    """List the latest runs."""
    book = open_ledger(ledger)
    try:
        found = book.runs(limit)
    finally:
        book.close()
    if as_json:
        print_json({"runs": [to_json(one) for one in found]})
    else:
        print_table(HEAD, [_row(one) for one in found])


def _row(run: RunSummary) -> tuple[str, ...]:
    from orchestra.ledger.wording import cost

    return (
        run.run,
        run.agent,
        "waiting" if run.waiting else run.state,
        # the reader's own time zone, as a clock on the wall shows it
        datetime.fromtimestamp(run.started).astimezone().strftime("%Y-%m-%d %H:%M"),
        f"{run.seconds:.1f}",
        str(run.steps),
        str(run.attempts),
        f"{run.usage.input + run.usage.output:,}",
        cost(run.cost),
        ", ".join(run.models),
        safe(one_line(run.task)),
    )
