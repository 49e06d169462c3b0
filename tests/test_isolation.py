from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from tests.conftest import LeftTheMachine


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("2001:db8::1", 80), ("0.0.0.0", 80)])
def test_no_test_can_connect_beyond_loopback(address: tuple[str, int]) -> None:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family) as sock:
        with pytest.raises(LeftTheMachine, match="only loopback"):
            sock.connect(address)
        with pytest.raises(LeftTheMachine, match="only loopback"):
            sock.connect_ex(address)


@pytest.mark.parametrize("host", ["example.com", b"example.com"])
def test_no_test_can_look_up_a_name(host: str | bytes) -> None:
    with pytest.raises(LeftTheMachine):
        socket.getaddrinfo(host, 443)


async def test_the_event_loop_is_held_as_well() -> None:
    with pytest.raises(LeftTheMachine):
        await asyncio.open_connection("192.0.2.1", 80)


async def test_loopback_and_unix_sockets_stay_open(tmp_path: Path) -> None:
    async def hello(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    async with await asyncio.start_server(hello, "localhost", 0) as server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b"hello"
        writer.close()
        await writer.wait_closed()
    with socket.socket(socket.AF_UNIX) as sock, pytest.raises(FileNotFoundError):
        sock.connect(str(tmp_path / "none"))


def test_every_test_has_a_ledger_and_a_weight_store_of_its_own(tmp_path: Path) -> None:
    assert Path(os.environ["ORCHESTRA_LEDGER"]).parent == tmp_path
    assert Path(os.environ["ORCHESTRA_WEIGHTS"]).parent == tmp_path
