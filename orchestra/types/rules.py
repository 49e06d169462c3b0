"""Routing rules as written in fleet.toml or given to StepPolicy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestra.types.context import Mode
from orchestra.types.json import Json


@dataclass(frozen=True, slots=True)
class Match:
    """When a rule holds: every key that is given must hold.

    `kind`, `name`: equal to one of these. `tools`, `tags`: any of these. `contains`: any of these words, whole and
    case-insensitive. `matches`: any of these regular expressions. `metadata`: every pair equal.
    `tokens_over`, `tokens_under`: tokens in context, exclusive. `code`: the text has (not) a fenced code block.
    """

    kind: tuple[str, ...] = ()
    name: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    contains: tuple[str, ...] = ()
    matches: tuple[str, ...] = ()
    metadata: Mapping[str, Json] = field(default_factory=dict[str, Json])
    tokens_over: int | None = None
    tokens_under: int | None = None
    code: bool | None = None


@dataclass(frozen=True, slots=True)
class StepRule:
    """What a matching step gets: a tier, an order of models (beats the mode), an escalation order, settings."""

    match: Match = Match()
    tier: str | None = None
    prefer: tuple[str, ...] = ()
    escalate: tuple[str, ...] = ()
    mode: Mode | None = None
    max_tokens: int | None = None
    reasoning_effort: str | None = None
