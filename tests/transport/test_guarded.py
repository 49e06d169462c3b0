"""Fetching a stranger's URL: against a server on loopback, which the tests allow and the default does not."""

import asyncio
import gzip
import socket
import ssl
import zlib
from urllib.parse import urlsplit

import pytest

from orchestra.transport import TransportFault, UrlRefused, fetch, guarded
from orchestra.types import Trigger
from tests.transport.raw_server import raw_server, silence


async def here(host, port):
    return ["127.0.0.1"]


def anywhere(address):
    return True


def got(url, **options):
    return fetch(url, **{"resolver": here, "allowed": anywhere, **options})


def named(server, host="shop.example", path="/p?q=1"):
    return f"http://{host}:{urlsplit(server.base).port}{path}"


async def test_a_page_comes_back_from_the_address_that_was_resolved():
    async with raw_server(lambda c: c.reply(b"gr\xc3\xbcn", headers="Content-Type: text/plain\r\n")) as server:
        page = await got(named(server) + "#part")
        head = server.requests[0].head
    assert (page.status, page.body.decode(), page.cut) == (200, "grün", False)
    assert page.headers["content-type"] == "text/plain"
    assert head.startswith("GET /p?q=1 HTTP/1.1\r\n")
    assert f"host: {urlsplit(page.url).netloc}\r\n" in head.lower()
    assert "cookie" not in head.lower()


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://localhost:8080/", "https://[::1]/"])
async def test_by_default_this_machine_is_closed(url):
    with pytest.raises(UrlRefused, match="which is no public internet address"):
        await fetch(url)


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "0"])
async def test_an_odd_spelling_of_an_address_is_what_the_system_takes_it_for(host):
    async def as_the_system(name, port):
        return [socket.inet_ntoa(socket.inet_aton(name))]

    with pytest.raises(UrlRefused, match=rf"'{host}' is at [\d.]+, which is no public internet address"):
        await fetch(f"http://{host}/", resolver=as_the_system)


async def test_one_private_address_among_several_closes_the_host():
    async def two(host, port):
        return ["93.184.216.34", "10.0.0.1"]

    with pytest.raises(UrlRefused, match=r"'shop.example' is at 10.0.0.1, which is no public internet address"):
        await fetch("https://shop.example/", resolver=two)


async def test_a_host_is_resolved_once_so_that_it_cannot_change_its_mind():
    answers = iter(["127.0.0.1", "10.0.0.1"])

    async def turning(host, port):
        return [next(answers)]

    async with raw_server(lambda c: c.reply(b"x")) as server:
        assert (await got(named(server), resolver=turning)).status == 200
    assert next(answers) == "10.0.0.1"


async def test_every_redirect_is_checked_anew():
    async def resolver(host, port):
        return {"shop.example": ["127.0.0.1"], "inside.example": ["10.0.0.1"]}[host]

    async with raw_server(
        lambda c: c.reply(b"", status="302 Found", headers="Location: http://inside.example/\r\n")
    ) as server:
        with pytest.raises(UrlRefused, match=r"'inside.example' is at 10.0.0.1"):
            await fetch(named(server), resolver=resolver, allowed=lambda address: address == "127.0.0.1")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "gopher://x/", "http://u:secret@shop.example/"])
async def test_a_redirect_may_not_leave_the_web(target):
    async with raw_server(lambda c: c.reply(b"", status="301 Moved", headers=f"Location: {target}\r\n")) as server:
        with pytest.raises(UrlRefused) as error:
            await got(named(server))
    assert "secret" not in str(error.value)


async def test_five_redirects_are_followed_and_no_more():
    async def script(connection):
        step = int(connection.head.split()[1][1:])
        if step == 0:
            await connection.reply(b"end")
        else:
            await connection.reply(b"", status="307 Temporary", headers=f"Location: /{step - 1}\r\n")

    async with raw_server(script) as server:
        page = await got(named(server, path="/5"))
        assert (page.body, urlsplit(page.url).path) == (b"end", "/0")
        with pytest.raises(UrlRefused, match="redirects more than 5 times"):
            await got(named(server, path="/6"))
        assert len(server.requests) == 12


async def test_a_redirect_without_a_target_is_a_page():
    async with raw_server(lambda c: c.reply(b"where?", status="302 Found")) as server:
        page = await got(named(server))
    assert (page.status, page.body) == (302, b"where?")


@pytest.mark.parametrize(
    "url", ["ftp://shop.example/", "shop.example", "", "//x/y", "http://", "javascript:1", "mailto:a@b.c", "data:,x"]
)
async def test_what_is_no_web_address_is_refused(url):
    with pytest.raises(UrlRefused, match="is no web address; give one that begins with https:// or http://"):
        await got(url)


@pytest.mark.parametrize(
    "url", ["http://a\0b/", "http://x:y/", "http://\uff11\uff12\uff17.0.0.1/", "http://x:65536/", "http://x:0/"]
)
async def test_what_is_no_url_is_refused(url):
    with pytest.raises(UrlRefused, match="is no URL: "):
        await got(url)


@pytest.mark.parametrize("url", ["http://xn--/", "http://xn--a/", "http://xn--zz--/"])
async def test_a_host_that_decodes_to_no_name_is_refused_and_so_is_what_redirects_there(url):
    with pytest.raises(UrlRefused, match="is no URL: "):
        await got(url)
    async with raw_server(lambda c: c.reply(b"", status="302 Found", headers=f"Location: {url}\r\n")) as server:
        with pytest.raises(TransportFault, match="cannot be read: "):
            await got(named(server))


async def test_a_password_in_a_url_is_refused_and_not_quoted():
    with pytest.raises(UrlRefused) as error:
        await got("http://me:secret@shop.example/")
    assert str(error.value) == "the URL at 'shop.example' carries a user name or password; give it without"


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("deflate", zlib.compress)]
)
async def test_a_packed_body_is_unpacked_up_to_the_limit(encoding, pack):
    headers = f"Content-Encoding: {encoding}\r\n"
    async with raw_server(lambda c: c.reply(pack(b"x" * 1_000), headers=headers)) as server:
        whole = await got(named(server), limit=1_000)
        part = await got(named(server), limit=999)
    assert (len(whole.body), whole.cut) == (1_000, False)
    assert (len(part.body), part.cut) == (999, True)


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
@pytest.mark.parametrize("left", [1, 12])
async def test_a_packed_body_that_ends_in_the_middle_is_no_page(encoding, pack, left):
    body = pack(b"all of it " * 500)[:-left]
    async with raw_server(lambda c: c.reply(body, headers=f"Content-Encoding: {encoding}\r\n")) as server:
        with pytest.raises(TransportFault, match="the body ends in the middle") as error:
            await got(named(server))
    assert error.value.trigger is Trigger.stream_cut


async def test_an_empty_body_may_be_called_packed():
    async with raw_server(lambda c: c.reply(b"", headers="Content-Encoding: gzip\r\n")) as server:
        assert (await got(named(server))).body == b""


async def test_a_bomb_is_unpacked_no_further_than_the_limit(monkeypatch):
    unpacked = []
    real = zlib.decompressobj

    class Counting:
        def __init__(self, bits):
            self._real = real(bits)

        def decompress(self, data, most):
            unpacked.append(len(found := self._real.decompress(data, most)))
            return found

    monkeypatch.setattr(guarded.zlib, "decompressobj", Counting)
    bomb = gzip.compress(bytes(50_000_000))
    async with raw_server(lambda c: c.reply(bomb, headers="Content-Encoding: gzip\r\n")) as server:
        page = await got(named(server), limit=10_000)
    assert (len(page.body), page.cut) == (10_000, True)
    assert sum(unpacked) == 10_001


async def test_a_body_without_end_is_read_up_to_the_limit():
    async def script(connection):
        await connection.say(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await connection.say(b"x" * 65_536)

    async with raw_server(script) as server:
        page = await got(named(server), limit=100_000)
        await server.gone.wait()
    assert (len(page.body), page.cut) == (100_000, True)


@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("br", "packed as 'br', which was not asked for"),
        ("gzip, gzip", "not asked for"),
        ("gzip", "not packed as it says"),
    ],
)
async def test_a_body_that_cannot_be_unpacked_is_told(encoding, told):
    async with raw_server(lambda c: c.reply(b"no gzip", headers=f"Content-Encoding: {encoding}\r\n")) as server:
        with pytest.raises(TransportFault, match=told):
            await got(named(server))


@pytest.mark.parametrize("drip", [False, True])
async def test_the_time_holds_for_all_of_it(drip):
    async def dripping(connection):
        await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        while True:
            await connection.say(b"x")
            await asyncio.sleep(0.001)

    async with raw_server(dripping if drip else silence) as server:
        with pytest.raises(TransportFault, match=r"did not answer within 0.1 seconds") as error:
            await got(named(server), seconds=0.1)
        await server.gone.wait()
    assert error.value.trigger is Trigger.timeout


async def test_a_host_nobody_knows_is_told():
    async def unknown(host, port):
        raise OSError("Name or service not known")

    async def nowhere(host, port):
        return []

    with pytest.raises(TransportFault, match=r"there is no host 'shop.example': Name or service not known"):
        await got("http://shop.example/", resolver=unknown)
    with pytest.raises(TransportFault, match="cannot be connected to: it has no address"):
        await got("http://shop.example/", resolver=nowhere)


async def test_the_next_address_serves_where_the_first_refuses(unused_tcp_port):
    async def two(host, port):
        return ["127.0.0.2", "127.0.0.1"]  # nothing listens at the first

    async with raw_server(lambda c: c.reply(b"x")) as server:
        assert (await got(named(server), resolver=two)).body == b"x"
    with pytest.raises(TransportFault, match=r"'shop.example' cannot be connected to: "):
        await got(f"http://shop.example:{unused_tcp_port}/", resolver=two)


async def test_a_connection_that_breaks_is_told():
    async def script(connection):
        connection.reset()

    async with raw_server(script) as server:
        with pytest.raises(TransportFault, match="cannot be read: ") as error:
            await got(named(server))
    assert error.value.trigger is Trigger.connection


async def test_no_proxy_stands_in_between(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with raw_server(lambda c: c.reply(b"x")) as server:
        assert (await got(named(server))).body == b"x"


async def test_the_name_goes_into_the_handshake(monkeypatch):
    asked = []
    real = ssl.SSLContext.wrap_bio

    def noted(self, *args, server_hostname=None, **options):
        asked.append(server_hostname)
        return real(self, *args, server_hostname=server_hostname, **options)

    monkeypatch.setattr(ssl.SSLContext, "wrap_bio", noted)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        with pytest.raises(TransportFault, match="cannot be connected to"):
            await got(f"https://shop.example:{server.sockets[0].getsockname()[1]}/")
    assert asked == [b"shop.example"]


async def test_the_system_resolves_names():
    assert "127.0.0.1" in await guarded.resolve("localhost", 80)
