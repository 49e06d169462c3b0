"""What reaches the terminal: results on stdout, progress and errors on stderr, and nothing that could drive it."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestra.types import Json

WIDE = 10_000  # columns for a pipe: its lines are for grep and awk, so they are not wrapped
LONG = 20  # columns: no number, date or head has more


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
    """One JSON object on stdout; escaped to ASCII where stdout cannot take UTF-8, and control characters always."""
    ascii_only = "utf" not in (sys.stdout.encoding or "").lower()
    text = json.dumps(value, ensure_ascii=ascii_only, indent=2)
    # json escapes those below the blank alone; U+009B begins a terminal's command as ESC [ does
    sys.stdout.write(_CONTROLS.sub(lambda found: json.dumps(found[0])[1:-1], text) + "\n")


_CONTROLS = re.compile("[\x7f-\x9f]")


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


def print_table(head: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> None:
    """Columns under a bold head on stdout; nothing of them is left out.

    On a terminal cells wrap between words, and a word folds where it is longer than LONG, as paths are. The first
    column does not wrap: it holds the names by which a further command takes what is shown. What is wider even so the
    terminal itself wraps. In a pipe a row is a line.
    """
    console = stdout()
    widths = _widths(tuple(zip(head, *rows, strict=True)), console.width if console.is_terminal else sys.maxsize)
    made = Table(box=None, pad_edge=False, header_style="bold", width=_wide(widths))
    for name, width in zip(head, widths, strict=True):
        made.add_column(name, overflow="fold", width=width)
    for row in rows:
        made.add_row(*row)
    console.print(made, crop=False)


def _widths(columns: Sequence[Sequence[str | Text]], room: int) -> list[int]:
    """Of each column all that it wants; where there is no room, as much as the others that want more, or its need."""
    want = [max(cell_len(line) for cell in column for line in (str(cell).splitlines() or [""])) for column in columns]
    words = [max(cell_len(word) for cell in column for word in (str(cell).split() or [""])) for column in columns]
    need = [want[0], *(min(word, LONG) for word in words[1:])]
    for most in range(max(want), 0, -1):
        widths = [max(least, min(most, full)) for least, full in zip(need, want, strict=True)]
        if _wide(widths) <= room:
            return widths
    return _widths(columns, 2 * room)  # each row then takes two of the terminal's lines


def _wide(widths: Sequence[int]) -> int:
    return sum(widths) + 2 * len(widths)  # rich counts a space on each side of a cell


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise  # noqa: PLE0704  # called while it is handled; rich itself would end the process with its own code


def _console(*, stderr: bool) -> Console:
    console = _Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.soft_wrap = True
        console.width = WIDE
    return console
