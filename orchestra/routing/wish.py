"""What the rules that match a step ask for together, ready to be granted to candidates."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, TypeAlias

from orchestra.fleet import revise
from orchestra.fleet.candidates import NO_SETTINGS
from orchestra.routing.policy import NAMED, TIER
from orchestra.types import Candidate, Reason, Settings, StepRule

_Place: TypeAlias = tuple[float, tuple[Reason, ...]]  # a preference, and why
_NOTHING: _Place = (0.0, ())


class Wish:
    """The start, escalation order and settings of the rules at these places, the first that says a thing winning."""

    def __init__(self, rules: Sequence[StepRule], matching: Sequence[int], tiers: Sequence[str]) -> None:
        matched = [rules[place] for place in matching]
        starts = next((place for place in matching if rules[place].tier or rules[place].prefer), None)
        rule = StepRule() if starts is None else rules[starts]
        self._number = 0 if starts is None else starts + 1
        self._tier = rule.tier if rule.tier in tiers else None
        self._rank = tiers.index(rule.tier) if rule.tier in tiers else None
        self._settings = Settings(_first(matched, "max_tokens"), _first(matched, "reasoning_effort"))
        self._escalate: tuple[str, ...] | None = _first(matched, "escalate")
        self._for_all = self._escalate is not None or self._settings != NO_SETTINGS
        self._named = {model: self._place(rule.prefer, index) for index, model in enumerate(rule.prefer)}
        self._in_tier = Reason("step", f"rule {self._number} starts the step at tier {self._tier}")

    def grant(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """The candidates with what is wished for each; those for which nothing is are returned as they came."""
        start, in_tier = self._starting(candidates)
        settings, escalate, named, for_all = self._settings, self._escalate, self._named, self._for_all
        granted: list[Candidate] = []
        for one in candidates:
            preference, reasons = named.get(one.card.name) or (in_tier if one.rank == start else _NOTHING)
            if not (preference or for_all):
                granted.append(one)
                continue
            ours = settings if one.settings is NO_SETTINGS else self._merged(one.settings)
            preference += one.preference
            granted.append(revise(one, *reasons, preference=preference, settings=ours, escalate=escalate))
        return granted

    def _starting(self, candidates: Sequence[Candidate]) -> tuple[int | None, _Place]:
        """The rank where the step starts and what its models get."""
        if self._rank is None:
            return None, _NOTHING
        start = _nearest(self._rank, {one.rank for one in candidates})
        reason = self._in_tier if start == self._rank else self._instead(start, candidates)
        return start, (TIER, (reason,))

    def _merged(self, given: Settings) -> Settings:
        """An earlier policy's settings stay where these rules are silent."""
        ours = self._settings
        return Settings(ours.max_tokens or given.max_tokens, ours.reasoning_effort or given.reasoning_effort)

    def _place(self, prefer: Sequence[str], index: int) -> _Place:
        text = f"rule {self._number} prefers it, place {index + 1} of {len(prefer)}"
        return NAMED * (len(prefer) - index), (Reason("step", text),)

    def _instead(self, start: int, candidates: Sequence[Candidate]) -> Reason:
        nearest = next(one.card.tier for one in candidates if one.rank == start)
        return Reason("step", f"{self._in_tier.text}; no model of it is left, {nearest} is the nearest")


def _nearest(wanted: int, ranks: Collection[int]) -> int:
    """The rank wanted, else the nearest above that is left, else the nearest below."""
    return min((rank for rank in ranks if rank >= wanted), default=max(ranks))


def _first(rules: Sequence[StepRule], key: str) -> Any:
    """What the first rule that has the key says; None where none has it."""
    return next((value for rule in rules if (value := getattr(rule, key))), None)
