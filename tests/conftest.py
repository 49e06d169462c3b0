"""What holds for every test: no connection leaves this machine, and nothing is written outside pytest's own folders."""

from __future__ import annotations

import ipaddress
import signal
import socket
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import orchestra.types.call

# A shell starts what it puts in the background with Ctrl-C ignored, which every process of a test would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("orchestra", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("orchestra")

collect_ignore = [] if find_spec("cohere") else ["sdk"]  # those need the official SDKs: `make test-sdk`


COMPILED = not orchestra.types.call.__file__.endswith(".py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what a compiled package cannot show: `make test-compiled`."""
    for item in items:
        if COMPILED and item.get_closest_marker("interpreted"):
            item.add_marker(pytest.mark.skip("parts of a compiled package cannot be replaced"))


class LeftTheMachine(RuntimeError):
    """A test tried to reach something beyond loopback. Not an OSError, or it would pass for a refused connection."""


@pytest.fixture(scope="session", autouse=True)
def only_loopback() -> Iterator[None]:
    """Block name look-ups and connections beyond loopback."""
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def checked_connect(self: socket.socket, address: object) -> None:
        _demand_loopback(address)
        connect(self, address)

    def checked_connect_ex(self: socket.socket, address: object) -> int:
        _demand_loopback(address)
        return connect_ex(self, address)

    def checked_getaddrinfo(host: str | bytes | None, *args: object, **options: object) -> object:
        _demand_loopback((host,))
        return getaddrinfo(host, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", checked_connect)
        patch.setattr(socket.socket, "connect_ex", checked_connect_ex)
        patch.setattr(socket, "getaddrinfo", checked_getaddrinfo)
        yield


def _demand_loopback(address: object) -> None:
    if not isinstance(address, tuple):  # a Unix socket's path
        return
    host = address[0].decode() if isinstance(address[0], bytes) else address[0]
    if host in {None, "", "localhost"}:
        return
    try:
        allowed = ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        allowed = False
    if not allowed:
        raise LeftTheMachine(f"a test tried to reach {host!r}; only loopback is open to tests")


@pytest.fixture(autouse=True)
def own_folders(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger and a weight store of the test's own, so that it runs the same on every machine."""
    monkeypatch.setenv("ORCHESTRA_LEDGER", str(tmp_path / "ledger.db"))
    if request.node.get_closest_marker("weights") is None:
        monkeypatch.setenv("ORCHESTRA_WEIGHTS", str(tmp_path / "weights"))
