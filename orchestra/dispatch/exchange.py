"""One exchange with one model: send, read against the deadlines, end with a reply or a fault."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeAlias

from orchestra.dialects import Codec, Delta, Encoded, RateLimit, StreamReader
from orchestra.dispatch.call import Endpoint
from orchestra.dispatch.deadlines import Deadlines
from orchestra.ledger.redact import Redactor
from orchestra.transport import Transport, TransportFault, WireRequest, WireResponse
from orchestra.types import CallFault, ModelReply, Sent, TextDelta, Trigger

Stream: TypeAlias = tuple[StreamReader, AsyncIterator[bytes]]
"""A streamed reply: what reads it, and its bytes."""

MAX_BODY = 32 * 2**20
"""Bytes of a reply that is read whole; more is no answer of a language model."""


class Exchange:
    """Sends one request and reads its reply. Never raises but for cancellation: what goes wrong is a CallFault.

    `limits` is called with what the provider says is left of the key's rate limits, as soon as it says so. `now` is in
    Unix seconds, for moments named in a response that does not say what time it is. `result` is the reply or the fault,
    None until there is one; `sent` and `status` as far as known, `arrived` whether any byte of a reply came, `endpoint`
    where it went.
    """

    def __init__(
        self,
        transport: Transport,
        codec: Codec,
        encoded: Encoded,
        endpoint: Endpoint,
        deadlines: Deadlines,
        limits: Callable[[Sequence[RateLimit]], None],
        now: Callable[[], float],
    ) -> None:
        self._transport, self._codec, self._encoded, self.endpoint = transport, codec, encoded, endpoint
        self._deadlines, self._limits, self._now = deadlines, limits, now
        self._response: WireResponse | None = None
        self._stream: Stream | None = None
        self._body: bytes | bytearray = b""  # of a reply that is no stream
        self._deltas: list[Delta] = []
        self.result: ModelReply | CallFault | None = None
        self.sent: Sent = "unknown"
        self.status: int | None = None
        self.arrived = False

    @property
    def text(self) -> str:
        """What the reply has said so far."""
        return "".join([delta.text for delta in self._deltas if isinstance(delta, TextDelta)])

    @property
    def first_token(self) -> float | None:
        """Seconds after which the reply began; None where it has not."""
        return self._deadlines.first_token

    @property
    def paused(self) -> float:
        """Seconds for which whoever took its deltas did not ask for more."""
        return self._deadlines.paused

    def left(self) -> ModelReply | CallFault:
        """What a reply that nobody waits for any more has come to."""
        try:
            return self._broken_off()
        except Exception as error:  # noqa: BLE001  # as in `_guarded`
            return self._failed(error)

    async def rest(self) -> None:
        """Read on to the `result`, for whoever wants nothing before it. `aclose` is to follow."""
        await self._guarded(self._all())

    async def more(self) -> Sequence[Delta]:
        """The deltas that come next; called until there is a `result`. `aclose` is to follow."""
        if self._stream is not None:
            self._deadlines.wait_anew()  # whoever took the deltas may have taken long
        return await self._guarded(self._next())

    async def _guarded(self, work: Awaitable[Sequence[Delta]]) -> Sequence[Delta]:
        try:
            try:
                return await self._deadlines.within(work)
            except TransportFault as fault:
                self._end(self._cut(fault))
        except Exception as error:  # noqa: BLE001  # a stranger's transport or a codec's bug must not end the run
            self._fail(error)
        return ()

    async def _all(self) -> Sequence[Delta]:
        if stream := await self._begin():
            while self.result is None:
                await self._read(*stream)
        return ()

    async def _next(self) -> Sequence[Delta]:
        stream = self._stream or await self._begin()
        return await self._read(*stream) if stream else ()

    async def aclose(self) -> None:
        """Give the connection back; nothing is waited for any more."""
        self._deadlines.close()
        try:
            if self._response is not None:
                await self._response.aclose()
        except Exception as error:  # noqa: BLE001  # as above
            self._fail(error)

    async def _begin(self) -> Stream | None:
        """Send; None where the reply is no stream, and read whole."""
        request = wire_request(self._codec, self._encoded, self.endpoint, connect=self._deadlines.timeouts.connect)
        response = self._response = await self._transport.send(request)
        self.sent, self.status = "yes", response.status
        headers = response.headers
        if limits := self._codec.limits(headers):
            self._limits(limits if "date" in headers else self._codec.limits(self._dated(headers)))
        if not _is_good(self.status):
            self._deadlines.end_soon()
            self._end(self._error(response, await self._whole(response)))
        elif self._encoded.stream and not _is_json(response):
            self._stream = self._codec.reader(self._encoded), response.chunks()
        else:  # also where a server answers a request for a stream with the whole reply at once
            self._end(self._decoded(await self._whole(response)))
        return self._stream

    def _decoded(self, body: bytes) -> ModelReply | CallFault:
        """The reply in a body that is called JSON; some gateways call their event streams so."""
        if not (self._encoded.stream and _EVENTS.match(body)):
            return self._codec.decode(self._encoded, body)
        reader = self._codec.reader(self._encoded)
        reader.feed(body)
        return reader.close()

    async def _read(self, reader: StreamReader, chunks: AsyncIterator[bytes]) -> Sequence[Delta]:
        """The next deltas; none that come with a fault where none went before: another model may answer yet."""
        if reader.over:
            self._deadlines.end_at_once()
        async for chunk in chunks:
            self.arrived = True
            self._deadlines.hear(chunk)
            deltas = reader.feed(chunk)
            if fault := reader.fault:
                deltas = deltas if self._deltas else ()
                self._deltas += deltas
                self._end(fault)
                return deltas
            if deltas:
                self._deltas += deltas
                return deltas
            if reader.over:
                self._deadlines.end_at_once()
        self._end(reader.close())
        return ()

    async def _whole(self, response: WireResponse) -> bytes:
        body = self._body = bytearray()
        async for chunk in response.chunks():
            self.arrived = True
            self._deadlines.hear(chunk)
            body += chunk
            if len(body) > MAX_BODY:
                body.clear()
                raise TransportFault(Trigger.bad_reply, f"the reply is longer than {MAX_BODY:,} bytes", sent="yes")
        return bytes(body)

    def _error(self, response: WireResponse, body: bytes) -> CallFault:
        self.arrived = False
        fault = self._codec.error(response.status, self._dated(response.headers), body)
        return replace(fault, status=response.status)

    def _dated(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """With the time by which moments in them are waits: the server's, or else ours. A codec has no clock."""
        return {"date": datetime.fromtimestamp(self._now(), UTC).isoformat(), **headers}

    def _cut(self, fault: TransportFault) -> ModelReply | CallFault:
        """What an exchange that was cut short has come to.

        Of an error the status alone is enough to act on. A reply that had reached its explicit end is whole, however
        the connection went down after it.
        """
        if self._response is not None and not _is_good(self._response.status):
            return self._error(self._response, b"")
        self.sent = "yes" if self.sent == "yes" else fault.sent
        ended = self._broken_off()
        if isinstance(ended, ModelReply):
            return ended
        if self._stream and self._stream[0].over:  # nothing more was to come: what it says of its end holds
            return replace(ended, sent=self.sent)
        again = False if fault.lasting else ended.should_retry
        return replace(ended, trigger=fault.trigger, text=str(fault), sent=self.sent, should_retry=again)

    def _broken_off(self) -> ModelReply | CallFault:
        if self._stream:
            return self._stream[0].close()
        return CallFault(Trigger.stream_cut, "the reply was cut", written=self._body.decode("utf-8", "replace"))

    def _fail(self, error: Exception) -> None:
        self._end(self._failed(error))

    def _failed(self, error: Exception) -> CallFault:
        """The fault of code, not of a reply: what could be read until then is all there is."""
        text = f"the exchange failed: {type(error).__name__}: {error}"
        written = "".join([delta.text for delta in self._deltas])
        return CallFault(Trigger.bad_reply, text, sent=self.sent, written=written)

    def _end(self, result: ModelReply | CallFault) -> None:
        """A fault keeps what had arrived, and loses its endpoint's secrets, which some servers quote in errors."""
        if isinstance(result, CallFault):
            text = Redactor(self.endpoint.secrets).known(result.text)
            result = replace(result, text=text, partial_text=result.partial_text or self.text)
        self.result = result


def wire_request(codec: Codec, encoded: Encoded, endpoint: Endpoint, *, connect: float) -> WireRequest:
    """The request as it goes to its endpoint: authorised or signed; `connect` bounds connecting, in seconds."""
    authorization = codec.authorization(endpoint.key, encoded.key_header)
    headers = (*encoded.headers, *authorization, *endpoint.headers)
    request = WireRequest(_joined(endpoint.base_url, encoded.path), headers, encoded.body, connect=connect)
    return endpoint.signature.signed(request) if endpoint.signature else request


_EVENTS = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:data|event|id|retry)?:")
"""How an event stream begins, and no JSON does."""


def _is_good(status: int) -> bool:
    return 200 <= status < 300


def _is_json(response: WireResponse) -> bool:
    return response.headers.get("content-type", "").startswith("application/json")


@lru_cache(maxsize=256)
def _joined(base_url: str, path: str) -> str:
    """The path below base_url, whose query (Azure's `?api-version=…`) goes to the end."""
    base, _, query = base_url.partition("?")
    url = base.rstrip("/") + "/" + path.lstrip("/")
    return f"{url}{'&' if '?' in path else '?'}{query}" if query else url
