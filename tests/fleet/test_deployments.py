"""Several keys and several endpoints of one model."""

from __future__ import annotations

import pytest

from orchestra.errors import FleetError
from orchestra.fleet import Fleet, gate
from orchestra.fleet.deployments import deployments, place
from orchestra.types import Deployment, ModelCard, Step, StepContext, from_json, to_json


def card_of(text: str, rest: str = "") -> ModelCard:
    return Fleet.from_toml(f'[models.a]\nmodel = "gpt-4.1"\n{text}\n{rest}').models["a"]


def refused(text: str) -> str:
    with pytest.raises(FleetError) as caught:
        card_of(text)
    return str(caught.value)


ONE, TWO = 'base_url = "https://one/v1"', 'base_url = "https://two/v1"'


def test_a_model_without_endpoints_has_a_deployment_for_each_of_its_keys():
    card = card_of('keys = ["env:A", "env:B"]')
    assert card.deployments == ()
    assert deployments(card) == (Deployment(key="env:A"), Deployment(key="env:B"))
    assert deployments(ModelCard("a", "m", "p", "openai-chat", "efficient")) == (Deployment(),)


def test_a_key_may_have_a_weight():
    card = card_of('keys = ["env:A", { key = "env:B", weight = 0.1 }]')
    assert card.keys == ("env:A", "env:B")
    assert [(one.key, one.weight) for one in deployments(card)] == [("env:A", 1.0), ("env:B", 0.1)]
    assert card.sources["deployments"] == "fleet.toml"


def test_a_key_of_weight_one_is_written_as_one_without():
    assert card_of('keys = ["env:A", { key = "env:B" }]') == card_of('keys = ["env:A", "env:B"]')


def test_weighted_keys_of_a_provider_are_those_of_its_models():
    card = card_of("", '[providers.openai]\nkeys = [{ key = "env:A", weight = 3 }]')
    assert deployments(card) == (Deployment("https://api.openai.com/v1", "env:A", None, 3.0),)


def test_an_endpoint_has_what_it_says_and_the_models_where_it_says_nothing():
    card = card_of(
        'keys = ["env:A", { key = "env:B", weight = 0.5 }]\nregions = "us"\n'
        f'[[models.a.endpoints]]\n{ONE}\nregions = "eu"\n'
        f'[[models.a.endpoints]]\n{TWO}\nkeys = "env:C"\nweight = 2'
    )
    assert card.deployments == (
        Deployment("https://one/v1", "env:A", ("eu",), 1.0),
        Deployment("https://one/v1", "env:B", ("eu",), 0.5),
        Deployment("https://two/v1", "env:C", None, 2.0),
    )
    assert (card.base_url, card.keys, card.regions) == ("https://one/v1", ("env:A", "env:B", "env:C"), ("us",))


def test_endpoints_without_a_base_url_are_at_the_models():
    card = card_of(f'{ONE}\nendpoints = [{{ regions = "eu", keys = "env:A" }}, {{ regions = "us", keys = "env:B" }}]')
    assert {one.base_url for one in card.deployments} == {"https://one/v1"}


def test_regions_tell_endpoints_apart_where_the_provider_has_no_address_of_its_own():
    fleet = Fleet.from_toml(
        '[models.a]\nmodel = "x"\nprovider = "bedrock"\nkeys = []\n'
        'endpoints = [{ regions = ["eu", "eu-central-1"] }, { regions = ["eu", "eu-west-1"] }]'
    )
    assert [place(one) for one in fleet.models["a"].deployments] == ["eu eu-central-1", "eu eu-west-1"]


def test_the_usual_key_goes_to_no_other_address():
    card = card_of(f"endpoints = [{{ {ONE} }}, {{ base_url = 'https://api.openai.com/v1' }}]")
    assert [one.key for one in card.deployments] == ["", "env:OPENAI_API_KEY"]


def test_the_provider_of_an_unknown_model_is_the_host_of_its_first_endpoint():
    fleet = Fleet.from_toml(f'[models.a]\nmodel = "x"\nendpoints = [{{ {ONE} }}, {{ {TWO} }}]')
    assert fleet.models["a"].provider == "one"


def test_an_embedded_model_with_endpoints_is_neither_free_nor_local():
    fleet = Fleet.from_toml(
        f'[models.a]\nmodel = "qwen2.5-coder-0.5b-instruct"\nendpoints = [{{ {ONE} }}, {{ {TWO} }}]'
    )
    card = fleet.models["a"]
    assert (card.price, card.weights, card.tags) == (None, None, ())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('keys = ["sk-0123456789abcdef"]', "models.a.keys.0.key a key is named, never written"),
        ('keys = [{ key = "env:A", wieght = 2 }]', "models.a.keys.0 has an unknown key 'wieght'; known: key, weight"),
        ('keys = [{ key = "env:A", weight = 0 }]', "models.a.keys.0.weight is 0"),
        ('endpoints = [{ base_urls = "x" }]', "models.a.endpoints.0 has an unknown key 'base_urls'; known: base_url,"),
        ("endpoints = [{ weight = inf }]", "models.a.endpoints.0.weight is inf"),
        ('keys = ["env:A", "env:A"]', "model 'a' has key 'env:A' twice at endpoint 'https://api.openai.com/v1'"),
        (f"endpoints = [{{ {ONE} }}, {{ {ONE} }}]", "model 'a' has key '' twice at endpoint 'https://one/v1'"),
        (
            f"provider = 'azure'\nendpoints = [{{ {ONE} }}, {{ regions = 'eu' }}]",
            "model 'a' has an endpoint without base_url beside one that has it",
        ),
        (f"provider = 'acme'\nendpoints = [{{ {ONE} }}, {{ regions = 'eu' }}]", "a server of your own needs base_url"),
    ],
)
def test_a_faulty_pool_is_told_by_its_place(text: str, said: str):
    assert said in refused(text)
    assert "0123456789" not in refused(text)


def test_deployments_are_read_back_as_they_are_written():
    card = card_of(f'keys = "env:A"\nendpoints = [{{ {ONE}, regions = "eu" }}, {{ {TWO} }}]')
    assert from_json(ModelCard, to_json(card)) == card


@pytest.mark.parametrize(
    ("demanded", "served"),
    [((), True), (("EU",), True), (("us", "zdr"), True), (("eu", "us"), False), (("de",), False)],
)
def test_data_needs_one_endpoint_that_fulfils_all_it_demands(demanded: tuple[str, ...], served: bool):
    fleet = Fleet.from_toml(
        '[models.a]\nmodel = "gpt-4.1"\ntags = "ZDR"\nregions = "us"\n'
        f'endpoints = [{{ {ONE}, regions = "eu" }}, {{ {TWO} }}]'
    )
    candidates, rejections = gate(fleet, StepContext(Step("s"), data_tags=demanded))
    assert bool(candidates) is served
    assert served or rejections[0].gate == "tags"


def test_the_endpoint_that_comes_nearest_says_what_is_missing():
    fleet = Fleet.from_toml(
        f'[models.a]\nmodel = "gpt-4.1"\nendpoints = [{{ {ONE} }}, {{ {TWO}, regions = ["eu", "hipaa"] }}]'
    )
    context = StepContext(Step("s"), data_tags=("hipaa", "ZDR"))
    assert gate(fleet, context)[1][0].text == "the data demands 'ZDR', its tags and regions are: eu, hipaa"
