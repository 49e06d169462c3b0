"""The network that a fleet states: variables become values, and what they hold is hidden first."""

import pytest

from orchestra import Orchestra
from orchestra.errors import ConfigError
from orchestra.fleet import Fleet, Network
from orchestra.runtime.endpoints import FleetEndpoints
from orchestra.runtime.network import FleetNetwork
from orchestra.types import ModelCard
from tests.transport.asking import read
from tests.transport.raw_server import raw_server

HEADERS = Network(headers={"x-team": "search", "x-gateway-key": "env:GATEWAY"})


def of(network, **environ):
    hidden = []
    return FleetNetwork(network, hidden.extend, environ), hidden


async def through(transport):
    from orchestra.transport import WireRequest

    try:
        return (await read(transport, WireRequest("http://provider.invalid/v1", (), b"")))[2]
    finally:
        await transport.aclose()


async def test_the_proxy_is_the_one_that_the_fleet_names():
    async with raw_server(lambda c: c.reply(b"by proxy")) as proxy:
        network, _ = of(Network(proxy=proxy.base))
        assert await through(network.transport()) == b"by proxy"


async def test_a_proxy_with_a_password_comes_from_a_variable_and_is_hidden():
    async with raw_server(lambda c: c.reply(b"by proxy")) as proxy:
        url = proxy.base.replace("://", "://me:planted@")
        network, hidden = of(Network(proxy="env:CORP_PROXY"), CORP_PROXY=url)
        assert await through(network.transport()) == b"by proxy"
    assert hidden == [url]


def test_what_a_variable_should_hold_and_does_not_is_told():
    with pytest.raises(ConfigError, match=r"network\.proxy is to come from the environment; set CORP_PROXY"):
        of(Network(proxy="env:CORP_PROXY"), CORP_PROXY="")[0].transport()
    with pytest.raises(ConfigError, match="header 'x-gateway-key' is to come from the environment; set GATEWAY"):
        of(HEADERS)[0].headers("acme")


def test_the_transport_is_made_as_stated(monkeypatch):
    made = []
    monkeypatch.setattr("orchestra.runtime.network.default_transport", lambda **stated: made.append(stated))
    of(Network())[0].transport()
    of(Network("direct", "corp.pem", 30.0))[0].transport()
    assert made == [{}, {"proxy": "direct", "ca": "corp.pem", "keep_alive": 30.0}]


def test_headers_have_their_values_and_those_of_variables_are_hidden():
    network, hidden = of(HEADERS, GATEWAY="a-gateway-key")
    assert network.headers("acme") == (("x-team", "search"), ("x-gateway-key", "a-gateway-key"))
    assert hidden == ["a-gateway-key"]


@pytest.mark.parametrize(
    ("dialect", "regions"), [("openai-chat", ()), ("bedrock-converse", ()), ("bedrock-converse", ("eu-west-1",))]
)
async def test_an_endpoint_has_the_headers_of_its_provider_and_shows_none_of_them(dialect, regions):
    network, _ = of(HEADERS, GATEWAY="a-gateway-key")
    endpoints = FleetEndpoints(None, lambda _: None, {"KEY": "an-api-key"}, network.headers)
    card = ModelCard("m", "x", "acme", dialect, "efficient", base_url="http://h", keys=("env:KEY",), regions=regions)
    found = await endpoints.resolve(card)
    assert found.headers == (("x-team", "search"), ("x-gateway-key", "a-gateway-key"))
    assert {"a-gateway-key", "an-api-key"} <= set(found.secrets)
    assert "gateway" not in repr(found)


async def test_an_app_reaches_the_outside_as_its_fleet_says():
    async with raw_server(lambda c: c.reply(b"by proxy")) as proxy:
        fleet = Fleet.from_toml(
            f'[network]\nproxy = "{proxy.base}"\n[models.m]\nbase_url = "http://provider.invalid/v1"\n'
        )
        async with Orchestra(fleet, ledger=None) as app:
            assert await through(app.transport) == b"by proxy"
