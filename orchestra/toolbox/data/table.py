"""Table and Selection: what a data source holds, and what a SELECT brought."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Cell: TypeAlias = "str | int | float | bytes | None"


@dataclass(frozen=True, slots=True)
class Column:
    """A column with its declared SQLite type, empty where none is declared."""

    name: str
    type: str

    def __str__(self) -> str:
        return f"{self.name} {self.type}".strip()


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view by its name."""

    name: str
    columns: tuple[Column, ...]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.columns))})"


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows of a SELECT; `more` where the row limit left some out. No two `columns` share a name."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    more: bool
