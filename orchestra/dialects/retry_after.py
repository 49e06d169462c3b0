"""How long a provider asks to wait, and whether at all: every spelling of it."""

from __future__ import annotations

from collections.abc import Mapping

from orchestra.dialects.rate_limits import anthropic_limits, bare_limits, openai_limits
from orchestra.dialects.waits import ahead, number


def retry_after(headers: Mapping[str, str], status: int = 429) -> float | None:
    """Seconds to wait, or None where the headers (names in lower case) do not say.

    `retry-after-ms`, then `retry-after` in seconds or as a moment (measured from the response's own
    `date`, so a wrong clock here does not matter), then the reset of the limit that is used up. Some servers tell
    their resets with every response: where none is used up they say something only of a 429, and nothing where they
    name one limit, of which some is left.
    """
    for found in (
        number(headers.get("retry-after-ms", ""), 0.001),
        ahead(headers.get("retry-after", ""), headers.get("date", "")),
    ):
        if found is not None:
            return found
    return _reset(headers, status)


def should_retry(headers: Mapping[str, str]) -> bool | None:
    """Whether the same request may be sent again, by `x-should-retry`, which the SDKs of OpenAI and Anthropic obey."""
    return {"true": True, "false": False}.get(headers.get("x-should-retry", "").strip().lower())


def _reset(headers: Mapping[str, str], status: int) -> float | None:
    """The longest reset among limits at zero; for a 429 the nearest one where no limit says it is at zero."""
    bare = [limit for limit in bare_limits(headers) if not limit.remaining]
    limits = (*openai_limits(headers), *anthropic_limits(headers), *bare)
    resets = [limit.reset for limit in limits if limit.reset is not None]
    spent = [limit.reset for limit in limits if limit.reset is not None and limit.remaining == 0]
    if spent:
        return max(spent)
    return min(resets, default=None) if status == 429 else None
