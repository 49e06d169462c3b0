"""Which transport serves where the user named none."""

from __future__ import annotations

from importlib.util import find_spec

from orchestra.transport.aiohttp import AiohttpTransport
from orchestra.transport.guard import KEEP_ALIVE
from orchestra.transport.httpx import HttpxTransport
from orchestra.transport.seam import Transport


def default_transport(*, proxy: str | None = None, ca: str | None = None, keep_alive: float = KEEP_ALIVE) -> Transport:
    """AiohttpTransport where the extra `fast` is installed (an order of magnitude cheaper), else HttpxTransport.

    Raises ConfigError where the certificates cannot be read.
    """
    kind = AiohttpTransport if find_spec("aiohttp") else HttpxTransport
    return kind(proxy=proxy, ca=ca, keep_alive=keep_alive)
