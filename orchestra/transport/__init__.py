"""transport: a request goes out, a status, headers and chunks come back; the only door to the network."""

from orchestra.transport.aiohttp import AiohttpTransport
from orchestra.transport.choice import default_transport
from orchestra.transport.download import Download, download
from orchestra.transport.guarded import Page, UrlRefused, fetch
from orchestra.transport.httpx import HttpxTransport
from orchestra.transport.seam import Transport, TransportFault, WireRequest, WireResponse
from orchestra.transport.sigv4 import AwsCredentials, Signature

__all__ = [
    "AiohttpTransport",
    "AwsCredentials",
    "Download",
    "HttpxTransport",
    "Page",
    "Signature",
    "Transport",
    "TransportFault",
    "UrlRefused",
    "WireRequest",
    "WireResponse",
    "default_transport",
    "download",
    "fetch",
]
