"""Compare: what a run took, beside estimates of the same work done always by the cheapest or the strongest model.

The work is the run's accepted replies: each is taken to be written once, with the tokens that were measured. An
estimate so leaves out the failures its model might have had; it is a lower bound, and its method says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from orchestra.fleet import DEFAULT_TIERS
from orchestra.fleet import cost as list_cost
from orchestra.ledger.events import Decided, Row
from orchestra.ledger.totals import totals
from orchestra.ledger.views import AttemptView, attempts
from orchestra.ledger.wording import money, seconds
from orchestra.types import ModelCard, Usage


@dataclass(frozen=True, slots=True)
class Estimate:
    """USD, seconds of model time, tokens in and out, and in `method` how they came about; None is unknown.

    `model` is None for the run itself. `estimated` is False where everything was measured or reported.
    """

    model: str | None
    usd: float | None
    seconds: float | None
    input: int
    output: int
    estimated: bool
    method: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """The run as it was and the alternatives, None where there is nothing to estimate; `findings` are sentences."""

    actual: Estimate
    cheapest: Estimate | None
    strongest: Estimate | None
    findings: tuple[str, ...]


def compare(rows: Sequence[Row], fleet: Mapping[str, ModelCard]) -> Comparison:
    """The run beside "always the cheapest" and "always the strongest" of the models able to serve each step."""
    tried = attempts(rows)
    actual = _actual(rows)
    if nothing := _nothing_to_compare(tried):
        return Comparison(actual, None, None, (nothing,))
    able = _able(rows, fleet)
    always = {card.name: _always(card, tried) for card in able}
    ranks = _ranks(rows, able)
    cheapest = min(able, key=lambda card: _dearness(always[card.name], ranks[card.name]), default=None)
    strongest = max(able, key=lambda card: _strength(card, ranks[card.name]), default=None)
    priceless = [card.name for card in able if card.price is None]
    return Comparison(
        actual,
        cheapest and always[cheapest.name],
        strongest and always[strongest.name],
        _findings(actual, [always[card.name] for card in (cheapest, strongest) if card], tried, priceless),
    )


def _actual(rows: Sequence[Row]) -> Estimate:
    total = totals(rows)
    method = "measured: every attempt of the run, refused ones too; seconds of model time, summed"
    return Estimate(
        None, total.cost.usd, total.seconds, total.usage.input, total.usage.output, total.cost.estimated, method
    )


def _nothing_to_compare(tried: Sequence[AttemptView]) -> str:
    accepted = [one for one in tried if one.state == "accepted"]
    if not accepted:
        return "No reply was accepted: there is nothing to compare."
    if any(one.usage is None for one in accepted):
        return "Not every accepted reply came with its token counts: nothing can be estimated."
    return ""


_BARRING = frozenset({"tags", "deprecated", "capability", "window"})
"""The fleet's gates that say a model cannot serve a step; the money gate says only that too little was left."""


def _able(rows: Iterable[Row], fleet: Mapping[str, ModelCard]) -> list[ModelCard]:
    decided = [row.event.decision for row in rows if isinstance(row.event, Decided)]
    barred = {one.model for decision in decided for one in decision.rejections if one.gate in _BARRING}
    return [card for name, card in sorted(fleet.items()) if name not in barred]


def _ranks(rows: Iterable[Row], cards: Iterable[ModelCard]) -> dict[str, int]:
    """A fleet may name its own tiers: how they rank is what the run's decisions say, else the usual order."""
    seen = {
        candidate.card.name: candidate.rank
        for row in rows
        if isinstance(row.event, Decided)
        for candidate in row.event.decision.candidates
    }
    usual = {tier: rank for rank, tier in enumerate(DEFAULT_TIERS)}
    return {card.name: seen.get(card.name, usual.get(card.tier, -1)) for card in cards}


def _dearness(estimate: Estimate, rank: int) -> tuple[bool, float, int, bool, float]:
    """Known prices first; among equal ones, such as free models, the lower tier is the cheaper, then the quicker."""
    usd, time = estimate.usd, estimate.seconds
    return usd is None, usd or 0.0, rank, time is None, time or 0.0


def _strength(card: ModelCard, rank: int) -> tuple[int, float, float, float]:
    price = card.price.input + card.price.output if card.price else 0.0
    return rank, card.quality or 0.0, price, -(card.speed or 0.0)


def _always(card: ModelCard, tried: Sequence[AttemptView]) -> Estimate:
    work = [one.usage for one in tried if one.state == "accepted" and one.usage]
    total = sum(work, Usage())
    pace = _measured_pace(card.name, tried) or _card_pace(card)
    price = "its list price times those tokens" if card.price else "its price is unknown, so is the cost"
    return Estimate(
        model=card.name,
        usd=list_cost(card.price, total).usd,
        seconds=pace and pace.seconds(total),
        input=total.input,
        output=total.output,
        estimated=True,
        method=f"estimate: each of the run's accepted replies ({len(work)}) written once by {card.name!r}, "
        f"with the tokens measured; {price}; {pace.source if pace else 'its speed is unknown'}; "
        "replies of its own that might be refused are not counted",
    )


@dataclass(frozen=True, slots=True)
class _Pace:
    read: float  # tokens per second
    write: float
    source: str

    def seconds(self, usage: Usage) -> float:
        return _fresh(usage) / self.read + usage.output / self.write


def _fresh(usage: Usage) -> int:
    return max(0, usage.input - usage.cached_input)


def _measured_pace(model: str, tried: Iterable[AttemptView]) -> _Pace | None:
    timed = [(one.usage, one.first_token, one.seconds) for one in tried if one.model == model]
    known = [(usage, first, total - first) for usage, first, total in timed if usage and first]
    reading, writing = sum(first for _, first, _ in known), sum(rest for *_, rest in known)
    read, written = sum(_fresh(usage) for usage, *_ in known), sum(usage.output for usage, *_ in known)
    if min(reading, writing, read, written) <= 0:
        return None
    read_speed, speed = read / reading, written / writing
    return _Pace(read_speed, speed, f"its pace in this run, {read_speed:,.0f} tokens/s read and {speed:,.0f} written")


def _card_pace(card: ModelCard) -> _Pace | None:
    if not card.prompt_speed or not card.speed:
        return None
    source = f"its card's pace, {card.prompt_speed:,.0f} tokens/s read and {card.speed:,.0f} written"
    return _Pace(card.prompt_speed, card.speed, source)


def _findings(
    actual: Estimate, others: Sequence[Estimate], tried: Sequence[AttemptView], priceless: Sequence[str]
) -> tuple[str, ...]:
    found: list[str] = []
    for other in dict.fromkeys(others):
        alone = all(one.model == other.model and one.state == "accepted" for one in tried)
        found.append(f"This run was always {other.model!r} already." if alone else _finding(actual, other))
    if not others:
        found.append("No model of the fleet could have served every step: there is nothing to compare.")
    if priceless:
        found.append(f"Unknown prices: {', '.join(priceless)}; what they cost is not estimated.")
    return tuple(found)


def _finding(actual: Estimate, other: Estimate) -> str:
    used, would = actual.input + actual.output, other.input + other.output
    parts = (
        _money(actual.usd, other.usd),
        _against("model time", actual.seconds, other.seconds, seconds),
        _against("tokens", used, would, "{:,}".format),
    )
    return f"Compared with always {other.model!r} (estimate): {'; '.join(parts)}."


def _money(actual: float | None, other: float | None) -> str:
    return "free either way" if actual == other == 0 else _against("money", actual, other, money)


def _against(what: str, actual: float | None, other: float | None, word: Callable[[float], str]) -> str:
    if actual is None or other is None:
        return f"{what} unknown"
    return f"{what} {word(actual)} against {word(other)}{_share(actual, other)}"


def _share(actual: float, other: float) -> str:
    """A share is only said of something: against nothing there is neither saving nor loss in percent."""
    if other <= 0:
        return ""
    percent = round(100 * (actual / other - 1))
    return f", {abs(percent)} % {'more' if percent > 0 else 'less'}" if percent else ", the same"
