"""Column names as people write them, made into names that SQL takes without quotes."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence


def quoted(name: str) -> str:
    """The name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def identifiers(raw: Sequence[str], blank: str) -> list[str]:
    """One bare SQL identifier for each name, all different also when case is ignored.

    A blank name becomes `blank` with its position; a second equal name gets `_2`; a reserved word a trailing `_`.
    """
    names: list[str] = []
    taken: set[str] = set()
    for position, text in enumerate(raw, 1):
        stem = _bare(text) or f"{blank}_{position}"
        name, count = stem, 1
        while name.casefold() in taken:
            count += 1
            name = f"{stem}_{count}"
        taken.add(name.casefold())
        names.append(name)
    return names


def _bare(text: str) -> str:
    name = re.sub(r"\W+", "_", text).strip("_")
    if re.match(r"[0-9]|sqlite_", name, re.IGNORECASE):  # SQLite keeps sqlite_ for itself
        name = f"_{name}"
    return f"{name}_" if name and _reserved(name) else name


def _reserved(name: str) -> bool:
    """SQLite itself knows its reserved words best; a name of word characters only cannot do harm here."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute(f"CREATE TABLE {name}({name} TEXT)")
        connection.execute(f"SELECT {name} FROM {name}")  # noqa: S608  # quoted
    except sqlite3.Error:
        return True
    finally:
        connection.close()
    return False
