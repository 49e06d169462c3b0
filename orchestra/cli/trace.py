"""`orchestra trace`: one run as a tree with every reason, as JSON, or as a mermaid diagram."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text
from rich.tree import Tree

from orchestra.cli.options import AsJson, LedgerFile, open_ledger
from orchestra.cli.screen import one_line, print_json, safe, stdout
from orchestra.errors import LedgerError

if TYPE_CHECKING:
    from orchestra.ledger import Ledger, TraceNode

EXAMPLE = "orchestra trace 3k2 --mermaid > run.mmd"
GOOD, BAD = ("done", "accepted"), ("failed", "refused", "cancelled")


def trace(
    run: Annotated[str, typer.Argument(help="A run's id or how it begins. Default: the latest run.")] = "",
    *,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print a mermaid diagram.")] = False,
    ledger: LedgerFile = None,
    as_json: AsJson = False,
) -> None:
    """Show what a run did and why."""
    from orchestra import ledger as room

    if as_json and mermaid:
        raise typer.BadParameter("give --json or --mermaid, not both")
    book = open_ledger(ledger)
    try:
        rows = book.events(book.resolve(run) if run else _latest(book))
    finally:
        book.close()
    if as_json:
        print_json(room.trace_json(rows))
    elif mermaid:
        sys.stdout.write(room.mermaid(rows) + "\n")
    else:
        stdout().print(branch(room.tree(rows)))


def branch(node: TraceNode) -> Tree:
    """A node of the trace with all below it, coloured by how it ended."""
    style = "green" if node.state in GOOD else "red" if node.state in BAD else "yellow"
    title = Text().append(safe(one_line(node.title)), "bold" if node.kind in ("run", "step") else "")
    title.append(f" [{node.state}]" if node.state else "", style)
    for note in node.notes:
        title.append(f"\n· {safe(one_line(note))}", style="dim")
    tree = Tree(title)
    for child in node.children:
        tree.children.append(branch(child))
    return tree


def _latest(book: Ledger) -> str:
    for latest in book.runs(1):
        return latest.run
    raise LedgerError(f"{book.path}: there is no run in it yet; run an agent first")
