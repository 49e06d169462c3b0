"""A codec and the fake provider, over real HTTP and nothing between them."""

from orchestra.dialects import codec
from orchestra.transport import HttpxTransport, WireRequest
from orchestra.types import Request


async def ask(provider, card, *messages, **fields):
    """What the codec of the card's dialect makes of the provider's answer: the deltas, then the reply or the fault."""
    spoken, transport = codec(card.dialect), HttpxTransport()
    sent = spoken.encode(Request(messages, **fields), card)
    headers = (*sent.headers, *spoken.authorization("key"))
    url = provider.base_url_of(card.dialect) + sent.path
    response = await transport.send(WireRequest(url, headers, sent.body))
    try:
        return await _read(spoken, sent, response)
    finally:
        await response.aclose()
        await transport.aclose()


async def _read(spoken, sent, response):
    if response.status >= 400:
        return [], spoken.error(response.status, response.headers, await _body(response))
    if not sent.stream:
        return [], spoken.decode(sent, await _body(response))
    reader, deltas = spoken.reader(sent), []
    async for chunk in response.chunks():
        deltas += reader.feed(chunk)
    return deltas, reader.close()


async def _body(response):
    return b"".join([chunk async for chunk in response.chunks()])
