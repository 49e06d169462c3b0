"""Which transport serves where the user named none."""

from __future__ import annotations

from importlib.util import find_spec

from orchestra.transport.aiohttp import AiohttpTransport
from orchestra.transport.httpx import HttpxTransport
from orchestra.transport.seam import Transport


def default_transport() -> Transport:
    """AiohttpTransport where the extra `fast` is installed (an order of magnitude cheaper), else HttpxTransport."""
    return AiohttpTransport() if find_spec("aiohttp") else HttpxTransport()
