"""Gates: which models may serve a step at all. Compliance first, then capability, window, money."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from orchestra.fleet.candidates import build
from orchestra.fleet.estimates import Facts, estimator, wanted_tokens
from orchestra.fleet.fleet import Fleet
from orchestra.fleet.prices import bound
from orchestra.types import Candidate, Rejection, StepContext

Check: TypeAlias = Callable[[Facts], str | None]
Scorer: TypeAlias = Callable[[Facts, float | None, float, float], float]


def gate(
    fleet: Fleet, context: StepContext, score: Scorer | None = None, health: Mapping[str, float] | None = None
) -> tuple[tuple[Candidate, ...], tuple[Rejection, ...]]:
    """The models that may serve the step, by name, each with its estimates; and those refused, with gate and reason.

    The first gate that refuses a model speaks. `score` gives a candidate its first score from its facts, expected
    USD (None: unknown), seconds and health; without it every score is 0. `health` is what was measured, by model.
    """
    checks = [(name, check) for name, make in GATES.items() if (check := make(context)) is not None]
    expect, score, measured = estimator(context), score or _unscored, health or {}
    candidates: list[Candidate] = []
    rejections: list[Rejection] = []
    for known in fleet.facts:
        for name, check in checks:
            if (text := check(known)) is not None:
                rejections.append(Rejection(known.name, name, text))
                break
        else:
            cost, latency = expect(known)
            fit = measured.get(known.name)
            worth = score(known, cost, latency, 1.0 if fit is None else fit)
            candidates.append(build(known, cost, latency, fit, worth))
    return tuple(candidates), tuple(rejections)


def _unscored(_: Facts, __: float | None, ___: float, ____: float) -> float:
    return 0.0


def _tags(context: StepContext) -> Check | None:
    if not context.data_tags:
        return None
    wanted = {tag.casefold(): tag for tag in context.data_tags}

    def check(known: Facts) -> str | None:
        nearest = max(known.tags, key=lambda tags: len(wanted.keys() & tags))
        if wanted.keys() <= nearest:
            return None
        missing = ", ".join(repr(tag) for folded, tag in wanted.items() if folded not in nearest)
        return f"the data demands {missing}, its tags and regions are: {', '.join(sorted(nearest)) or 'none'}"

    return check


def _deprecated(context: StepContext) -> Check | None:
    today = context.signals.get("today")  # an ISO date: this room knows no clock
    if not isinstance(today, str):
        return None

    def check(known: Facts) -> str | None:
        ended = known.card.deprecated
        return f"deprecated on {ended}, today is {today}" if ended is not None and ended <= today else None

    return check


def _expressible(context: StepContext) -> Check | None:
    found = context.signals.get("inexpressible")  # by dialect: the reason why a tool cannot be declared in it
    if not isinstance(found, Mapping):
        return None
    reasons = {str(dialect): str(why) for dialect, why in found.items()}

    def check(known: Facts) -> str | None:
        return reasons.get(known.card.dialect) if known.card.capabilities.tools == "native" else None

    return check


def _capability(context: StepContext) -> Check | None:
    needs = set(context.modalities) - {"text"}
    if context.tools:
        needs.add("tools")
    if context.structured:
        needs.add("structured output")
    if not needs:
        return None

    def check(known: Facts) -> str | None:
        if needs <= known.abilities:
            return None
        return f"the step needs {' and '.join(sorted(needs - known.abilities))}, which it cannot do"

    return check


def _window(context: StepContext) -> Check | None:
    tokens, wanted = context.tokens, wanted_tokens(context)
    most = tokens + wanted

    def check(known: Facts) -> str | None:
        if most <= known.window or tokens + known.max_output <= known.window:
            return None
        output = min(wanted, known.max_output)
        return f"{tokens:,} tokens in context and {output:,} to write exceed its window of {known.window:,}"

    return check


def _money(context: StepContext) -> Check | None:
    left, wanted = context.money_left, wanted_tokens(context)
    if left is None:
        return None

    def check(known: Facts) -> str | None:
        most = bound(known.card.price, context.tokens, min(wanted, known.max_output))
        if most is None:
            return None if context.allow_unknown_price else _UNKNOWN_PRICE
        return None if most <= left else f"may cost up to ${most:.6f}, ${left:.6f} is left"

    return check


_UNKNOWN_PRICE = "its price is unknown and money is capped; give it a price or allow unknown prices"
GATES: dict[str, Callable[[StepContext], Check | None]] = {
    "tags": _tags,
    "deprecated": _deprecated,
    "capability": _capability,
    "dialect": _expressible,
    "window": _window,
    "money": _money,
}
