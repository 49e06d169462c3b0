"""Both transports reach the outside alike: through proxies, with a private authority's certificates, kept alive."""

import asyncio
import socket
import ssl
import traceback

import pytest
import trustme

from orchestra.errors import ConfigError
from orchestra.transport import HttpxTransport, trust
from orchestra.types import Trigger
from tests.transport.asking import fault, post, read
from tests.transport.raw_server import raw_server, silence, tunnel_to

PROVIDER = "https://provider.invalid"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def with_password(base):
    return base.replace("://", "://me:pl%40nted@")


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY", None])
async def test_a_plain_request_goes_to_the_proxy_with_its_credentials(made, monkeypatch, name):
    async with raw_server(lambda c: c.reply(b"by proxy")) as proxy:
        if name:
            monkeypatch.setenv(name, with_password(proxy.base))
        transport = made() if name else made(proxy=with_password(proxy.base))
        for _ in range(2):
            _, _, body = await read(transport, post("http://provider.invalid"))
    assert body == b"by proxy"
    assert proxy.connections == 1
    for request in proxy.requests:
        assert request.head.startswith("POST http://provider.invalid/v1/chat")
        assert "proxy-authorization: Basic bWU6cGxAbnRlZA==".lower() in request.head.lower()


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "ALL_PROXY", None])
async def test_a_secure_request_goes_through_a_tunnel_that_sees_the_proxys_credentials_only(
    made, monkeypatch, name, tls, ca
):
    async with raw_server(lambda c: c.reply(b"secure"), tls=tls) as server, raw_server(tunnel_to(server)) as proxy:
        if name:
            monkeypatch.setenv(name, with_password(proxy.base))
        transport = made(ca=ca) if name else made(ca=ca, proxy=with_password(proxy.base))
        for _ in range(3):
            _, _, body = await read(transport, post(PROVIDER, headers=[("authorization", "Bearer key")]))
        await transport.aclose()
    assert body == b"secure"
    (connect,) = proxy.requests
    assert connect.head.startswith("CONNECT provider.invalid:443 HTTP/1.1\r\n")
    assert "proxy-authorization: Basic bWU6cGxAbnRlZA==".lower() in connect.head.lower()
    assert "bearer" not in connect.head.lower()
    assert not any("proxy-" in request.head.lower() for request in server.requests)
    assert (server.connections, len(server.requests)) == (1, 3)


async def test_a_proxy_may_be_spoken_to_securely_itself(made, tls, ca):
    async with (
        raw_server(lambda c: c.reply(b"twice secure"), tls=tls) as server,
        raw_server(tunnel_to(server), tls=tls) as proxy,
    ):
        transport = made(ca=ca, proxy=proxy.base)
        assert (await read(transport, post(PROVIDER)))[2] == b"twice secure"
        await transport.aclose()


async def test_a_proxy_of_a_private_authority_is_believed_before_a_plain_server_too(made, tls, ca):
    async with raw_server(lambda c: c.reply(b"by proxy"), tls=tls) as proxy:
        transport = made(ca=ca, proxy=proxy.base)
        assert (await read(transport, post("http://provider.invalid")))[2] == b"by proxy"
        await transport.aclose()


async def test_a_tunnel_that_the_proxy_refuses_was_not_sent_and_no_password_is_told(made, ca):
    refusal = "407 Proxy Authentication Required"
    async with raw_server(lambda c: c.reply(b"", status=refusal)) as proxy:
        error = await fault(made(ca=ca, proxy=with_password(proxy.base)), post(PROVIDER))
    assert (error.trigger, error.sent) == (Trigger.connection, "no")
    assert "407" in str(error)
    told = "".join(traceback.format_exception(error))
    assert not any(secret in told for secret in ("pl@nted", "pl%40nted", "bWU6cGxAbnRlZA"))


async def test_a_server_behind_a_tunnel_that_says_407_has_the_request(made, ca, tls):
    async with (
        raw_server(lambda c: c.reply(b"who?", status="407 Proxy Authentication Required"), tls=tls) as server,
        raw_server(tunnel_to(server)) as proxy,
    ):
        transport = made(ca=ca, proxy=proxy.base)
        assert (await read(transport, post(PROVIDER)))[0] == 407
        await transport.aclose()


async def test_a_plain_request_that_the_proxy_refuses_was_not_sent_and_the_proxy_is_named_without_its_password(made):
    async with raw_server(lambda c: c.reply(b"", status="407 Proxy Authentication Required")) as proxy:
        error = await fault(made(proxy=with_password(proxy.base)), post("http://provider.invalid"))
    assert (error.trigger, error.sent) == (Trigger.connection, "no")
    assert f"the proxy {proxy.base} refuses (407)" in str(error)
    told = "".join(traceback.format_exception(error))
    assert not any(secret in told for secret in ("pl@nted", "pl%40nted", "bWU6cGxAbnRlZA"))


async def test_a_proxy_that_cannot_be_reached_was_not_sent_and_no_password_is_told(made, unused_tcp_port):
    error = await fault(made(proxy=f"http://me:planted@127.0.0.1:{unused_tcp_port}"), post(PROVIDER))
    assert (error.trigger, error.sent) == (Trigger.connection, "no")
    assert "planted" not in "".join(traceback.format_exception(error))


async def test_a_proxy_that_says_nothing_is_a_timeout_that_was_not_sent(made):
    async with raw_server(silence) as proxy, asyncio.timeout(5):
        error = await fault(made(proxy=proxy.base), post(PROVIDER, connect=0.05))
        await proxy.has_open(0)
    assert (error.trigger, error.sent) == (Trigger.timeout, "no")
    assert "0.05 s" in str(error)


async def test_a_handshake_that_is_not_answered_is_a_timeout_that_was_not_sent(made):
    async with raw_server(silence) as server, asyncio.timeout(5):
        error = await fault(made(), post(server.base.replace("http:", "https:"), connect=0.05))
        await server.has_open(0)
    assert (error.trigger, error.sent) == (Trigger.timeout, "no")


async def test_the_time_for_connecting_ends_where_the_request_goes_out(monkeypatch, tls, ca):
    bounds = []
    real = asyncio.timeout
    monkeypatch.setattr(asyncio, "timeout", lambda seconds: bounds.append(real(seconds)) or bounds[-1])
    async with raw_server(silence, tls=tls) as server, raw_server(tunnel_to(server)) as proxy:
        transport = HttpxTransport(ca=ca, proxy=proxy.base)
        task = asyncio.create_task(transport.send(post(PROVIDER)))
        await proxy.received.wait()
        assert bounds[0].when() is not None
        await server.received.wait()
        assert bounds[0].when() is None
        task.cancel()
        await asyncio.wait([task])
        await transport.aclose()


@pytest.mark.parametrize("name", ["provider.invalid", ".invalid", "other.invalid, provider.invalid:80", "*"])
@pytest.mark.parametrize("told", [False, True])
async def test_no_proxy_excepts_hosts_from_the_environments_proxy_and_from_a_told_one(made, monkeypatch, name, told):
    async def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror("no such host")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    async with raw_server(lambda c: c.reply(b"by proxy")) as proxy:
        monkeypatch.setenv("NO_PROXY", name)
        if not told:
            monkeypatch.setenv("HTTP_PROXY", proxy.base)
        error = await fault(made(proxy=proxy.base if told else None), post("http://provider.invalid:80"))
    assert error.sent == "no"
    assert not proxy.requests


async def test_direct_is_direct_whatever_the_environment_says(made, monkeypatch):
    async def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror("no such host")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    async with raw_server(lambda c: c.reply(b"by proxy")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.base)
        await fault(made(proxy="direct"), post("http://provider.invalid"))
    assert not proxy.requests


@pytest.mark.parametrize("told", [False, True])
async def test_loopback_is_reached_without_a_proxy(made, monkeypatch, unused_tcp_port, told):
    nobody = f"http://127.0.0.1:{unused_tcp_port}"
    monkeypatch.setenv("HTTP_PROXY", nobody)
    transport = made(proxy=nobody if told else None)
    async with raw_server(lambda c: c.reply(b"direct")) as server:
        assert (await read(transport, post(server.base)))[2] == b"direct"
        assert (await read(transport, post(server.base.replace("127.0.0.1", "localhost"))))[2] == b"direct"


@pytest.mark.parametrize("proxy", ["socks5://me:planted@proxy.invalid:1080", "http://me:planted@[", "http://"])
async def test_a_proxy_that_is_not_spoken_to_is_a_fault_that_was_not_sent(made, monkeypatch, proxy):
    monkeypatch.setenv("ALL_PROXY", proxy)
    error = await fault(made(), post(PROVIDER))
    assert (error.trigger, error.sent) == (Trigger.connection, "no")
    assert "expected http://" in str(error)
    assert "planted" not in str(error)


async def test_a_server_of_a_private_authority_is_reached_once_the_authority_is_named(made, monkeypatch, tls, ca):
    async with raw_server(lambda c: c.reply(b"private"), tls=tls) as server:
        error = await fault(made(), post(server.base))
        named = made(ca=ca)
        assert (await read(named, post(server.base)))[2] == b"private"
        monkeypatch.setenv("SSL_CERT_FILE", ca)
        from_environment = made()
        assert (await read(from_environment, post(server.base)))[2] == b"private"
        await named.aclose()
        await from_environment.aclose()
    assert (error.trigger, error.sent) == (Trigger.connection, "no")
    assert "certificate verify failed" in str(error).lower()


async def test_a_certificate_of_another_host_is_refused_before_anything_is_sent(made, authority, ca):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("elsewhere.invalid").configure_cert(context)
    async with raw_server(lambda c: c.reply(b""), tls=context) as server:
        error = await fault(made(ca=ca), post(server.base))
    assert (error.trigger, error.sent) == (Trigger.connection, "no")
    assert not server.requests


def test_a_private_authority_comes_on_top_of_the_usual_roots(authority, ca):
    before, after = trust.Trust().context, trust.Trust(ca).context
    assert after.cert_store_stats()["x509_ca"] == before.cert_store_stats()["x509_ca"] + 1


def test_what_the_environment_names_stands_instead_of_the_usual_roots(ca, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", ca)
    monkeypatch.setenv("SSL_CERT_DIR", "")
    assert trust.Trust().context.cert_store_stats()["x509_ca"] == 1


def test_a_system_without_roots_gets_certifis(monkeypatch, tmp_path):
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    nowhere = ssl.get_default_verify_paths()._replace(cafile=None)
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nowhere)
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda *_: None)
    assert trust.Trust().context.cert_store_stats()["x509_ca"] > 50
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "root.pem"))
    assert trust.Trust().context.cert_store_stats()["x509_ca"] == 0  # OpenSSL reads a folder when it needs it


async def test_one_set_of_roots_serves_all_connections(made, monkeypatch, tls, ca):
    monkeypatch.setenv("SSL_CERT_FILE", ca)
    read_in = []
    real = ssl.create_default_context
    monkeypatch.setattr(ssl, "create_default_context", lambda *args: read_in.append(1) or real(*args))
    async with raw_server(lambda c: c.reply(b""), tls=tls) as server:
        transport = made()
        await asyncio.gather(*(read(transport, post(server.base)) for _ in range(5)))
        await transport.aclose()
    assert len(read_in) == 1


@pytest.mark.parametrize("file", ["missing.pem", "empty.pem"])
def test_a_file_without_certificates_is_told_at_once(made, tmp_path, file):
    (tmp_path / "empty.pem").write_text("")
    with pytest.raises(ConfigError, match=rf"ca '.*{file}' is no readable file of PEM certificates: "):
        made(ca=str(tmp_path / file))


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_certificates_that_the_environment_names_and_that_are_not_there_are_told(made, monkeypatch, name):
    monkeypatch.setenv(name, "/nowhere")
    with pytest.raises(ConfigError, match=f"{name} names '/nowhere', which is not there"):
        made()


@pytest.mark.parametrize(("keep_alive", "connections"), [(60.0, 1), (1e-9, 3)])
async def test_an_unused_connection_is_kept_for_as_long_as_told(made, keep_alive, connections):
    transport = made(keep_alive=keep_alive)
    async with raw_server(lambda c: c.reply(b"ok")) as server:
        for _ in range(3):
            await read(transport, post(server.base))
        assert server.connections == connections
        await transport.aclose()
        await server.has_open(0)
