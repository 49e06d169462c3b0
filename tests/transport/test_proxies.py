"""Which servers are reached through a proxy."""

import pytest

from orchestra.transport import TransportFault
from orchestra.transport.proxies import Proxies, Proxy

PROXY = "http://proxy.invalid:3128"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(
    ("excepted", "host"),
    [
        ("10.0.0.0/8", "10.1.2.3"),
        ("x, 10.1.2.3", "10.1.2.3"),
        ("10.1.2.3:8080", "10.1.2.3:8080"),
        ("fd00::/8", "[fd00::1]"),
        ("[fd00::1]", "[fd00::1]:8080"),
        ("corp.invalid", "models.corp.invalid"),
        ("*", "models.invalid"),
        ("*", "[fd00::1]"),
    ],
)
def test_no_proxy_excepts_names_ports_addresses_and_networks(monkeypatch, excepted, host):
    monkeypatch.setenv("NO_PROXY", excepted)
    assert Proxies(PROXY).before(f"http://{host}/v1") is None


@pytest.mark.parametrize(
    ("excepted", "host"),
    [
        ("10.0.0.0/8", "11.1.2.3"),
        ("10.1.2.3:8080", "10.1.2.3:9090"),
        ("fd00::/8", "[fe00::1]"),
        ("corp.invalid", "notcorp.invalid"),
        ("", "models.invalid"),
    ],
)
def test_others_stay_behind_the_proxy(monkeypatch, excepted, host):
    monkeypatch.setenv("NO_PROXY", excepted)
    assert Proxies(PROXY).before(f"http://{host}/v1") == Proxy(PROXY)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "[::1]"])
def test_loopback_has_no_proxy(host):
    assert Proxies(PROXY).before(f"http://{host}:8080/v1") is None


def test_each_scheme_has_its_own_proxy_and_all_stands_in_for_the_others(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "https://secure.invalid")
    monkeypatch.setenv("ALL_PROXY", PROXY)
    assert Proxies().before("https://models.invalid/v1") == Proxy("https://secure.invalid")
    assert Proxies().before("http://models.invalid/v1") == Proxy(PROXY)


def test_without_a_proxy_all_are_reached_directly():
    assert Proxies().before("https://models.invalid/v1") is None


def test_a_server_is_looked_up_once(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", PROXY)
    proxies = Proxies()
    before = proxies.before("http://models.invalid/v1")
    monkeypatch.setenv("HTTP_PROXY", "http://another.invalid")
    assert proxies.before("http://models.invalid/v2") is before


def test_a_proxy_without_a_scheme_is_an_http_one():
    assert Proxies("proxy.invalid:3128").before("https://models.invalid") == Proxy(PROXY)


def test_credentials_stand_in_a_header_and_neither_in_the_url_nor_in_what_is_shown():
    proxy = Proxies("http://m%C3%AB:pl%40nted@proxy.invalid:3128").before("https://models.invalid")
    assert proxy.url == PROXY
    assert proxy.headers == (("proxy-authorization", "Basic bcOrOnBsQG50ZWQ="),)
    assert "Basic" not in repr(proxy)


@pytest.mark.parametrize(
    "proxy", ["socks5://me:planted@proxy.invalid:1080", "http://me:planted@[", "http://", "x:port"]
)
def test_a_proxy_that_is_not_spoken_to_is_refused_without_being_quoted(proxy):
    with pytest.raises(TransportFault, match="the proxy cannot be used; expected http://") as error:
        Proxies(proxy).before("https://models.invalid")
    assert error.value.sent == "no"
    assert "planted" not in str(error.value)
