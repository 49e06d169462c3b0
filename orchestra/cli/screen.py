"""What reaches the terminal: results on stdout, progress and errors on stderr, and nothing that could drive it."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestra.types import Json

WIDE = 10_000  # columns for a pipe: its lines are for grep and awk, so they are not wrapped


def stdout() -> Console:
    """The console for results. NO_COLOR and the terminal's width are heeded; a pipe gets plain unwrapped lines."""
    return _console(stderr=False)


def stderr() -> Console:
    """The console for progress and errors."""
    return _console(stderr=True)


def say(text: str) -> None:
    """A line or more on stdout, word for word but for control characters; the terminal itself wraps it."""
    sys.stdout.write(safe(text) + "\n")


def print_json(value: Json) -> None:
    """One JSON object on stdout; escaped to ASCII where stdout cannot take UTF-8."""
    ascii_only = "utf" not in (sys.stdout.encoding or "").lower()
    sys.stdout.write(json.dumps(value, ensure_ascii=ascii_only, indent=2) + "\n")


def print_error(text: str, hint: str = "") -> None:
    """One red line on stderr, and a dim one with the way out."""
    console = stderr()
    console.print(safe(f"error: {text}"), style="bold red")
    if hint:
        console.print(safe(hint), style="dim")


def safe(text: str) -> str:
    """The text without what a model or a tool could drive a terminal with (control characters, lone surrogates)."""
    return "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t" else c for c in text)


def one_line(text: str) -> str:
    """The text with every run of line breaks as one space; other spaces stay."""
    return " ".join(text.splitlines())


def table(head: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> Table:
    """Columns under a bold head. Cells may wrap on a terminal, never in a pipe, and nothing of them is left out.

    The first column does not wrap: it holds the names by which a further command takes what is shown.
    """
    made = Table(box=None, pad_edge=False, header_style="bold")
    for place, name in enumerate(head):
        made.add_column(name, overflow="fold", no_wrap=place == 0)
    for row in rows:
        made.add_row(*row)
    return made


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise  # noqa: PLE0704  # called while it is handled; rich itself would end the process with its own code


def _console(*, stderr: bool) -> Console:
    console = _Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.soft_wrap = True
        console.width = WIDE
    return console
