"""Money: what a call cost, and the most it can cost, at list prices."""

from __future__ import annotations

from orchestra.types import Cost, Price, Usage

PER_TOKEN = 1e-6  # prices are USD per million tokens


def cost(price: Price | None, usage: Usage, *, estimated: bool = False) -> Cost:
    """What `usage` costs in USD; an unknown price gives an unknown cost, never 0.

    Cached input is part of the input and billed at the cached price, at the full one where none is known.
    """
    if price is None:
        return Cost(None, estimated)
    cached = min(usage.cached_input, usage.input)
    cached_price = price.input if price.cached_input is None else price.cached_input
    usd = (usage.input - cached) * price.input + cached * cached_price + usage.output * price.output
    return Cost(usd * PER_TOKEN, estimated)


def in_words(usd: float | None) -> str:
    """A sum as reasons and explanations write it."""
    if usd is None:
        return "cost unknown"
    return f"${usd:.6f}" if usd else "free"


def bound(price: Price | None, input_tokens: int, max_tokens: int) -> float | None:
    """The most a call can cost in USD: no cache hit, every output token used. None where the price is unknown."""
    if price is None:
        return None
    return (input_tokens * price.input + max_tokens * price.output) * PER_TOKEN
