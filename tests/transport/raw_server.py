"""A raw HTTP server for transport tests: each connection runs one script, and the server sees what clients do."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    head: str = ""
    body: bytes = b""

    async def read_request(self) -> bool:
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.head = head.decode("latin-1")
        length = next((int(line[15:]) for line in self.head.lower().splitlines() if line[:15] == "content-length:"), 0)
        self.body = await self.reader.readexactly(length)

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self, body: bytes, *, status: str = "200 OK", headers: str = "") -> None:
        await self.say(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body)

    def reset(self) -> None:
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Connection], Awaitable[None]]


@dataclass
class RawServer:
    script: Script
    base: str = ""
    connections: int = 0
    open: int = 0
    requests: list[Connection] = field(default_factory=list)
    received: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    serving: dict[asyncio.Task[None], asyncio.StreamWriter] = field(default_factory=dict)

    @property
    def port(self) -> int:
        return int(self.base.rpartition(":")[2])

    async def has_open(self, connections: int) -> None:
        """Returns when so many connections are open."""
        async with asyncio.timeout(5), self.changed:
            await self.changed.wait_for(lambda: self.open == connections)

    async def _count(self, by: int) -> None:
        async with self.changed:
            self.open += by
            self.changed.notify_all()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.serving[asyncio.current_task()] = writer
        await self._count(1)
        try:
            while True:
                connection = Connection(reader, writer)
                await connection.read_request()
                self.requests.append(connection)
                self.received.set()
                await self.script(connection)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass  # also when hung up on: asyncio before 3.12 complains of a handler that was cancelled
        finally:
            self.gone.set()
            writer.close()
            del self.serving[asyncio.current_task()]
            await self._count(-1)

    async def end(self) -> None:
        """Hangs up on whoever is still there."""
        serving = dict(self.serving)
        for task, writer in serving.items():
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await asyncio.sleep(0)  # the event loop closes sockets in its next turn


@asynccontextmanager
async def raw_server(script: Script, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawServer]:
    made = RawServer(script)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=tls)
    made.base = f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        await made.end()


async def silence(connection: Connection) -> None:
    """Never answers; returns when the client has gone."""
    await connection.reader.read()
    raise ConnectionResetError


def tunnel_to(server: RawServer) -> Script:
    """A proxy's: answers CONNECT, then passes on what each side says, whatever host was asked for."""

    async def script(connection: Connection) -> None:
        await connection.say(b"HTTP/1.1 200 Connection established\r\n\r\n")
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(connection.reader, writer))
                group.create_task(_pump(reader, connection.writer))
        except* ConnectionError:
            pass
        finally:
            writer.transport.abort()
            await asyncio.sleep(0)
        raise ConnectionResetError

    return script


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Raises ConnectionError at the end."""
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    raise ConnectionResetError
