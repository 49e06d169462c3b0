"""What a right answer must hold, taken from the rows of the question's own SQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Cell: TypeAlias = "str | int | float | bytes | None"


@dataclass(frozen=True, slots=True)
class Right:
    """One row of a right answer: names, and the numbers that belong to them. An int is to be met exactly."""

    names: tuple[str, ...] = ()
    numbers: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Expected:
    """The rows of a right answer, none where there is nothing to find; `rivals` are names that contradict it."""

    rows: tuple[Right, ...]
    rivals: frozenset[str] = frozenset()

    @property
    def names(self) -> tuple[str, ...]:
        """Every name once, in the order of the rows."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row.names))

    @property
    def numbers(self) -> tuple[float, ...]:
        """Every number, in the order of the rows."""
        return tuple(number for row in self.rows for number in row.numbers)


def expected(cells: Sequence[Sequence[Cell]], rivals: Iterable[str] = ()) -> Expected:
    """The answer that rows of SQL amount to; NULL is nothing.

    Where several rows have several columns, the first column is a name, also if it is a number such as a year.
    """
    labelled = len(cells) > 1 and len(cells[0]) > 1
    rows = [_right([cell for cell in row if cell is not None], labelled=labelled) for row in cells]
    found = Expected(tuple(row for row in rows if row != Right()))
    folded = {name.casefold() for name in found.names}
    return Expected(found.rows, frozenset(name for name in rivals if name.casefold() not in folded))


def _right(cells: Sequence[str | int | float | bytes], *, labelled: bool) -> Right:
    names, numbers = list[str](), list[float]()
    for place, cell in enumerate(cells):
        if isinstance(cell, int | float) and not (labelled and place == 0):
            numbers.append(cell)
        else:
            names.append(str(cell))
    return Right(tuple(names), tuple(numbers))
