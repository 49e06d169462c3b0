"""A run on the terminal while it runs: a tree that is redrawn, or plain lines where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text
from rich.tree import Tree

from orchestra.cli.progress import Progress, lines, progress
from orchestra.cli.screen import one_line, safe, stderr
from orchestra.ledger import Row

STYLES = {"waiting": "dim", "running": "yellow", "done": "green", "failed": "bold red", "skipped": "magenta"}
PER_SECOND = 4


@contextmanager
def watching(title: str, *, quiet: bool = False) -> Generator[Callable[[Row], None]]:
    """Within it, rows given to the yielded listener are shown on stderr, unless `quiet`."""
    console, rows = stderr(), list[Row]()
    if quiet:
        yield rows.append
    elif console.is_terminal and not console.is_dumb_terminal:

        def draw() -> Tree:
            return tree(title, progress(tuple(rows), time.time()))  # a copy: rows come in while it is drawn

        with Live(get_renderable=draw, console=console, refresh_per_second=PER_SECOND):
            yield rows.append
    else:
        yield lambda row: _tell(console, rows, row)


def tree(title: str, steps: Sequence[Progress]) -> Tree:
    """The steps with state, model, attempts, tokens and seconds, and below each what went wrong; a line each."""
    root = Tree(_line((title, "bold")))
    for step in steps:
        needs = f" ← {', '.join(step.needs)}" if step.needs else ""
        state, goal = f"{step.id} {step.state}", f"  {step.goal}{needs}"
        node = root.add(_line((state, STYLES[step.state]), (f"  {step.figures}", ""), (goal, "dim")))
        for trouble in step.trouble:
            node.add(_line((trouble, "red")))
    return root


def _line(*parts: tuple[str, str]) -> Text:
    # cut at the terminal's edge: a line that wraps makes the redrawn tree jump
    return Text.assemble(*((safe(one_line(text)), style) for text, style in parts), no_wrap=True, overflow="ellipsis")


def _tell(console: Console, rows: list[Row], row: Row) -> None:
    rows.append(row)
    for line in lines(row, rows):
        console.print(safe(one_line(line)))
