"""A run on the terminal while it runs: a tree that is redrawn, or plain lines where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text
from rich.tree import Tree

from orchestra.cli.progress import Progress, changes, lines, progress
from orchestra.cli.screen import one_line, safe, stderr
from orchestra.ledger import Row

STYLES = {
    "waiting": "dim",
    "running": "yellow",
    "asking": "bold yellow",
    "done": "green",
    "failed": "bold red",
    "skipped": "magenta",
}
PER_SECOND = 4


@contextmanager
def watching(title: str, rows: list[Row], *, quiet: bool = False) -> Generator[Callable[[Row], None]]:
    """Within it, rows given to the yielded listener are shown on stderr, unless `quiet`, and added to `rows`.

    `rows` are the run's so far: what was done before a question, or in another process, is part of the picture.
    """
    console = stderr()
    if quiet:
        yield rows.append
    elif console.is_terminal and not console.is_dumb_terminal:
        before = len(rows)

        def draw() -> Tree:
            now = time.time() if len(rows) > before else rows[-1].time if rows else 0.0  # no clock before it goes on
            return tree(title, progress(tuple(rows), now))  # a copy: rows come in while it is drawn

        with Live(get_renderable=draw, console=console, refresh_per_second=PER_SECOND):
            yield lambda row: _drawn(console, rows, row)
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


def _drawn(console: Console, rows: list[Row], row: Row) -> None:
    """What has no place in the tree stands above it."""
    rows.append(row)
    _print(console, changes(row))


def _tell(console: Console, rows: list[Row], row: Row) -> None:
    rows.append(row)
    _print(console, lines(row, rows))


def _print(console: Console, told: Sequence[str]) -> None:
    for line in told:
        console.print(safe(one_line(line)))
