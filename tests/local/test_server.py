from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
import weakref
from dataclasses import replace
from pathlib import Path

import pytest

from orchestra.errors import ConfigError, WeightsError
from orchestra.local import LocalServers, WeightStore
from orchestra.types import ModelCard


class Listening:
    """A server that listens nowhere."""

    def __init__(self, address: str) -> None:
        self.listening_address = address


class Starter:
    """Stands for llama.cpp: counts starts, can fail, can be made to wait."""

    def __init__(self, *, wait: bool = False, failures: int = 0) -> None:
        self.started: list[tuple[Path, int]] = []
        self.alive = weakref.WeakSet[object]()
        self.go = threading.Event()
        self.failures = failures
        if not wait:
            self.go.set()

    def __call__(self, path: Path, card: ModelCard) -> Listening:
        self.started.append((path, card.window))
        assert self.go.wait(30)
        if len(self.started) <= self.failures:
            raise WeightsError("not this time")
        server = Listening(f"http://127.0.0.1:{4000 + len(self.started)}")
        self.alive.add(server)
        return server


async def test_a_hundred_steps_at_once_share_one_server(card: ModelCard) -> None:
    start = Starter()
    servers = LocalServers(serve=start)

    addresses = await asyncio.gather(*[servers.endpoint(card) for _ in range(100)])

    assert set(addresses) == {"http://127.0.0.1:4001/v1"}
    assert start.started == [(Path(str(card.weights)), 8192)]
    servers.close()


async def test_the_same_file_with_another_window_or_concurrency_is_another_server(card: ModelCard) -> None:
    servers = LocalServers(serve=Starter())

    first = await servers.endpoint(card)

    assert await servers.endpoint(replace(card, window=1024)) != first
    assert await servers.endpoint(replace(card, concurrency=1)) != first
    assert await servers.endpoint(replace(card, name="alias")) == first
    servers.close()


async def test_close_stops_the_servers_and_the_next_step_starts_anew(card: ModelCard) -> None:
    start = Starter()
    servers = LocalServers(serve=start)
    first = await servers.endpoint(card)
    assert len(start.alive) == 1

    servers.close()
    servers.close()

    assert len(start.alive) == 0
    assert await servers.endpoint(card) != first
    servers.close()


async def test_a_failed_start_is_told_to_all_who_wait_and_tried_again_later(card: ModelCard) -> None:
    start = Starter(wait=True, failures=1)
    servers = LocalServers(serve=start)
    waiting = [asyncio.create_task(servers.endpoint(card)) for _ in range(2)]
    await asyncio.sleep(0)
    start.go.set()

    told = await asyncio.gather(*waiting, return_exceptions=True)

    assert {str(one) for one in told} == {"not this time"}
    assert await servers.endpoint(card) == "http://127.0.0.1:4002/v1"
    servers.close()


async def test_a_cancelled_step_does_not_take_the_server_from_the_others(card: ModelCard) -> None:
    start = Starter(wait=True)
    servers = LocalServers(serve=start)
    first, second = (asyncio.create_task(servers.endpoint(card)) for _ in range(2))
    await asyncio.sleep(0)

    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    start.go.set()

    assert await second == "http://127.0.0.1:4001/v1"
    assert len(start.started) == 1
    servers.close()


def test_event_loops_one_after_the_other_share_the_server(card: ModelCard) -> None:
    servers = LocalServers(serve=Starter())
    assert asyncio.run(servers.endpoint(card)) == asyncio.run(servers.endpoint(card))
    servers.close()


async def test_close_waits_for_a_start_that_is_under_way(card: ModelCard) -> None:
    start = Starter(wait=True)
    servers = LocalServers(serve=start)
    step = asyncio.create_task(servers.endpoint(card))
    await asyncio.sleep(0)
    closing = asyncio.create_task(asyncio.to_thread(servers.close))
    start.go.set()

    await closing

    assert await step == "http://127.0.0.1:4001/v1"
    assert len(start.alive) == 0


async def test_stored_weights_are_found_by_their_hash(card: ModelCard, tmp_path: Path) -> None:
    sha256 = "ab" * 32
    (tmp_path / f"{sha256}.gguf").write_bytes(b"GGUF")
    start = Starter()
    servers = LocalServers(WeightStore(tmp_path), start)

    await servers.endpoint(replace(card, weights=sha256))

    assert start.started == [(tmp_path / f"{sha256}.gguf", 8192)]
    servers.close()


EMBEDDED_SHA = "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"


@pytest.mark.parametrize(
    ("weights", "error", "text"),
    [
        (
            None,
            ConfigError,
            "model 'small': provider 'local' needs weights; name an embedded model .*qwen2.5-coder-0.5b",
        ),
        ("", ConfigError, "needs weights"),
        (EMBEDDED_SHA, WeightsError, "not in .*; get them with `orchestra models pull qwen2.5-coder-0.5b-instruct`"),
        ("ab" * 32, WeightsError, "no weights are known as 'abab"),
        ("nöwhere.gguf", WeightsError, "model 'small': cannot read its weights 'nöwhere.gguf': No such file"),
        ("/", WeightsError, "cannot read its weights '/': Is a directory"),
        (__file__, WeightsError, "is not a GGUF file"),
        ("nul\0byte.gguf", WeightsError, "cannot read its weights"),
    ],
)
async def test_weights_that_cannot_be_used_are_named_before_anything_starts(
    card: ModelCard, tmp_path: Path, weights: str | None, error: type[Exception], text: str
) -> None:
    start = Starter()
    with pytest.raises(error, match=text):
        await LocalServers(WeightStore(tmp_path), start).endpoint(replace(card, weights=weights))
    assert start.started == []


def test_servers_nobody_closed_are_stopped_before_the_interpreter_is_torn_down(card: ModelCard) -> None:
    program = textwrap.dedent("""
        import asyncio, atexit, sys
        from pathlib import Path
        from orchestra.local import LocalServers
        from orchestra.types import ModelCard

        class Listening:
            listening_address = "http://127.0.0.1:1"
            def __del__(self):
                print("stopped", flush=True)

        atexit.register(print, "torn down", flush=True)  # runs last: exit handlers run in reverse
        card = ModelCard("small", "tiny", "local", "openai-chat", "efficient", weights=sys.argv[1])
        servers = LocalServers(serve=lambda path, card: Listening())
        asyncio.run(servers.endpoint(card))
    """)
    ended = subprocess.run(
        [sys.executable, "-c", program, str(card.weights)], capture_output=True, text=True, check=True
    )
    assert ended.stdout.splitlines() == ["stopped", "torn down"]
