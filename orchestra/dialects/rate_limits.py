"""What a provider's headers say of its limits: how much is left, and when it is whole again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from orchestra.dialects.waits import duration, until

Counted: TypeAlias = Literal["requests", "tokens", "input_tokens", "output_tokens"]


@dataclass(frozen=True, slots=True)
class RateLimit:
    """One limit of the key that was used: of `limit`, `remaining` are left, and it is whole in `reset` seconds."""

    counted: Counted
    limit: int | None
    remaining: int | None
    reset: float | None


def openai_limits(headers: Mapping[str, str]) -> tuple[RateLimit, ...]:
    """`x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, resets as durations; header names in lower case."""
    return _limits(headers, "x-ratelimit-{fact}-{counted}", ("requests", "tokens"))


def anthropic_limits(headers: Mapping[str, str]) -> tuple[RateLimit, ...]:
    """`anthropic-ratelimit-…-{limit,remaining,reset}`, resets as moments, seen from the response's own date."""
    kinds: tuple[Counted, ...] = ("requests", "tokens", "input_tokens", "output_tokens")
    return _limits(headers, "anthropic-ratelimit-{counted}-{fact}", kinds)


def mistral_limits(headers: Mapping[str, str]) -> tuple[RateLimit, ...]:
    """`x-ratelimit-{limit,remaining}-{req,tokens}-minute` (mistralai/client-ts, issue 169); no reset is said."""
    renamed = {name.replace("-req-", "-requests-"): value for name, value in headers.items()}
    return _limits(renamed, "x-ratelimit-{fact}-{counted}-minute", ("requests", "tokens"))


def cohere_limits(headers: Mapping[str, str]) -> tuple[RateLimit, ...]:
    """`x-trial-endpoint-call-{limit,remaining}`, by the minute (cohere-ai/cohere-typescript, issue 222)."""
    return _limits(headers, "x-trial-endpoint-call-{fact}", ("requests",))


def _limits(headers: Mapping[str, str], pattern: str, kinds: Iterable[Counted]) -> tuple[RateLimit, ...]:
    found: list[RateLimit] = []
    for counted in kinds:
        said = {
            fact: headers.get(pattern.format(fact=fact, counted=counted.replace("_", "-")), "").strip()
            for fact in ("limit", "remaining", "reset")
        }
        if any(said.values()):
            reset = duration(said["reset"])
            if reset is None:
                reset = until(said["reset"], headers.get("date", ""))
            found.append(RateLimit(counted, _number(said["limit"]), _number(said["remaining"]), reset))
    return tuple(found)


def _number(text: str) -> int | None:
    """A count; more digits than any limit has are none (Python refuses to read more than 4,300)."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS else None


_DIGITS = 18
