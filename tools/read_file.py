"""read_file: the lines of a text file below one folder, numbered, so that an answer can cite them."""

from __future__ import annotations

import os

from orchestra.toolbox import Tool, ToolFailed, ToolRejected, tool
from orchestra.toolbox.confined import Confined
from orchestra.toolbox.text import lines_of

BYTES = 10_000_000  # of a file that is read at all
LINES = 400  # of one call
CHARACTERS = 9_000  # of one call, below what a tool's result may have
LINE = 1_000  # characters of a line


def read_file(root: str | os.PathLike[str]) -> Tool:
    """The tool for the files below `root`. Raises ToolError where that is no folder."""
    folder = Confined(root)

    @tool(read_only=True, idempotent=True)
    def read_file(path: str, start: int = 1, end: int | None = None) -> str:
        """Read lines of a text file. Each comes with its number, such as `12: text`, to cite as path:12.

        Args:
            path: the file, as search_files names it, such as notes/plan.md
            start: the first line wanted, counted from 1
            end: the last line wanted; left out, as many as fit
        """
        lines = lines_of(folder.read(path, BYTES))
        if lines is None:
            raise ToolFailed(f"{path!r} is no text file")
        return _numbered(path, lines, start, len(lines) if end is None else end)

    return read_file


def _numbered(path: str, lines: list[str], start: int, end: int) -> str:
    if not lines:
        return f"[{path} is empty]"
    if not 1 <= start <= len(lines):
        raise ToolRejected(f"start is {start}; {path!r} has lines 1 to {len(lines):,}")
    if end < start:
        raise ToolRejected(f"end is {end}, before start, which is {start}")
    shown = _fitting(lines[start - 1 : end], start)
    last = start + len(shown) - 1
    if last < len(lines):
        shown.append(f"[lines {start}-{last} of {len(lines):,}; for more, read on with start={last + 1}]")
    return "\n".join(shown)


def _fitting(lines: list[str], start: int) -> list[str]:
    shown: list[str] = []
    left = CHARACTERS
    for number, line in enumerate(lines[:LINES], start):
        text = f"{number}: {_short(line)}"
        left -= len(text) + 1
        if left < 0:
            break
        shown.append(text)
    return shown


def _short(line: str) -> str:
    return line if len(line) <= LINE else f"{line[:LINE]} [{len(line) - LINE:,} more characters]"
