"""The ways to reach a model."""

from __future__ import annotations

import pytest

from orchestra.dispatch.target import Target, served, targets
from orchestra.fleet import Fleet
from orchestra.types import Deployment, ModelCard

CARD = ModelCard(
    "m", "m-1", "lab", "openai-chat", "efficient", base_url="https://one/v1", regions=("us",), tags=("zdr",)
)
POOL = Fleet.from_toml(
    '[models.m]\nmodel = "m-1"\nprovider = "lab"\nregions = "us"\n'
    'endpoints = [{ base_url = "https://one/v1", keys = ["env:A", { key = "env:B", weight = 0.1 }] },'
    ' { base_url = "https://two/v1", regions = "EU", weight = 2 }]'
).models["m"]


def card(*keys: str) -> ModelCard:
    return ModelCard("m", "m-1", "lab", "openai-chat", "efficient", base_url="https://one/v1", keys=keys)


def test_a_model_without_keys_has_one_target():
    assert targets(card()) == (Target("m", "lab"),)


def test_each_key_is_a_target_by_its_name():
    assert targets(card("env:A", "env:B")) == (Target("m", "lab", "A"), Target("m", "lab", "B"))


def test_each_endpoint_with_each_of_its_keys_is_a_target():
    one, two = "https://one/v1", "https://two/v1"
    found = targets(POOL)
    assert found == (Target("m", "lab", "A", one), Target("m", "lab", "B", one), Target("m", "lab", "", two))
    assert [target.weight for target in found] == [1.0, 0.1, 2.0]


def test_weighted_keys_at_one_address_have_no_place():
    text = '[models.m]\nmodel = "gpt-4.1"\nkeys = ["env:A", { key = "env:B", weight = 0.1 }]'
    assert [target.place for target in targets(Fleet.from_toml(text).models["m"])] == ["", ""]


def test_a_weight_is_no_part_of_a_targets_identity():
    assert {Target("m", "lab", "A", weight=0.1): "kept"}[Target("m", "lab", "A")] == "kept"


@pytest.mark.parametrize(
    ("demanded", "places"),
    [((), 3), (("eu",), 1), (("US",), 2), (("us", "eu"), 0)],
)
def test_data_goes_only_where_all_its_tags_hold(demanded: tuple[str, ...], places: int):
    found = targets(POOL, demanded)
    assert len(found) == places
    assert set(found) <= set(targets(POOL))


def test_a_models_own_tags_hold_at_all_its_endpoints():
    assert targets(CARD, ("ZDR", "us")) == targets(CARD)
    assert targets(CARD, ("eu",)) == ()


def test_a_target_serves_the_card_with_its_own_address_key_and_regions():
    a, b, two = served(POOL).values()
    assert (a.base_url, a.keys, a.regions) == ("https://one/v1", ("env:A",), ("us",))
    assert (b.base_url, b.keys) == ("https://one/v1", ("env:B",))
    assert (two.base_url, two.keys, two.regions) == ("https://two/v1", (), ("EU",))
    assert tuple(served(POOL)) == targets(POOL)


def test_a_card_served_at_a_target_has_that_one_target():
    for target, there in served(POOL).items():
        (only,) = targets(there)
        assert (only.key, there.deployments) == (target.key, ())


def test_a_plain_card_is_served_as_it_is():
    assert list(served(card("env:A")).values()) == [card("env:A")]


def test_regions_tell_targets_apart_where_no_base_url_does():
    ways = (Deployment(regions=("eu-west-1",)), Deployment(regions=("us-east-1",)))
    bedrock = ModelCard("m", "m-1", "bedrock", "bedrock-converse", "efficient", deployments=ways)
    assert [target.place for target in targets(bedrock)] == ["eu-west-1", "us-east-1"]
    assert [there.regions for there in served(bedrock).values()] == [("eu-west-1",), ("us-east-1",)]
