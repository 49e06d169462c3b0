"""What went wrong with a SELECT, in words that help a model to write it better."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from orchestra.toolbox.data.table import Table

# Text and comments are matched first, so that quotes in them are left alone.
_QUOTED = re.compile(
    r"""'(?:[^']|'')*' | --[^\n]* | /\*.*?\*/ | (?P<before>(?:[=<>]|\b(?:LIKE|GLOB|AS))\s*)? "(?P<name>(?:[^"]|"")*)"
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


def misquoted(sql: str, tables: Sequence[Table]) -> str:
    """A text where "double quotes" hold no known name; empty where all is well.

    SQLite takes an unknown name in double quotes as text, so AVG("mas") is 0.0 and no error. Only directly after a
    comparison is it surely meant as text.
    """
    found = [match for match in _QUOTED.finditer(sql) if match["name"] is not None]
    aliases = {m["name"].lower() for m in found if (m["before"] or "").strip().upper() == "AS"}
    known = aliases | {name.lower() for name in _names(tables)}
    for match in found:
        name = match["name"].replace('""', '"')
        if not match["before"] and name.lower() not in known:
            near = _nearest(name, _names(tables))
            return (
                f'SQL error: "{name}" in double quotes must be a column or table, and there is none{near}; '
                f"text goes into single quotes; {_known(tables)}"
            )
    return ""


def explain(message: str, tables: Sequence[Table], seconds: float) -> str:
    """SQLite's message with what to do about it."""
    if message == "interrupted":
        return f"the query took longer than {seconds:g} seconds and was stopped; join less, or narrow its WHERE"
    if re.search("authoriz|prohibited", message):
        return f"only reading is allowed: write one SELECT ({message})"
    if "one statement" in message:
        return "only one statement at a time is allowed: write one SELECT, without a second one after the ;"
    return f"SQL error: {message}{_hint(message, tables)}; {_known(tables)}"


# What other dialects have, and how it is written in this one: https://www.sqlite.org/lang_datefunc.html
_PARTS = dict.fromkeys(("year", "month", "day", "extract", "date_part", "date_format"), "strftime('%Y', day)")
_INSTEAD = _PARTS | {
    "now": "date('now')",
    "curdate": "date('now')",
    "getdate": "date('now')",
    "datediff": "julianday(later) - julianday(earlier)",
    "concat": "one || other",
    "isnull": "ifnull(value, other)",
    "nvl": "ifnull(value, other)",
    "if": "iif(condition, one, other)",
}


def _hint(message: str, tables: Sequence[Table]) -> str:
    if missing := re.fullmatch(r"no such column: (?:.*\.)?(.+)", message):
        having = [one.name for one in tables if any(each.name.lower() == missing[1].lower() for each in one.columns)]
        if having:
            return f"; {missing[1]} is a column of {' and '.join(having)}: name it in FROM or JOIN, under its own alias"
        return _nearest(missing[1], _names(tables))
    if missing := re.fullmatch(r"no such table: (?:.*\.)?(.+)", message):
        return _nearest(missing[1], _names(tables))
    if missing := re.fullmatch(r"no such function: (\w+)", message):
        instead = _INSTEAD.get(missing[1].lower())
        return f"; SQLite has {instead} for it" if instead else ""
    if message.startswith("misuse of aggregate"):
        return "; to filter or sort by it, GROUP BY a column first; a condition on it stands in HAVING, not in WHERE"
    return ""


def _nearest(name: str, names: Sequence[str]) -> str:
    lower = {known.lower(): known for known in names}
    near = difflib.get_close_matches(name.lower(), lower, 1, 0.5)
    return f"; nearest: {lower[near[0]]}" if near else ""


def _names(tables: Sequence[Table]) -> list[str]:
    return [table.name for table in tables] + [column.name for table in tables for column in table.columns]


def _known(tables: Sequence[Table], limit: int = 1500) -> str:
    text = "known: " + ", ".join(map(str, tables))
    return text if len(text) <= limit else text[:limit] + " ..."
