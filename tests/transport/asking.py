"""Asking through a transport: a request, its whole reply, its fault."""

import pytest

from orchestra.transport import TransportFault, WireRequest


def post(base, body=b"{}", path="/v1/chat", headers=(("content-type", "application/json"),), **options):
    return WireRequest(base + path, tuple(headers), body, **options)


async def read(transport, request):
    response = await transport.send(request)
    try:
        return response.status, dict(response.headers), b"".join([chunk async for chunk in response.chunks()])
    finally:
        await response.aclose()


async def fault(transport, request):
    with pytest.raises(TransportFault) as caught:
        await read(transport, request)
    return caught.value
