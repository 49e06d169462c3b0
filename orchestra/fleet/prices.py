"""Money: what a call cost, and the most it can cost, at list prices."""

from __future__ import annotations

from orchestra.types import Cost, Price, Usage

PER_TOKEN = 1e-6  # prices are USD per million tokens
MILLION = 1_000_000  # divided by, a sum is rounded once: what was reported costs what a bill says, to the last digit


def cost(price: Price | None, usage: Usage, *, estimated: bool = False) -> Cost:
    """What `usage` costs in USD; an unknown price gives an unknown cost, never 0.

    What was read from the prompt cache or written to it is part of the input, and billed at its own price, at that of
    other input where none is known.
    """
    if price is None:
        return Cost(None, estimated)
    read = _through_cache(price, usage) if usage.cached_input or usage.cache_write else usage.input * price.input
    return Cost((read + usage.output * price.output) / MILLION, estimated)


def _through_cache(price: Price, usage: Usage) -> float:
    cached = min(usage.cached_input, usage.input)
    written = min(usage.cache_write, usage.input - cached)
    cached_price = price.input if price.cached_input is None else price.cached_input
    write_price = price.input if price.cache_write is None else price.cache_write
    return (usage.input - cached - written) * price.input + cached * cached_price + written * write_price


def in_words(usd: float | None) -> str:
    """A sum as reasons and explanations write it."""
    if usd is None:
        return "cost unknown"
    return f"${usd:.6f}" if usd else "free"


def bound(price: Price | None, input_tokens: int, max_tokens: int) -> float | None:
    """The most a call can cost in USD; None where the price is unknown.

    All input at its dearest (where it is written to the cache, often), every output token used.
    """
    if price is None:
        return None
    return (input_tokens * price.dearest_input + max_tokens * price.output) / MILLION
