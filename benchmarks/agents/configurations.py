"""Configurations: the same fleet with only its lowest tier, with only its highest one, and whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from difflib import get_close_matches

from orchestra.errors import ConfigError
from orchestra.fleet import Fleet

NAMES = ("efficient", "strong", "routed")


def configurations(fleet: Fleet, names: Iterable[str]) -> dict[str, Fleet]:
    """The fleet of each configuration named. Raises ConfigError for an unknown name, or a fleet of one tier only."""
    found = {name: _fleet(fleet, name) for name in names}
    if not found:
        raise ConfigError(f"no configuration is named; known: {', '.join(NAMES)}")
    return found


def _fleet(fleet: Fleet, name: str) -> Fleet:
    if name not in NAMES:
        near = get_close_matches(name, NAMES, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"there is no configuration {name!r}; known: {', '.join(NAMES)}{hint}")
    if name == "routed":
        return fleet
    present = sorted({card.tier for card in fleet.models.values()}, key=fleet.rank)
    if len(present) < 2:
        raise ConfigError(
            f"{fleet.source}: all models are of tier {present[0]!r}, so {name!r} would be the same as 'routed'; "
            "give a fleet of two tiers, or --configurations routed"
        )
    return _only(fleet, present[0] if name == "efficient" else present[-1])


def _only(fleet: Fleet, tier: str) -> Fleet:
    """Rules keep their call settings; what they say of other models has nothing left to choose from."""
    models = {name: card for name, card in fleet.models.items() if card.tier == tier}
    rules = tuple(replace(rule, tier=None, prefer=(), escalate=()) for rule in fleet.rules)
    return replace(fleet, models=models, rules=rules, source=f"{fleet.source} ({tier} only)")
