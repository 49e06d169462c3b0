"""Where a model is asked, and with which key."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestra.dispatch.target import served
from orchestra.errors import ConfigError
from orchestra.fleet import Fleet, Network
from orchestra.runtime.endpoints import FleetEndpoints, names_of, secrets
from orchestra.runtime.network import FleetNetwork
from orchestra.types import ModelCard

CARD = ModelCard("m", "m", "acme", "openai-chat", "efficient", base_url="http://127.0.0.1:1/v1")


POOL = Fleet.from_toml(
    '[models.m]\nmodel = "x"\nendpoints = [{ base_url = "https://one/v1", keys = "env:A" },'
    ' { base_url = "https://two/v1", keys = "env:B" }, { base_url = "https://three/v1", keys = "env:C" }]'
).models["m"]


class Servers:
    async def endpoint(self, card):
        return f"http://127.0.0.1/{card.name}"


def card(*keys, **facts):
    values = {"base_url": CARD.base_url, "provider": CARD.provider} | facts
    return ModelCard("m", "m", dialect="openai-chat", tier="efficient", keys=keys, **values)


def endpoints(**environ):
    hidden = []
    return FleetEndpoints(Servers(), hidden.extend, environ), hidden


async def test_the_first_key_that_is_set_is_used_and_hidden_before_it_is():
    found, hidden = endpoints(SECOND="s2", EMPTY="")
    endpoint = await found.resolve(card("env:FIRST", "env:EMPTY", "env:SECOND"))
    assert (endpoint.base_url, endpoint.key) == (CARD.base_url, "s2")
    assert hidden == ["s2"]
    assert "s2" not in repr(endpoint)


async def test_what_a_file_of_secrets_ends_with_is_no_part_of_a_key_or_a_header():
    environ, hidden = {"A": "first\n", "TEAM": " search\r\n", "EMPTY": "\n"}, []
    network = FleetNetwork(Network(headers={"x-team": "env:TEAM"}), hidden.extend, environ)
    found = FleetEndpoints(Servers(), hidden.extend, environ, network.headers)
    endpoint = found.at_hand(card("env:EMPTY", "env:A"))
    assert (endpoint.key, endpoint.headers, {*hidden}) == ("first", (("x-team", "search"),), {"search", "first"})
    assert not found.ready(card("env:EMPTY"))


async def test_a_key_or_a_header_that_changes_is_used_from_the_next_call_on():
    environ, hidden = {"A": "first", "TEAM": "search"}, []
    network = FleetNetwork(Network(headers={"x-team": "env:TEAM"}), hidden.extend, environ)
    found = FleetEndpoints(Servers(), hidden.extend, environ, network.headers)
    assert (before := found.at_hand(card("env:A"))) is found.at_hand(card("env:A"))
    environ |= {"A": "second", "TEAM": "models"}
    after = found.at_hand(card("env:A"))
    assert [(one.key, one.headers) for one in (before, after)] == [
        ("first", (("x-team", "search"),)),
        ("second", (("x-team", "models"),)),
    ]
    assert {"first", "second", "search", "models"} <= {*hidden}


async def test_what_was_refused_is_renewed_once_its_key_or_a_header_has_another_value_or_none():
    environ = {"A": "first", "TEAM": "search"}
    network = FleetNetwork(Network(headers={"x-team": "env:TEAM"}), [].extend, environ)
    found = FleetEndpoints(Servers(), [].extend, environ, network.headers)
    refused = found.at_hand(card("env:A"))
    for changes, renewed in (
        ({}, False),
        ({"A": "b"}, True),
        ({"A": "first", "TEAM": "b"}, True),
        ({"TEAM": ""}, True),
    ):
        environ |= changes
        assert found.renewed(card("env:A"), refused) is renewed
    environ["TEAM"] = "search"
    del environ["A"]
    assert found.renewed(card("env:A"), refused)
    embedded = ModelCard("m", "m", "local", "openai-chat", "efficient")
    assert not found.renewed(embedded, await found.resolve(embedded))


async def test_a_model_without_keys_needs_none():
    found, hidden = endpoints()
    assert (await found.resolve(card())).key is None
    assert hidden == []


async def test_a_missing_key_is_told_by_its_variables():
    with pytest.raises(ConfigError, match="model 'm': none of its keys is set; set FIRST or SECOND"):
        await endpoints()[0].resolve(card("env:FIRST", "env:SECOND"))


async def test_a_missing_address_is_told_with_where_to_write_it():
    with pytest.raises(ConfigError, match=r"model 'm': provider 'acme' has no base_url; set it in fleet.toml"):
        await endpoints()[0].resolve(card(base_url=None))


async def test_a_local_model_is_served_in_process_and_has_no_key():
    endpoint = await endpoints()[0].resolve(card(provider="local", base_url=None))
    assert (endpoint.base_url, endpoint.key) == ("http://127.0.0.1/m", None)


async def test_an_embedded_model_on_another_server_is_asked_there():
    fleet = Fleet.from_toml('[models.m]\nmodel = "qwen2.5-coder-0.5b-instruct"\nbase_url = "https://host/v1"')
    assert (await endpoints()[0].resolve(fleet.models["m"])).base_url == "https://host/v1"


async def test_of_several_endpoints_the_first_is_taken_whose_key_is_set_and_each_gets_its_own_key():
    found, hidden = endpoints(B="secret-b", C="secret-c")
    endpoint = await found.resolve(POOL)
    assert (endpoint.base_url, endpoint.key) == ("https://two/v1", "secret-b")
    assert hidden == ["secret-b"]
    resolved = [await found.resolve(there) for there in list(served(POOL).values())[1:]]
    assert [(one.base_url, one.key) for one in resolved] == [
        ("https://two/v1", "secret-b"),
        ("https://three/v1", "secret-c"),
    ]


async def test_a_key_missing_at_every_endpoint_is_told_by_all_variables():
    with pytest.raises(ConfigError, match="none of its keys is set; set A or B or C"):
        await endpoints()[0].resolve(POOL)


def test_a_card_is_ready_where_it_needs_no_key_or_has_one():
    found, _ = endpoints(B="secret-b")
    assert [found.ready(there) for there in served(POOL).values()] == [False, True, False]
    assert found.ready(card())


def test_a_card_is_ready_where_requests_are_signed_instead():
    bedrock = ModelCard(
        "m", "m", "bedrock", "bedrock-converse", "efficient", keys=("env:X",), sources={"keys": "built-in"}
    )
    assert endpoints()[0].ready(bedrock)
    assert not endpoints()[0].ready(replace(bedrock, sources={"keys": "fleet.toml"}))


def test_the_secrets_of_a_fleet_are_the_values_of_its_keys():
    cards = [card("env:B", "env:NONE"), card("env:A", "env:B")]
    assert secrets(cards, names_of(cards), {"A": "1", "B": "2", "C": "3"}) == ("1", "2")


async def test_a_key_that_stands_in_a_name_of_the_fleet_is_a_placeholder_and_hides_nothing():
    ollama = card("env:OLLAMA_API_KEY", provider="ollama")
    environ, names = {"OLLAMA_API_KEY": "Ollama"}, names_of([ollama])
    assert secrets([ollama], names, environ) == ()
    hidden: list[str] = []
    there = await FleetEndpoints(Servers(), hidden.extend, environ, names=names).resolve(ollama)
    assert (there.key, hidden) == ("Ollama", [])
