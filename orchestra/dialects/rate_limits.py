"""What a provider's headers say of its limits: how much is left, and when it is whole again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from orchestra.dialects.waits import ahead

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
    return _limits(headers, _OPENAI)


def anthropic_limits(headers: Mapping[str, str]) -> tuple[RateLimit, ...]:
    """`anthropic-ratelimit-…-{limit,remaining,reset}`, resets as moments, seen from the response's own date."""
    return _limits(headers, _ANTHROPIC)


def mistral_limits(headers: Mapping[str, str]) -> tuple[RateLimit, ...]:
    """`x-ratelimit-{limit,remaining}-{req,tokens}-minute` (mistralai/client-ts, issue 169); no reset is said."""
    renamed = {name.replace("-req-", "-requests-"): value for name, value in headers.items()}
    return _limits(renamed, _MISTRAL)


def cohere_limits(headers: Mapping[str, str]) -> tuple[RateLimit, ...]:
    """`x-trial-endpoint-call-{limit,remaining}`, by the minute (cohere-ai/cohere-typescript, issue 222)."""
    return _limits(headers, _COHERE)


def bare_limits(headers: Mapping[str, str]) -> tuple[RateLimit, ...]:
    """`x-ratelimit-{limit,remaining,reset}` (OpenRouter's, many gateways') and IETF's `ratelimit-…` (httpapi draft 07).

    Resets are seconds or moments. Nobody says what is counted, and over which time: good for a wait, not for planning.
    """
    return (*_limits(headers, _BARE), *_limits(headers, _IETF))


_Names: TypeAlias = Mapping[Counted, tuple[str, str, str]]
"""The headers of a limit, of what remains of it, and of its reset, by what it counts."""


def _named(pattern: str, *kinds: Counted) -> _Names:
    def name(fact: str, counted: Counted) -> str:
        return pattern.format(fact=fact, counted=counted.replace("_", "-"))

    return {one: (name("limit", one), name("remaining", one), name("reset", one)) for one in kinds}


_OPENAI = _named("x-ratelimit-{fact}-{counted}", "requests", "tokens")
_ANTHROPIC = _named("anthropic-ratelimit-{counted}-{fact}", "requests", "tokens", "input_tokens", "output_tokens")
_MISTRAL = _named("x-ratelimit-{fact}-{counted}-minute", "requests", "tokens")
_COHERE = _named("x-trial-endpoint-call-{fact}", "requests")
_BARE = _named("x-ratelimit-{fact}", "requests")
_IETF = _named("ratelimit-{fact}", "requests")


def _limits(headers: Mapping[str, str], names: _Names) -> tuple[RateLimit, ...]:
    found: list[RateLimit] = []
    for counted, own in names.items():
        # Most servers tell nothing.
        if any(map(headers.get, own)) and any(told := [headers.get(name, "").strip() for name in own]):
            limit, remaining, reset = told
            whole = ahead(reset, headers.get("date", ""))
            found.append(RateLimit(counted, _number(limit), _number(remaining), whole))
    return tuple(found)


def _number(text: str) -> int | None:
    """A count; more digits than any limit has are none (Python refuses to read more than 4,300)."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS else None


_DIGITS = 18
