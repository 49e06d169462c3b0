"""One exchange with one model: send, read against the deadlines, end with a reply or a fault."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TypeAlias

from orchestra.dialects import Codec, Delta, Encoded, RateLimit, StreamReader
from orchestra.dispatch.call import Endpoint
from orchestra.dispatch.deadlines import Deadlines
from orchestra.transport import Transport, TransportFault, WireRequest, WireResponse
from orchestra.types import CallFault, ModelReply, Sent, TextDelta, Timeouts, Trigger

Events: TypeAlias = AsyncGenerator[Delta | ModelReply | CallFault, None]

MAX_BODY = 32 * 2**20
"""Bytes of a reply that is read whole; more is no answer of a language model."""

SHORTEST_KEY = 8
"""Characters; what is shorter (`none`, `EMPTY`) is a placeholder, and striking it out would garble errors."""


class Exchange:
    """Sends one request and reads its reply. Never raises but for cancellation: what goes wrong is a CallFault.

    `limits` is called with what the provider says is left of the key's rate limits, as soon as it says so. While
    `events` runs: `sent` and `status` as far as known, `arrived` whether any byte of a reply came.
    """

    def __init__(
        self,
        transport: Transport,
        codec: Codec,
        encoded: Encoded,
        timeouts: Timeouts,
        deadlines: Deadlines,
        limits: Callable[[Sequence[RateLimit]], None],
    ) -> None:
        self._transport, self._codec, self._encoded, self._timeouts = transport, codec, encoded, timeouts
        self._deadlines, self._limits = deadlines, limits
        self._texts: list[str] = []
        self.sent: Sent = "unknown"
        self.status: int | None = None
        self.arrived = False

    @property
    def text(self) -> str:
        """What the reply has said so far."""
        return "".join(self._texts)

    async def events(self, endpoint: Endpoint) -> Events:
        """Deltas as they arrive, then the ModelReply or the CallFault, which is always the last item."""
        try:
            async with aclosing(self._talk(endpoint)) as events:
                async for event in events:
                    yield self._finished(event, endpoint) if isinstance(event, CallFault) else event
        except TransportFault as fault:
            self.sent = "yes" if self.sent == "yes" else fault.sent
            yield self._finished(CallFault(fault.trigger, str(fault), sent=self.sent), endpoint)
        except Exception as error:  # noqa: BLE001  # a stranger's transport or a codec's bug must not end the run
            text = f"the exchange failed: {type(error).__name__}: {error}"
            yield self._finished(CallFault(Trigger.bad_reply, text, sent=self.sent), endpoint)
        finally:
            self._deadlines.close()

    async def _talk(self, endpoint: Endpoint) -> Events:
        response = await self._deadlines.within(self._transport.send(self._request(endpoint)))
        self.sent, self.status = "yes", response.status
        try:
            if limits := self._codec.limits(response.headers):
                self._limits(limits)
            if not 200 <= response.status < 300:
                yield await self._error(response)
            elif self._encoded.stream and not _is_json(response):
                async with aclosing(self._stream(response)) as events:
                    async for event in events:
                        yield event
            else:  # also where a server answers a request for a stream with the whole reply at once
                yield self._codec.decode(self._encoded, await self._whole(response))
        finally:
            await response.aclose()

    def _request(self, endpoint: Endpoint) -> WireRequest:
        url = _joined(endpoint.base_url, self._encoded.path)
        headers = (*self._encoded.headers, *self._authorization(endpoint.key), *endpoint.headers)
        request = WireRequest(url, headers, self._encoded.body, connect=self._timeouts.connect)
        return endpoint.signature.signed(request) if endpoint.signature else request

    def _authorization(self, key: str | None) -> tuple[tuple[str, str], ...]:
        header = self._encoded.key_header
        return ((header, key),) if header and key else self._codec.authorization(key)

    async def _stream(self, response: WireResponse) -> Events:
        reader = self._codec.reader(self._encoded)
        chunks = response.chunks()
        try:
            while (chunk := await self._next(chunks)) is not None:
                for delta in self._to_hand_on(reader, chunk):
                    self._texts.append(delta.text if isinstance(delta, TextDelta) else "")
                    yield delta
                    self._deadlines.wait_anew()  # whoever took the delta may have taken long
                if reader.fault:
                    yield reader.fault
                    return
        except TransportFault as fault:
            yield _cut(reader, fault)
        else:
            yield reader.close()

    def _to_hand_on(self, reader: StreamReader, chunk: bytes) -> Sequence[Delta]:
        """The deltas of a chunk; none that come with a fault where none went before: another model may answer yet."""
        deltas = reader.feed(chunk)
        return () if reader.fault and not self._texts else deltas

    async def _whole(self, response: WireResponse) -> bytes:
        body = bytearray()
        chunks = response.chunks()
        while (chunk := await self._next(chunks)) is not None:
            body += chunk
            if len(body) > MAX_BODY:
                raise TransportFault(Trigger.bad_reply, f"the reply is longer than {MAX_BODY:,} bytes", sent="yes")
        return bytes(body)

    async def _error(self, response: WireResponse) -> CallFault:
        """What the error says, as far as its body arrives: the status alone is enough to act on."""
        self._deadlines.end_soon()
        try:
            body = await self._whole(response)
        except TransportFault:
            body = b""
        self.arrived = False
        return replace(self._codec.error(response.status, response.headers, body), status=response.status)

    async def _next(self, chunks: AsyncIterator[bytes]) -> bytes | None:
        chunk = await self._deadlines.within(anext(chunks, None))
        if chunk is not None:
            self.arrived = True
            self._deadlines.hear(chunk)
        return chunk

    def _finished(self, fault: CallFault, endpoint: Endpoint) -> CallFault:
        """The fault with what had arrived, and without the secrets, which some servers quote in their errors."""
        text = fault.text
        for secret in endpoint.secrets:
            text = text.replace(secret, "***") if len(secret) >= SHORTEST_KEY else text
        return replace(fault, text=text, partial_text=fault.partial_text or self.text)


def _cut(reader: StreamReader, fault: TransportFault) -> ModelReply | CallFault:
    """A reply that had reached its explicit end is whole, however the connection went down after it."""
    ended = reader.close()
    return ended if isinstance(ended, ModelReply) else replace(ended, trigger=fault.trigger, text=str(fault))


def _is_json(response: WireResponse) -> bool:
    return response.headers.get("content-type", "").startswith("application/json")


def _joined(base_url: str, path: str) -> str:
    """The path below base_url, whose query (Azure's `?api-version=…`) goes to the end."""
    base, _, query = base_url.partition("?")
    url = base.rstrip("/") + "/" + path.lstrip("/")
    return f"{url}{'&' if '?' in path else '?'}{query}" if query else url
