"""[network] and the headers of providers: what may be stated, and that no secret is written or repeated."""

import pytest

from orchestra.errors import FleetError
from orchestra.fleet import Fleet, Network

MODEL = '[models.mine]\nbase_url = "http://127.0.0.1:8080/v1"\nprovider = "acme"\n'


def network(text):
    return Fleet.from_toml(MODEL + text).network


def fault(text):
    with pytest.raises(FleetError) as error:
        network(text)
    return str(error.value)


def test_nothing_stated_leaves_all_to_the_environment():
    assert network("") == Network() == Network(None, None, None, {}, {})


def test_all_of_it_is_read():
    stated = network(
        '[network]\nproxy = "http://proxy.corp:3128"\nca = "corp.pem"\nkeep_alive = 30\n'
        'headers = { X-Team = "search", Helicone-Auth = "env:HELICONE" }\n'
        '[providers.acme]\nheaders = { x-team = "models" }\n'
    )
    assert (stated.proxy, stated.ca, stated.keep_alive) == ("http://proxy.corp:3128", "corp.pem", 30.0)
    assert stated.headers_of("openai") == {"x-team": "search", "helicone-auth": "env:HELICONE"}
    assert stated.headers_of("acme") == {"x-team": "models", "helicone-auth": "env:HELICONE"}


@pytest.mark.parametrize("proxy", ["direct", "env:CORP_PROXY", "https://proxy.corp"])
def test_a_proxy_is_a_url_a_variable_or_none_at_all(proxy):
    assert network(f'[network]\nproxy = "{proxy}"').proxy == proxy


@pytest.mark.parametrize(
    "proxy", ["http://me:planted@proxy.corp", "socks5://planted", "planted", "http://", "http://[", "env:9"]
)
def test_any_other_proxy_is_refused_and_not_repeated(proxy):
    told = fault(f'[network]\nproxy = "{proxy}"')
    assert told.startswith('fleet.toml: network.proxy must be "http://host:port"')
    assert "planted" not in told


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ('"x y" = "v"', "'x y', which is no name of an HTTP header"),
        ('Host = "v"', "'Host', which follows from the request"),
        ('Authorization = "env:KEY"', "'Authorization', which carries the key"),
        ('X-Proxy-Token = "planted"', "a secret in 'X-Proxy-Token', which is named, never written"),
        ('x_apikey = "planted"', "a secret in 'x_apikey'"),
        ('x-team = "env:9planted"', "a secret in 'x-team'"),
        ('x-team = "planted\\nx: y"', "a line break, a control or a non-ASCII character in 'x-team'"),
        ('x-team = "plantéd"', "a non-ASCII character in 'x-team'"),
    ],
)
@pytest.mark.parametrize("table", ["network", "providers.acme"])
def test_a_header_that_may_not_be_stated_is_refused_and_its_value_not_repeated(table, header, why):
    told = fault(f"[{table}]\nheaders = {{ {header} }}")
    assert told.startswith(f"fleet.toml: {table}.headers ")
    assert why in told
    assert "planted" not in told


@pytest.mark.parametrize("value", ["0", "-1", "inf", '"30"'])
def test_seconds_are_a_positive_number(value):
    assert "network.keep_alive is " in fault(f"[network]\nkeep_alive = {value}")


def test_an_unknown_key_is_told_with_those_that_are_known():
    assert "network has an unknown key 'proxies'; " in fault('[network]\nproxies = "direct"')


def test_the_network_decides_nothing_and_is_not_in_the_fingerprint():
    fleets = [Fleet.from_toml(MODEL + text) for text in ("", '[network]\nproxy = "direct"')]
    assert fleets[0].fingerprint == fleets[1].fingerprint
