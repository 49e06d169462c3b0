"""What to expect of a model for a step: quality, cost and latency, each with its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestra.fleet.deployments import deployments, tags
from orchestra.fleet.prices import PER_TOKEN
from orchestra.types import Capabilities, ModelCard, Price, Reason, StepContext

EXPECTED_OUTPUT = 512  # tokens, where the context does not say; a model writes at most its max_output
PROMPT_SPEED = 2_000.0  # tokens per second read, where the card does not say: a hosted model of middling speed
SPEED = 60.0  # tokens per second written, likewise
MIN_OUTPUT = 64
"""Output tokens below which an answer is not worth paying for: a call is not shrunk further."""

LOWEST_QUALITY, HIGHEST_QUALITY = 0.7, 0.9  # of the lowest and highest tier, where the card does not say


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """A card with everything a decision needs worked out once; USD and seconds per token, None is unknown.

    `tags` are those of each endpoint: data goes to one of them, not to all.
    """

    card: ModelCard
    name: str
    rank: int
    quality: float
    input: float
    output: float
    cached: float
    priced: bool
    read: float
    write: float
    window: int
    max_output: int
    tags: tuple[frozenset[str], ...]
    abilities: frozenset[str]
    sources: Mapping[str, str]
    measured: Mapping[str, str]  # the sources where health was measured
    reasons: tuple[Reason, ...]


def facts(card: ModelCard, tiers: tuple[str, ...]) -> Facts:
    """The card's facts; an unknown quality is the tier's: 0.7 for the lowest to 0.9 for the highest."""
    rank = tiers.index(card.tier)
    price = card.price or Price(0.0, 0.0)
    cached = price.input if price.cached_input is None else price.cached_input
    sources = _sources(card)
    return Facts(
        card=card,
        name=card.name,
        rank=rank,
        quality=_tier_quality(rank, len(tiers)) if card.quality is None else card.quality,
        input=price.input * PER_TOKEN,
        output=price.output * PER_TOKEN,
        cached=cached * PER_TOKEN,
        priced=card.price is not None,
        read=1 / (card.prompt_speed or PROMPT_SPEED),
        write=1 / (card.speed or SPEED),
        window=card.window,
        max_output=card.max_output,
        tags=tuple(dict.fromkeys(tags(card, one) for one in deployments(card))),
        abilities=_abilities(card.capabilities),
        sources=sources,
        measured={**sources, "health": "measured"},
        reasons=() if card.deprecated is None else (Reason("fleet", f"deprecated on {card.deprecated}"),),
    )


def expected(known: Facts, context: StepContext, output: int) -> tuple[float | None, float]:
    """A model's expected USD (None: unknown price) and seconds for this step, of which it writes `output` tokens.

    Seconds: tokens to read / prompt speed + tokens to write / speed. The model that served the conversation last finds
    its cached tokens read and pays the cached price for them: that is what a switch loses.
    """
    warm = min(context.cached_tokens, context.tokens) if known.name == context.current_model else 0
    cold = context.tokens - warm
    cost = cold * known.input + warm * known.cached + output * known.output if known.priced else None
    return cost, cold * known.read + output * known.write


def _tier_quality(rank: int, tiers: int) -> float:
    return LOWEST_QUALITY + (HIGHEST_QUALITY - LOWEST_QUALITY) * rank / max(tiers - 1, 1)


def _abilities(can: Capabilities) -> frozenset[str]:
    """In the words of the capability gate."""
    abilities = {
        "text": True,
        "tools": can.tools != "none",
        "structured output": can.structured_output,
        "image": can.images,
        "document": can.documents,
    }
    return frozenset(name for name, has in abilities.items() if has)


def _sources(card: ModelCard) -> dict[str, str]:
    speeds = {card.sources.get(fact, "card") for fact in ("speed", "prompt_speed") if getattr(card, fact)}
    missing = card.speed is None or card.prompt_speed is None
    return {
        "quality": "tier" if card.quality is None else card.sources.get("quality", "card"),
        "cost": "unknown price" if card.price is None else card.sources.get("price", "card"),
        "latency": " and ".join(sorted(speeds | ({"default speed"} if missing else set()))),
        "health": "not measured",
    }
