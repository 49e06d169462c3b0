"""FakeProvider: real HTTP on loopback, every fault on command, every request recorded."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar, cast
from urllib.parse import unquote

from orchestra.testing.behaviours import Behaviour, Error, Fixed, ScriptError
from orchestra.testing.chat_wire import ChatWire
from orchestra.testing.wire import Cut, Exchange, Head, Pause, WireEvent
from orchestra.testing.wires import WIRES, addressed, wire

if TYPE_CHECKING:
    import h11

T = TypeVar("T")
Answer: TypeAlias = Callable[[str, Mapping[str, str], bytes], Iterator[WireEvent]]


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came in; header names in lower case."""

    model: str
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]


class FakeProvider:
    """A server that speaks every dialect and behaves as told: `async with FakeProvider({"small": [Error(500), "hi"]})`.

    Each model goes through its behaviours, one a request; the last one repeats. An unknown model is a 404,
    as it is at a real provider. `with` works too, for tests without an event loop. Needs `h11`, which httpx brings.
    """

    def __init__(self, models: Mapping[str, Behaviour | list[Behaviour] | tuple[Behaviour, ...]]) -> None:
        self.requests: list[Received] = []
        self.open_connections = 0
        self._scripts = {name: _script(given) for name, given in models.items()}
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken: BaseException | None = None
        self._server: asyncio.Server | None = None
        self._thread: _LoopThread | None = None

    @property
    def base_url(self) -> str:
        """What a model's `base_url` must be to end up here, where its dialect is `openai-chat`."""
        return self.base_url_of("openai-chat")

    def base_url_of(self, dialect: str) -> str:
        """What a model's `base_url` must be in a dialect. Raises ValueError for an unknown one."""
        if self._server is None:
            raise RuntimeError("FakeProvider is not running; use it as `async with FakeProvider(…) as provider:`")
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}{wire(dialect).prefix}"

    def count(self, model: str) -> int:
        """How many requests came for a model."""
        return sum(request.model == model for request in self.requests)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        assert self._server is not None  # it was entered
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        if self._broken and kind is None:
            raise self._broken

    def __enter__(self) -> Self:
        self._thread = _LoopThread()
        return self._thread.run(self.__aenter__())

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        assert self._thread is not None  # it was entered
        try:
            self._thread.run(self.__aexit__(kind, error, trace))
        finally:
            self._thread.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        import h11

        task = asyncio.current_task()
        assert task is not None  # start_server makes one for each connection
        self._tasks.add(task)
        self.open_connections += 1
        try:
            await _Connection(reader, writer, self._answer).run()
        except (ConnectionError, h11.RemoteProtocolError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self.open_connections -= 1
            self._tasks.discard(task)
            writer.close()

    def _answer(self, path: str, headers: Mapping[str, str], data: bytes) -> Iterator[WireEvent]:
        try:
            body: dict[str, Any] = json.loads(data)
        except ValueError:
            return _refused(400, f"the body of {path} is no JSON")
        path = unquote(path.partition("?")[0])
        if (found := addressed(path, body)) is None:
            served = ", ".join(f"{name} below {one.prefix or '/'}" for name, one in WIRES.items())
            self.requests.append(Received(str(body.get("model")), path, headers, body))
            return _refused(404, f"serves nothing at {path}; it serves {served}")
        spoken, below, model = found
        exchange = Exchange(spoken, below, body)
        self.requests.append(Received(model, path, headers, body))
        try:
            # The whole script is read before the first byte goes out, so that its own mistakes come up here.
            return iter(list(exchange.play(self._behaviour(model, exchange))))
        except (Exception, ScriptError) as error:  # noqa: BLE001  # raised again when the test leaves the provider
            self._broken = self._broken or error
            return _refused(500, f"the script failed: {error}", exchange)

    def _behaviour(self, model: str, exchange: Exchange) -> Fixed:
        script = self._scripts.get(model)
        if script is None:
            text = f"FakeProvider: has no model {model!r}; known: {', '.join(self._scripts)}"
            return Error(404, cast("dict[str, Any]", exchange.wire.error(404, "not_found_error", text)))
        chosen = script[min(self.count(model), len(script)) - 1]
        return chosen(dict(exchange.body)) if callable(chosen) else chosen


def _refused(status: int, text: str, exchange: Exchange | None = None) -> Iterator[WireEvent]:
    spoken = exchange or Exchange(ChatWire(), "", {})
    body = spoken.wire.error(status, "invalid_request_error", f"FakeProvider: {text}")
    return spoken.play(Error(status, cast("dict[str, Any]", body)))


def _script(given: Behaviour | list[Behaviour] | tuple[Behaviour, ...]) -> tuple[Behaviour, ...]:
    script = tuple(cast("list[Behaviour]", given)) if isinstance(given, list | tuple) else (given,)
    if not script:
        raise ValueError("FakeProvider: a model needs at least one behaviour")
    return script


class _Connection:
    """One client: requests one after another, each answered as its script says."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer) -> None:
        import h11

        self._reader = reader
        self._writer = writer
        self._answer = answer
        self._http = h11.Connection(h11.SERVER)

    async def run(self) -> None:
        """Serves until one side closes."""
        import h11

        while request := await self._request():
            if not await self._respond(self._answer(*request)) or self._http.our_state is not h11.DONE:
                return
            self._http.start_next_cycle()

    async def _request(self) -> tuple[str, Mapping[str, str], bytes] | None:
        import h11

        head, data = None, b""
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(65536))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                data += event.data
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
                return head.target.decode(), headers, data
            else:
                return None

    async def _respond(self, events: Iterator[WireEvent]) -> bool:
        """True where the response went out whole."""
        import h11

        begun = False
        for event in events:
            if isinstance(event, Cut):
                self._cut(reset=not begun)
                return False
            if isinstance(event, Pause):
                if await self._hung_up(event.seconds):
                    return False
            elif isinstance(event, Head):
                begun = True
                self._send(h11.Response(status_code=event.status, headers=list(event.headers)))
            else:
                self._send(h11.Data(data=event))
                await self._writer.drain()
        self._send(h11.EndOfMessage())
        return True

    def _send(self, event: h11.Response | h11.Data | h11.EndOfMessage) -> None:
        self._writer.write(self._http.send(event) or b"")

    def _cut(self, *, reset: bool) -> None:
        if reset:  # an abortive close makes the kernel send RST rather than FIN
            linger = struct.pack("ii", 1, 0)
            self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._writer.close()

    async def _hung_up(self, seconds: float | None) -> bool:
        """Waits; True as soon as the client has gone."""
        try:
            await asyncio.wait_for(self._reader.read(), seconds)
        except TimeoutError:
            return False
        return True


class _LoopThread:
    """An event loop in a thread of its own, for tests that have none."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fake-provider", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs `work` there and waits for it here."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def stop(self) -> None:
        """Ends the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
