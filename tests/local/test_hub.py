from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from orchestra.local import Hub, SourceFault, WeightStore
from tests.local.doubles import weights_of

DATA = bytes(range(256)) * 8
TINY = weights_of(DATA)


@contextmanager
def hub(*, ranges: bool = True, status: int = 200) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """A hub on loopback; gives its address and what was asked: path and range."""
    asked: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("range")
            asked.append((self.path, wanted))
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and ranges else 0
            self.send_response(206 if start else status)
            self.send_header("content-length", str(len(DATA) - start))
            self.end_headers()
            self.wfile.write(DATA[start:])

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()


def read(source: Hub, offset: int = 0) -> bytes:
    return b"".join(source.read(TINY, offset, Path()))


def test_the_file_is_asked_for_where_the_hub_keeps_it() -> None:
    with hub() as (address, asked):
        assert read(Hub(address)) == DATA
    assert asked == [("/someone/tiny/resolve/main/tiny.gguf", None)]


@pytest.mark.parametrize("ranges", [True, False])
def test_only_the_rest_is_given_whether_or_not_the_server_knows_ranges(*, ranges: bool) -> None:
    with hub(ranges=ranges) as (address, asked):
        assert read(Hub(address), offset=700) == DATA[700:]
    assert asked[0][1] == "bytes=700-"


@pytest.mark.parametrize("status", [401, 404, 500])
def test_an_error_page_is_never_taken_for_the_file(status: int) -> None:
    with hub(status=status) as (address, _), pytest.raises(SourceFault, match=f"tiny.gguf answered {status}"):
        read(Hub(address))


def test_an_unreachable_hub_is_a_fault_that_names_the_address() -> None:
    with hub() as (address, _):
        pass
    with pytest.raises(SourceFault, match=address):
        read(Hub(address))


def test_offline_the_hub_is_not_even_tried() -> None:
    with hub() as (address, asked), pytest.raises(SourceFault, match="HF_HUB_OFFLINE"):
        read(Hub(address, offline=True))
    assert asked == []


def test_the_hub_is_chosen_by_the_variables_its_own_client_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert Hub.from_environment() == Hub("https://huggingface.co", offline=False)

    monkeypatch.setenv("HF_ENDPOINT", "http://mirror.example/")
    monkeypatch.setenv("HF_HUB_OFFLINE", "true")
    assert Hub.from_environment() == Hub("http://mirror.example", offline=True)

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert not Hub.from_environment().offline


def test_a_whole_pull_from_the_hub(tmp_path: Path) -> None:
    with hub() as (address, _):
        assert WeightStore(tmp_path, [Hub(address)]).pull(TINY).read_bytes() == DATA
