"""How a model is to write its reply, cut to what it and its dialect have: the same for all requests of a step."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, TypeVar

from orchestra.dialects.chat_profiles import features_of
from orchestra.dialects.features import Features
from orchestra.types import ModelCard, Request
from orchestra.types.same import Same

T = TypeVar("T")


class Parameters(NamedTuple):
    """As `card` can be asked for them; None is left to the provider's default. `notes`: what was cut."""

    max_tokens: int | None
    reasoning_effort: str | None
    temperature: float | None
    seed: int | None
    stop: tuple[str, ...]
    logprobs: bool
    notes: tuple[str, ...]


def parameters(request: Request, card: ModelCard) -> Parameters:
    """Those of the request that the card's dialect and model have, no larger and no smaller than they may be."""
    wanted = request.settings
    return _cut(
        Same((card,)),
        wanted.max_tokens,
        wanted.reasoning_effort,
        request.temperature,
        request.seed,
        tuple(request.stop),
        logprobs=request.logprobs,
    )


def output_bound(most: int | None, card: ModelCard) -> int:
    """Tokens that the card's model may really write where `most` are asked for; None: as many as it can."""
    return card.max_output if most is None else _bound(most, card, features_of(card))


def _bound(most: int, card: ModelCard, features: Features) -> int:
    return max(features.least_tokens, min(most, card.max_output))


@lru_cache(maxsize=256, typed=True)  # 1 and 1.0 are equal, and are written otherwise
def _cut(
    card: Same[ModelCard],
    max_tokens: int | None,
    reasoning_effort: str | None,
    temperature: float | None,
    seed: int | None,
    stop: tuple[str, ...],
    *,
    logprobs: bool,
) -> Parameters:
    cut = _Cut(card.held[0])
    can = cut.card.capabilities
    return Parameters(
        cut.max_tokens(max_tokens),
        cut.setting("reasoning_effort", reasoning_effort, can=can.reasoning_effort),
        cut.temperature(temperature),
        cut.seed(seed),
        cut.stop(stop),
        cut.setting("logprobs", logprobs or None, can=can.logprobs) or False,
        tuple(cut.notes),
    )


class _Cut:
    """Parameters while they are cut; what is left out is noted."""

    def __init__(self, card: ModelCard) -> None:
        self.card, self._features = card, features_of(card)
        self.notes: list[str] = []

    def max_tokens(self, most: int | None) -> int | None:
        if most is None:
            return None
        said = _bound(most, self.card, self._features)
        if said < most:
            self.notes.append(f"max_tokens {most} lowered to {said}, the most {self.card.name} writes")
        elif said > most:
            self.notes.append(f"max_tokens {most} raised to {said}, the least {self._features.title} takes")
        return said

    def temperature(self, wanted: float | None) -> float | None:
        said = self.setting("temperature", wanted, can=self.card.capabilities.temperature)
        most = self._features.temperature
        if said is None:
            return None
        if said <= most:
            return abs(said)  # -0.0 and 0.0 are equal too, and of one type
        self.notes.append(f"temperature {said} lowered to {most:g}, the most {self._features.title} takes")
        return most

    def seed(self, wanted: int | None) -> int | None:
        seed, known = self.setting("seed", wanted), self._features.seed
        if seed is None or seed in known:
            return seed
        self.notes.append(f"seed {seed} left out: {self._features.title} takes {known[0]} to {known[-1]}")
        return None

    def stop(self, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Those that fit; who asked for the others has to know that the text is not cut there."""
        most, who = self._features.stop, self._features.title
        if most and not self.card.capabilities.stop:
            most, who = 0, self.card.name
        if len(wanted) <= most:
            return wanted
        left = f"{len(wanted) - most} of {len(wanted)} left out"
        self.notes.append(f"stop: {left}: {who} takes {most or 'none'}, the text may go on behind them")
        return wanted[:most]

    def setting(self, name: str, value: T | None, *, can: bool = True) -> T | None:
        """A setting where both the dialect and the model have it."""
        if value is None:
            return None
        spoken = bool(getattr(self._features, name))
        if spoken and can:
            return value
        self.notes.append(f"{name} left out: {self.card.name if spoken else self._features.title} has no such setting")
        return None
