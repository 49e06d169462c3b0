"""How far a pull has come: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID


class Progress(Protocol):
    """Where a pull reports to."""

    def at(self, done: int, total: int) -> None:
        """`done` of `total` bytes are on disk."""
        ...

    def note(self, text: str) -> None:
        """Something the user should know: a source was tried, another process is at work."""
        ...


class Silent:
    """Reports to nobody."""

    def at(self, done: int, total: int) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""


class Lines:
    """One line for every tenth, for logs and pipes."""

    def __init__(self, name: str, out: TextIO) -> None:
        self._name = name
        self._out = out
        self._tenth = -1

    def at(self, done: int, total: int) -> None:
        """Print once per tenth."""
        tenth = done * 10 // max(total, 1)
        if tenth != self._tenth:
            self._tenth = tenth
            self._print(f"{self._name}: {done / 1e6:.0f} of {total / 1e6:.0f} MB")

    def note(self, text: str) -> None:
        """Print the text."""
        self._print(f"{self._name}: {text}")

    def _print(self, line: str) -> None:
        self._out.write(line + "\n")
        self._out.flush()


class Bar:
    """A rich progress bar; notes are printed above it."""

    def __init__(self, bars: RichProgress, task: TaskID) -> None:
        self._bars = bars
        self._task = task

    def at(self, done: int, total: int) -> None:
        """Move the bar."""
        self._bars.update(self._task, completed=done, total=total)

    def note(self, text: str) -> None:
        """Print the text above the bar."""
        self._bars.console.print(text, markup=False, highlight=False)


@contextmanager
def showing(name: str, out: TextIO | None = None) -> Generator[Progress]:
    """A Progress for one pull on `out` (standard error): a bar on a terminal, otherwise lines."""
    out = out or sys.stderr
    if out is None:  # a process without a console
        yield Silent()
        return
    if not out.isatty():
        yield Lines(name, out)
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=Console(file=out)) as bars:
        yield Bar(bars, bars.add_task(name, total=None))
