"""Both transports hold the same contract, against a raw server over real sockets."""

import asyncio
import gzip

import pytest

from orchestra.transport import WireRequest
from orchestra.types import Trigger
from tests.transport.asking import fault, post, read
from tests.transport.raw_server import Connection, raw_server, silence


async def test_a_request_arrives_as_it_was_written_and_the_reply_comes_back(transport):
    async with raw_server(lambda c: c.reply("grün 字".encode(), headers="X-Request-Id: Ä7\r\n")) as server:
        status, headers, body = await read(transport, post(server.base, "ключ 🔑".encode(), headers=[("X-Api", "k")]))
        seen = server.requests[0]
    assert (status, body.decode()) == (200, "grün 字")
    assert "x-request-id" in headers
    assert seen.head.startswith("POST /v1/chat HTTP/1.1\r\n")
    assert "x-api: k" in seen.head.lower()
    assert seen.body.decode() == "ключ 🔑"


async def test_a_header_that_comes_several_times_breaks_nothing(transport):
    cookies = "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nset-cookie: c=3\r\nX-Request-Id: 7\r\n"
    async with raw_server(lambda c: c.reply(b"ok", headers=cookies)) as server:
        status, headers, body = await read(transport, post(server.base))
    assert (status, headers["x-request-id"], body) == (200, "7", b"ok")
    assert "c=3" in headers["set-cookie"]


@pytest.mark.parametrize("headers", [f"X-Policy: {'a' * 60_000}\r\n", "X-A: b\r\n" * 900], ids=["long", "many"])
async def test_a_long_head_costs_no_reply(transport, headers):
    async with raw_server(lambda c: c.reply(b"ok", headers=headers)) as server:
        assert (await read(transport, post(server.base)))[2] == b"ok"


async def test_chunks_arrive_before_the_reply_is_complete(transport):
    go_on = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await go_on.wait()
        await connection.say(b"3\r\ntwo\r\n0\r\n\r\n")

    async with raw_server(script) as server:
        response = await transport.send(post(server.base))
        chunks = response.chunks()
        first = await anext(chunks)
        go_on.set()
        rest = [chunk async for chunk in chunks]
        await response.aclose()
    assert first == b"one"
    assert b"".join(rest) == b"two"


async def test_a_refused_connection_was_not_sent(transport, unused_tcp_port):
    error = await fault(transport, post(f"http://127.0.0.1:{unused_tcp_port}"))
    assert (error.trigger, error.sent) == (Trigger.connection, "no")
    assert "connect" in str(error)


async def test_a_reset_before_the_head_may_have_been_sent(transport):
    async def script(connection: Connection) -> None:
        connection.reset()

    async with raw_server(script) as server:
        error = await fault(transport, post(server.base))
    assert (error.trigger, error.sent) == (Trigger.connection, "unknown")


async def test_an_answer_that_is_not_http_is_a_connection_fault(transport):
    async with raw_server(lambda c: c.say(b"\x00\xff garbage\r\n\r\n")) as server:
        error = await fault(transport, post(server.base))
    assert (error.trigger, error.sent) == (Trigger.connection, "unknown")


async def test_a_reset_after_the_head_is_a_cut_stream(transport):
    async def script(connection: Connection) -> None:
        await connection.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        connection.reset()

    async with raw_server(script) as server:
        error = await fault(transport, post(server.base))
    assert (error.trigger, error.sent) == (Trigger.stream_cut, "yes")


async def test_a_body_short_of_its_promised_length_is_a_cut_stream(transport):
    async def script(connection: Connection) -> None:
        await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\nonly this")
        connection.writer.close()

    async with raw_server(script) as server:
        error = await fault(transport, post(server.base))
    assert (error.trigger, error.sent) == (Trigger.stream_cut, "yes")


async def test_a_body_that_does_not_unpack_is_a_cut_stream(transport):
    async with raw_server(lambda c: c.reply(b"no gzip", headers="Content-Encoding: gzip\r\n")) as server:
        error = await fault(transport, post(server.base))
    assert (error.trigger, error.sent) == (Trigger.stream_cut, "yes")


@pytest.mark.parametrize("encoding", ["br", "x-strange"])
async def test_a_body_in_an_encoding_that_was_not_asked_for_is_a_bad_reply_for_good(transport, encoding):
    async with raw_server(lambda c: c.reply(b"{}", headers=f"Content-Encoding: {encoding}\r\n")) as server:
        error = await fault(transport, post(server.base))
    assert encoding not in server.requests[0].head
    assert (error.trigger, error.sent, error.lasting) == (Trigger.bad_reply, "yes", True)
    assert "an encoding that cannot be read" in str(error)
    assert encoding in str(error)


async def test_a_packed_body_is_unpacked(transport):
    async with raw_server(
        lambda c: c.reply(gzip.compress(b"unpacked"), headers="Content-Encoding: gzip\r\n")
    ) as server:
        _, _, body = await read(transport, post(server.base))
    assert body == b"unpacked"


async def test_cancelling_a_silent_request_is_noticed_by_the_server(transport):
    async with raw_server(silence) as server:
        task = asyncio.create_task(transport.send(post(server.base)))
        await server.received.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(5):
            await server.gone.wait()


async def test_closing_a_reply_that_is_still_arriving_is_noticed_by_the_server(transport):
    async def script(connection: Connection) -> None:
        await connection.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await silence(connection)

    async with raw_server(script) as server:
        response = await transport.send(post(server.base))
        assert await anext(response.chunks()) == b"one"
        await response.aclose()
        await response.aclose()
        async with asyncio.timeout(5):
            await server.gone.wait()


async def test_a_hundred_requests_are_in_flight_at_once(transport):
    waiting = 0
    everyone = asyncio.Event()

    async def script(connection: Connection) -> None:
        nonlocal waiting
        waiting += 1
        if waiting == 100:
            everyone.set()
        await everyone.wait()
        await connection.reply(connection.body)

    async with raw_server(script) as server, asyncio.timeout(20):
        replies = await asyncio.gather(*(read(transport, post(server.base, str(n).encode())) for n in range(100)))
    assert [body for _, _, body in replies] == [str(n).encode() for n in range(100)]


async def test_a_connection_is_used_again_after_its_reply_was_read(transport):
    async with raw_server(lambda c: c.reply(b"ok")) as server:
        for _ in range(3):
            await read(transport, post(server.base))
    assert server.connections == 1


async def test_a_request_on_a_kept_connection_that_breaks_is_not_sent_again_by_itself(transport):
    async def once(connection: Connection) -> None:
        if len(server.requests) > 1:
            connection.reset()
        else:
            await connection.reply(b"ok")

    async with raw_server(once) as server:
        await read(transport, post(server.base))
        error = await fault(transport, post(server.base))
    assert (error.trigger, error.sent) == (Trigger.connection, "unknown")
    assert (server.connections, len(server.requests)) == (1, 2)


async def test_redirects_are_not_followed_and_cookies_are_not_kept(transport):
    headers = "Location: /elsewhere\r\nSet-Cookie: who=me\r\n"
    async with raw_server(lambda c: c.reply(b"", status="307 Temporary Redirect", headers=headers)) as server:
        for _ in range(2):
            status, *_ = await read(transport, post(server.base.replace("127.0.0.1", "localhost")))
    assert status == 307
    assert [request.head.split()[1] for request in server.requests] == ["/v1/chat", "/v1/chat"]
    assert not any("cookie" in request.head.lower() for request in server.requests)


async def test_a_body_of_several_megabytes_arrives_whole(transport):
    large = b"x" * 3_000_000
    async with raw_server(lambda c: c.reply(c.body)) as server:
        _, _, body = await read(transport, post(server.base, large))
    assert body == large


@pytest.mark.parametrize("url", ["ftp://host/x", "not a url", "http://", "http://[::1", "http://127.0.0.1:99999/"])
async def test_an_unusable_url_is_a_fault_that_was_not_sent(transport, url):
    error = await fault(transport, WireRequest(url, (), b""))
    assert (error.trigger, error.sent) == (Trigger.connection, "no")


@pytest.mark.parametrize("rest", ["/\x00", "/"])
async def test_a_url_the_client_itself_refuses_is_a_fault_that_does_not_quote_its_password(
    transport, unused_tcp_port, rest
):
    url = f"http://user:planted@127.0.0.1:{unused_tcp_port}{rest}"
    error = await fault(transport, WireRequest(url, (("authorization", "Bearer key"),), b""))
    assert (error.trigger, error.sent) == (Trigger.connection, "no")
    assert "planted" not in str(error)


@pytest.mark.parametrize("key", ["sk-secret\nx", "sk-secret-ключ", "sk-secret\u2028ключ", "sk-secret\x00"])
async def test_a_key_that_http_cannot_carry_is_refused_without_being_quoted(transport, key):
    async with raw_server(lambda c: c.reply(b"")) as server:
        error = await fault(transport, post(server.base, headers=[("authorization", f"Bearer {key}")]))
    assert (error.trigger, error.sent) == (Trigger.connection, "no")
    assert "sk-secret" not in str(error)


@pytest.mark.parametrize("key", ["sk-secret ", "  "])
async def test_blanks_around_a_key_do_not_keep_the_request_back(transport, key):
    async with raw_server(lambda c: c.reply(b"ok")) as server:
        assert (await read(transport, post(server.base, headers=[("authorization", f"Bearer {key}")])))[2] == b"ok"


async def test_credentials_in_netrc_do_not_stand_in_for_the_key(transport, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with raw_server(lambda c: c.reply(b"")) as server:
        await read(transport, post(server.base, headers=[("authorization", "Bearer key")]))
    assert "authorization: bearer key" in server.requests[0].head.lower()


async def test_a_connection_that_does_not_come_about_in_time_is_a_timeout_that_was_not_sent(transport, monkeypatch):
    async def never(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)
    error = await fault(transport, post("http://provider.invalid", connect=0.01))
    assert (error.trigger, error.sent) == (Trigger.timeout, "no")
    assert "0.01 s" in str(error)


@pytest.mark.parametrize("head", [b"no header ", b"x\x01: "])
async def test_what_is_told_of_a_reply_that_is_no_http_has_an_end(transport, head):
    async def script(connection: Connection) -> None:
        await connection.say(b"HTTP/1.1 200 OK\r\n" + head + b"x" * 4_000 + b"\r\n\r\n")

    async with raw_server(script) as server:
        error = await fault(transport, post(server.base))
    assert error.trigger is Trigger.connection
    assert len(str(error)) < 700
