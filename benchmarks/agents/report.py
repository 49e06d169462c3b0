"""Report: the summary as a table for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def report(summary: Mapping[str, Any]) -> str:
    """A column per configuration, then what routing gains or loses against each of the others."""
    columns = summary["configurations"]
    rows = [("", *columns), *_rows(list(columns.values()))]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    table = [_aligned(row, widths) for row in rows]
    return "\n".join([*table, "", *_differences(summary["differences"])]).rstrip()


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
    return "  ".join([row[0].ljust(widths[0]), *cells])


def _rows(columns: list[Mapping[str, Any]]) -> Iterable[tuple[str, ...]]:
    yield "right", *(f"{one['correct']} of {one['total']}" for one in columns)
    yield "accuracy", *(f"{one['accuracy']:.1%}" for one in columns)
    yield "  95 % interval", *(_interval(one["interval"]) for one in columns)
    for level in dict.fromkeys(level for one in columns for level in one["levels"]):
        yield f"  {level}", *(_level(one["levels"].get(level)) for one in columns)
    yield "false accepts", *(f"{one['false_accepts']}" for one in columns)
    yield "failures", *(f"{one['failures']}" for one in columns)
    yield "seconds, mean", *(f"{one['seconds']:.1f}" for one in columns)
    yield "seconds, median", *(f"{one['seconds_median']:.1f}" for one in columns)
    for model in dict.fromkeys(model for one in columns for model in one["tokens"]):
        yield f"tokens, {model}", *(f"{one['tokens'].get(model, 0):,}" for one in columns)
    for name in ("attempts", "escalations", "replans"):
        yield name, *(f"{one[name]:,}" for one in columns)
    yield "USD", *("unknown" if one["usd"] is None else f"{one['usd']:.4f}" for one in columns)


def _interval(bounds: Iterable[float]) -> str:
    low, high = bounds
    return f"{low:.1%} to {high:.1%}"


def _level(level: Mapping[str, Any] | None) -> str:
    return f"{level['correct']} of {level['total']}" if level else "-"


def _differences(differences: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    for name, one in differences.items():
        low, high = (100 * bound for bound in one["interval"])
        counts = f"right only routed {one['only_routed']}, only the other {one['only_other']}"
        yield f"{name}: {100 * one['difference']:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f} ({counts})"
