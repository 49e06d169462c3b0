"""A fleet made in code is held to the rules of fleet.toml."""

from dataclasses import replace
from datetime import date

import pytest

from orchestra.errors import FleetError
from orchestra.fleet import BreakerPolicy, Fleet, Network, ProviderLimits
from orchestra.types import Capabilities, Deployment, Match, ModelCard, Price, StepRule, Timeouts

CARD = ModelCard("a", "m", "p", "openai-chat", "efficient")
NAN, INF = float("nan"), float("inf")


def refused(*cards, **options):
    with pytest.raises(FleetError) as caught:
        Fleet.from_cards(cards or [CARD], **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"price": Price(NAN, 1)}, "fleet: models.a.price.input is nan: input should be a finite number"),
        ({"price": Price(1, INF)}, "models.a.price.output is inf: input should be a finite number"),
        ({"price": Price(1, 1, cached_input=-1)}, "models.a.price.cached_input is -1: "),
        ({"price": {"input": 1, "output": 1}}, "models.a.price is a table; give a Price"),
        ({"price": 3}, "models.a.price is 3; give a Price"),
        ({"window": 0}, "models.a.window is 0: input should be greater than 0"),
        ({"window": 1.5}, "models.a.window is 1.5: "),
        ({"window": None}, "models.a.window is None; leave it out, or give a int"),
        ({"max_output": -1}, "models.a.max_output is -1: "),
        ({"name": " "}, "give the model a name"),
        ({"model": ""}, "models.a.model is ''; give the model a name"),
        ({"provider": ""}, "models.a.provider is '': "),
        ({"dialect": "openai-chatt"}, "model 'a' names the unknown dialect 'openai-chatt'; known: anthropic,"),
        ({"tags": "hipaa"}, "models.a.tags is 'hipaa': input should be a valid list"),
        ({"regions": ("",)}, "models.a.regions.0 is '': "),
        ({"keys": ("sk-0123456789abcdef",)}, "models.a.keys.0.key a key is named, never written"),
        ({"base_url": "localhost:80"}, "models.a.base_url must be a URL such as"),
        ({"quality": 2.0}, "models.a.quality is 2.0: "),
        ({"speed": NAN}, "models.a.speed is nan: "),
        ({"concurrency": 0}, "models.a.concurrency is 0: "),
        ({"deprecated": "2026-13-45"}, "models.a.deprecated is '2026-13-45', which is no day"),
        ({"deprecated": date(2027, 1, 31)}, "models.a.deprecated is a date: "),
        ({"timeouts": Timeouts(total=0)}, "models.a.timeouts.total is 0: "),
        ({"timeouts": Timeouts(total=None)}, "models.a.timeouts.total is None; leave it out, or give a float"),
        ({"capabilities": Capabilities(tools="jsn")}, "is 'jsn'; known: json, native, none; did you mean 'json'?"),
        ({"deployments": (Deployment("http://h/v1", weight=INF),)}, "models.a.deployments.0.weight is inf: "),
        ({"deployments": (Deployment(key="K"),)}, "models.a.deployments.0.key a key is named, never written"),
        ({"deployments": ("http://h/v1",)}, "models.a.deployments.0 is 'http://h/v1'; give a Deployment"),
        ({"deployments": 3}, "models.a.deployments is 3: "),
    ],
)
def test_a_card_made_in_code_that_no_file_could_state_is_refused_when_the_fleet_is_made(facts, said):
    assert said in refused(replace(CARD, **facts))


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"mode": "cheap"}, "fleet: mode is 'cheap'; known: balanced, cost, latency, quality"),
        ({"tiers": ("efficient", "")}, "fleet: tiers.1 is '': "),
        (
            {"rules": (StepRule(Match(kind="plan")),)},
            "fleet: rules.0.match.kind is 'plan': input should be a valid list",
        ),
        ({"rules": (StepRule(Match(matches=("(",))),)}, "fleet: rules.0.match.matches.0 is no regular expression"),
        ({"rules": (StepRule(max_tokens=0),)}, "fleet: rules.0.max_tokens is 0: "),
        ({"rules": ({"tier": "efficient"},)}, "fleet: rules.0 is a table; give a StepRule"),
        ({"models": {"a": "m"}}, "fleet: models.a is 'm'; give a ModelCard"),
        ({"models": {"b": CARD}}, "fleet: model 'b' is a card named 'a'; give both one name"),
        ({"providers": {"p": ProviderLimits("p", 0)}}, "fleet: providers.p.requests_per_minute is 0: "),
        (
            {"providers": {"p": ProviderLimits("p", breaker=BreakerPolicy(error_rate=NAN))}},
            "fleet: providers.p.breaker.error_rate is nan: ",
        ),
        ({"providers": {"p": ProviderLimits("q")}}, "fleet: providers.p has the limits of 'q'; give both one name"),
        ({"models": [CARD]}, "fleet: models is a list; give a dict by name"),
        ({"providers": None}, "fleet: providers is None; give a dict by name"),
        ({"rules": None}, "fleet: rules is None; give a tuple"),
        ({"budgets": "usd"}, "fleet: budgets is 'usd'; give a tuple"),
        ({"network": Network(keep_alive=-1.0)}, "fleet: network.keep_alive is -1.0: "),
        ({"network": Network(headers={"x-api-key": "k"})}, "fleet: network.headers names 'x-api-key'"),
        ({"network": Network(provider_headers={"p": {"x y": "k"}})}, "fleet: network.provider_headers.p names 'x y'"),
    ],
)
def test_so_is_all_else_of_a_fleet(parts, said):
    with pytest.raises(FleetError) as caught:
        Fleet(**({"models": {"a": CARD}} | parts))
    assert said in str(caught.value)


def test_every_fault_is_told_and_a_secret_in_the_wrong_place_is_not():
    key = "sk-ant-api03-Zm9vYmFyYmF6cXV4"
    told = refused(replace(CARD, keys=(key,), window=0, base_url=key), source="ours")
    assert len(told.splitlines()) == 3
    assert all(line.startswith("ours: models.a.") for line in told.splitlines())
    assert key not in told


def test_what_a_card_may_say_it_may_say_in_code():
    card = replace(
        CARD,
        base_url="http://h/v1/",
        price=Price(0, 2.5, 0.1),
        quality=1.0,
        speed=10,
        tags=("hipaa",),
        keys=("env:A", "env:B"),
        deployments=(Deployment(key="env:A", weight=2), Deployment(key="env:B", regions=("eu",))),
        deprecated="2027-01-31",
        capabilities=Capabilities(think_tags=True),
        timeouts=Timeouts(total=5),
        sources={"price": "mine"},
    )
    fleet = Fleet.from_cards([card], rules=[StepRule(Match(kind=("plan",), metadata={"a": [1]}), prefer=("a",))])
    assert fleet.models["a"] is card
