"""Gates: which models may serve a step at all. Compliance first, then capability, window, money."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

from orchestra.fleet.candidates import Scorer, build
from orchestra.fleet.estimates import EXPECTED_OUTPUT, MIN_OUTPUT, Facts, expected
from orchestra.fleet.fleet import Fleet
from orchestra.fleet.prices import bound
from orchestra.types import Candidate, Rejection, StepContext


def gate(
    fleet: Fleet, context: StepContext, score: Scorer | None = None, health: Mapping[str, float] | None = None
) -> tuple[tuple[Candidate, ...], tuple[Rejection, ...]]:
    """The models that may serve the step, by name, each with its estimates; and those refused, with gate and reason.

    The first gate that refuses a model speaks. Where the context does not say how much is to be written, and the money
    left pays no usual answer of any model, those that it pays `MIN_OUTPUT` tokens of may serve: dispatch shrinks
    `max_tokens` to what fits. `score` gives a candidate its first score from its facts, expected USD (None: unknown),
    seconds and health; without it every score is 0. `health` is what was measured, by model.
    """
    score, health = score or _unscored, health or {}
    wanted = EXPECTED_OUTPUT if context.output_tokens is None else context.output_tokens
    passed = _passed(fleet, context, score, health, wanted, wanted)
    if passed[0] or context.output_tokens is not None or not any(one.gate == "money" for one in passed[1]):
        return passed
    return _passed(fleet, context, score, health, wanted, MIN_OUTPUT)


def _passed(
    fleet: Fleet, context: StepContext, score: Scorer, measured: Mapping[str, float], wanted: int, paid: int
) -> tuple[tuple[Candidate, ...], tuple[Rejection, ...]]:
    """As `gate`, for `wanted` output tokens, of which the money has to pay `paid` at most."""
    candidates: list[Candidate] = []
    rejections: list[Rejection] = []
    for known, refused in _suited(fleet, _demands(context)):
        output = min(wanted, known.max_output)
        if refusal := refused or _too_long(known, context, output) or _too_dear(known, context, min(output, paid)):
            rejections.append(refusal)
            continue
        cost, latency = expected(known, context, output)
        candidates.append(build(known, cost, latency, measured.get(known.name), score))
    return tuple(candidates), tuple(rejections)


def _unscored(_: Facts, __: float | None, ___: float, ____: float) -> float:
    return 0.0


# Gates that ask what a model is: the same for many steps, and answered once for all that demand the same.


class _Demands(NamedTuple):
    """`today` is an ISO date: this room knows no clock. `unsaid`: by dialect, why a tool cannot be declared in it."""

    tags: tuple[str, ...]
    today: str | None
    modalities: tuple[str, ...]
    tools: bool
    structured: bool
    unsaid: tuple[tuple[str, str], ...]

    @property
    def abilities(self) -> set[str]:
        needs = set(self.modalities)
        if self.tools:
            needs.add("tools")
        if self.structured:
            needs.add("structured output")
        return needs


def _demands(context: StepContext) -> _Demands:
    today, unsaid = context.signals.get("today"), context.signals.get("inexpressible")
    return _Demands(
        tuple(context.data_tags),
        today if isinstance(today, str) else None,
        tuple(context.modalities),
        bool(context.tools),
        context.structured,
        tuple((str(dialect), str(why)) for dialect, why in unsaid.items()) if isinstance(unsaid, Mapping) else (),
    )


@lru_cache(maxsize=256)
def _suited(fleet: Fleet, demands: _Demands) -> tuple[tuple[Facts, Rejection | None], ...]:
    return tuple((known, _unsuited(known, demands)) for known in fleet.facts)


def _unsuited(known: Facts, demands: _Demands) -> Rejection | None:
    for name, check in _GATES.items():
        if (text := check(known, demands)) is not None:
            return Rejection(known.name, name, text)
    return None


def _tags(known: Facts, demands: _Demands) -> str | None:
    wanted = {tag.casefold(): tag for tag in demands.tags}
    nearest = max(known.tags, key=lambda tags: len(wanted.keys() & tags))
    if wanted.keys() <= nearest:
        return None
    missing = ", ".join(repr(tag) for folded, tag in wanted.items() if folded not in nearest)
    return f"the data demands {missing}, its tags and regions are: {', '.join(sorted(nearest)) or 'none'}"


def _deprecated(known: Facts, demands: _Demands) -> str | None:
    ended, today = known.card.deprecated, demands.today
    if ended is None or today is None or ended > today:
        return None
    return f"deprecated on {ended}, today is {today}"


def _capability(known: Facts, demands: _Demands) -> str | None:
    lacking = demands.abilities - known.abilities
    return f"the step needs {' and '.join(sorted(lacking))}, which it cannot do" if lacking else None


def _expressible(known: Facts, demands: _Demands) -> str | None:
    return dict(demands.unsaid).get(known.card.dialect) if known.card.capabilities.tools == "native" else None


_GATES: dict[str, Callable[[Facts, _Demands], str | None]] = {
    "tags": _tags,
    "deprecated": _deprecated,
    "capability": _capability,
    "dialect": _expressible,
}


# Gates that measure: what there is to read and to write (`output` tokens) and the money left differ from step to step.


def _too_long(known: Facts, context: StepContext, output: int) -> Rejection | None:
    if context.tokens + output <= known.window:
        return None
    text = f"{context.tokens:,} tokens in context and {output:,} to write exceed its window of {known.window:,}"
    return Rejection(known.name, "window", text)


def _too_dear(known: Facts, context: StepContext, output: int) -> Rejection | None:
    if (left := context.money_left) is None:
        return None
    most = bound(known.card.price, context.tokens, output)
    if most is None:
        return None if context.allow_unknown_price else Rejection(known.name, "money", _UNKNOWN_PRICE)
    if most <= left:
        return None
    return Rejection(known.name, "money", f"may cost up to ${most:.6f}, ${left:.6f} is left")


_UNKNOWN_PRICE = "its price is unknown and money is capped; give it a price or allow unknown prices"
