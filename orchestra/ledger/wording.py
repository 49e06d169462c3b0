"""Wording: quantities and foreign text as traces and comparisons say them."""

from __future__ import annotations

from orchestra.types import Cost, Usage


def money(usd: float | None, *, estimated: bool = False) -> str:
    """USD in words: an unknown cost is said to be unknown, nothing is free by accident."""
    if usd is None:
        return "cost unknown"
    if usd == 0:
        return "about $0" if estimated else "free"
    text = f"${usd:,.2f}" if usd >= 1 else f"${usd:.6f}".rstrip("0")
    return f"about {text}" if estimated else text


def cost(value: Cost) -> str:
    """As `money`, of a Cost."""
    return money(value.usd, estimated=value.estimated)


def tokens(usage: Usage | None) -> str:
    """Tokens read and written."""
    return "tokens unknown" if usage is None else f"{usage.input:,} tokens in, {usage.output:,} out"


def seconds(value: float) -> str:
    """A duration with the digits that matter."""
    return f"{value:.3f} s" if value < 0.1 else f"{value:.1f} s"


def target(model: str, key: str, place: str) -> str:
    """A way to reach a model: its name, and with which key (its name) and where, as far as that is said."""
    return f"{model}{f' with {key}' if key else ''}{f' at {place}' if place else ''}"


def count(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def plain(text: str, limit: int = 200) -> str:
    """Foreign text on one line, without control characters that a terminal would obey, cut at `limit` characters."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text[: 4 * limit]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
