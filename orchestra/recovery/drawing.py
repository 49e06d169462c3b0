"""The table as documentation: a diagram and a table, so that the docs cannot say anything else."""

from __future__ import annotations

from collections.abc import Iterator

from orchestra.recovery.table import ROWS, Row, Standing
from orchestra.types import Fault, Trigger


def diagram() -> str:
    """The generated part of docs/recovery.md: a mermaid flowchart and a Markdown table of the whole table."""
    return "\n".join(["```mermaid", *_flowchart(), "```", "", *_table()])


def _flowchart() -> Iterator[str]:
    yield "flowchart LR"
    for fault in Fault:
        yield f"  subgraph {fault.value}"
        for row, triggers in _alike(fault).items():
            yield f'    {triggers[0].value}_["{"<br/>".join(triggers)}"]'
            yield from _arrows(triggers[0].value, row)
        yield "  end"


def _arrows(first: str, row: Row) -> Iterator[str]:
    # Several standings with the same action share one arrow; each action is drawn per row, which keeps arrows short.
    ways: dict[str, list[str]] = {}
    for standing, action in zip(Standing, row, strict=True):
        ways.setdefault(action.value, []).append(standing.value)
    for name, standings in ways.items():
        yield f"    {first}_ -- {', '.join(standings)} --> {first}_{name}({name})"


def _alike(fault: Fault) -> dict[Row, list[Trigger]]:
    groups: dict[Row, list[Trigger]] = {}
    for trigger, row in ROWS.items():
        if trigger.fault is fault:
            groups.setdefault(row, []).append(trigger)
    return groups


def _table() -> Iterator[str]:
    yield f"| fault | trigger | {' | '.join(Standing)} |"
    yield "|---|---|---|---|---|"
    for trigger, row in ROWS.items():
        yield f"| {trigger.fault.value} | `{trigger.value}` | {' | '.join(row)} |"
