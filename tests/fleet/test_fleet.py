"""Fleet as a value, and the built-in facts."""

from dataclasses import replace

import pytest

from orchestra.errors import FleetError
from orchestra.fleet import DEFAULT_TIERS, Fleet
from orchestra.fleet.known import CARDS, PROVIDERS
from orchestra.types import Capabilities, Match, ModelCard, Price, StepRule

CARD = ModelCard("a", "m", "p", "openai-chat", "efficient")


def test_the_embedded_fleet_plans_with_the_stronger_model_and_is_free():
    fleet = Fleet.embedded()
    assert (fleet.models["small"].tier, fleet.models["strong"].tier) == ("efficient", "capable")
    assert fleet.rules == (StepRule(Match(kind=("plan",)), tier="capable"),)
    assert all(card.price == Price(0.0, 0.0) and card.provider == "local" for card in fleet.models.values())


def test_the_fingerprint_changes_with_any_fact_and_not_with_the_source():
    fleet = Fleet.from_cards([CARD])
    assert fleet.fingerprint == Fleet.from_cards([CARD], source="elsewhere").fingerprint
    others = [
        Fleet.from_cards([replace(CARD, window=1)]),
        Fleet.from_cards([CARD], mode="cost"),
        Fleet.from_cards([CARD], rules=[StepRule(tier="efficient")]),
        Fleet.from_cards([CARD], tiers=("efficient",)),
    ]
    assert len({fleet.fingerprint, *(other.fingerprint for other in others)}) == 5


def test_tools_are_told_in_the_dialects_of_models_that_take_them_as_such():
    cards = [
        replace(CARD, name=f"{dialect} {tools}", dialect=dialect, capabilities=Capabilities(tools=tools))
        for dialect, tools in (
            ("openai-chat", "native"),
            ("gemini", "json"),
            ("cohere", "none"),
            ("anthropic", "native"),
            ("anthropic", "json"),
        )
    ]
    assert Fleet.from_cards(cards).tool_dialects == ("anthropic", "openai-chat")


def test_two_models_of_one_name_are_refused():
    with pytest.raises(FleetError, match="two models are named 'a'"):
        Fleet.from_cards([CARD, CARD])


def test_a_fleet_without_models_is_refused():
    with pytest.raises(FleetError, match="no models"):
        Fleet.from_cards([])


def test_a_rank_is_the_tiers_place_and_an_unknown_tier_is_named():
    fleet = Fleet.from_cards([CARD])
    assert [fleet.rank(tier) for tier in DEFAULT_TIERS] == [0, 1, 2]
    with pytest.raises(
        FleetError, match="no tier 'capble'; known: capable, efficient, frontier; did you mean 'capable'"
    ):
        fleet.rank("capble")


def test_every_built_in_card_is_reachable_and_prices_only_what_is_free():
    for model, card in CARDS.items():
        assert card.model == card.name == model
        assert card.tier in DEFAULT_TIERS
        assert card.dialect == PROVIDERS[card.provider].dialect
        assert card.weights is None or len(card.weights) == 64
        assert card.price == (Price(0.0, 0.0) if card.provider == "local" else None)
        assert card.max_output < card.window
        assert set(card.sources.values()) == {"built-in"}
