"""Both transports, and a certificate authority that nobody else knows."""

import ssl

import pytest
import trustme

from orchestra.transport import AiohttpTransport, HttpxTransport


@pytest.fixture(params=[HttpxTransport, AiohttpTransport], ids=["httpx", "aiohttp"])
async def made(request):
    """Makes transports of one kind, and closes them."""
    all_made = []

    def make(**options):
        all_made.append(request.param(**options))
        return all_made[-1]

    yield make
    for transport in all_made:
        await transport.aclose()


@pytest.fixture
def transport(made):
    return made()


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture(scope="session")
def tls(authority):
    """What a server at 127.0.0.1 or provider.invalid shows."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1", "provider.invalid").configure_cert(context)
    return context


@pytest.fixture
def ca(authority, tmp_path):
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)
