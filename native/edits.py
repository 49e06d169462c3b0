"""A text and what is to be changed in it, at places of the text as it was: no edit moves the place of another."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from native.syntax import Function, Untranslatable, last_line


class Edits:
    """Collects edits to a text; places are lines, from 1, and columns in bytes, as `ast` has them."""

    def __init__(self, text: str) -> None:
        self.lines: Sequence[str] = text.split("\n")
        self.behind: list[str] = []  # lines to add at the end, where none has a number yet
        self._text = text.encode()
        self._edits: list[tuple[int, int, str]] = []
        self._starts = [0]
        for line in self.lines:
            self._starts.append(self._starts[-1] + len(line.encode()) + 1)

    def applied(self) -> str:
        """The text with every edit made."""
        result = self._text
        for start, end, new in sorted(self._edits, reverse=True):
            result = result[:start] + new.encode() + result[end:]
        return result.decode() + "".join(f"{line}\n" for line in self.behind)

    def replace(self, node: ast.expr | ast.stmt, new: str) -> None:
        """Put the text in the node's place."""
        self.span(node.lineno, node.col_offset, last_line(node), node.end_col_offset, new)

    def before(self, node: ast.expr | ast.stmt, new: str) -> None:
        """Put the text right before the node."""
        self.span(node.lineno, node.col_offset, node.lineno, node.col_offset, new)

    def after(self, node: ast.expr | ast.stmt, new: str) -> None:
        """Put the text right behind the node."""
        self.span(last_line(node), node.end_col_offset or 0, last_line(node), node.end_col_offset, new)

    def span(self, line: int, column: int, end: int, end_column: int | None, new: str) -> None:
        """Put the text between two places; without `end_column` to the end of the line `end`."""
        stop = self._starts[end] - 1 if end_column is None else self._starts[end - 1] + end_column
        self._edits.append((self._starts[line - 1] + column, stop, new))

    def drop(self, first: int, last: int) -> None:
        """Forget what was to be changed in these lines: they are rewritten as a whole."""
        begin, end = self._starts[first - 1], self._starts[last]
        self._edits = [edit for edit in self._edits if not begin <= edit[0] < end]

    def into_blank(self, line: int, step: int, new: str) -> bool:
        """Put into the first blank line from there on; comments on the way are passed. Whether there was one."""
        taken = {start for start, _, _ in self._edits}
        while 0 < line <= len(self.lines):
            text = self.lines[line - 1].strip()
            if not text and self._starts[line - 1] not in taken:
                self.span(line, 0, line, None, new + ("\n" if line == len(self.lines) else ""))
                return True
            if text and not text.startswith("#"):
                return False
            line += step
        return False

    def above(self, line: int, new: str, node: ast.ClassDef | Function) -> None:
        """Put into a blank line above this one. Raises Untranslatable where the node has none."""
        if not self.into_blank(line - 1, -1, new):
            raise Untranslatable(f"line {node.lineno}: {node.name} needs a blank line before it")
