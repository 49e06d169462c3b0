"""Embedded models: llama.cpp's own HTTP server, in this process, on a loopback port of its own."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Generator
from concurrent.futures import Future
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from orchestra.errors import ConfigError, WeightsError
from orchestra.local.cores import usable_cores
from orchestra.local.files import weights_file
from orchestra.local.store import WeightStore
from orchestra.types import ModelCard

SLOTS = 2
"""Requests one server answers at a time; every slot has the model's whole window."""


class RunningServer(Protocol):
    """A server that listens until it is garbage."""

    @property
    def listening_address(self) -> str:
        """`http://127.0.0.1:PORT`."""
        ...


class Serve(Protocol):
    """How a server is started: blocks until it listens."""

    def __call__(self, path: Path, card: ModelCard) -> RunningServer:
        """Raises ConfigError or WeightsError."""
        ...


class LocalServers:
    """One server per weights file and window, started when first asked for, shared, and kept until `close()`."""

    def __init__(self, store: WeightStore | None = None, serve: Serve | None = None) -> None:
        self._store = store or WeightStore()
        self._serve = serve or serve_gguf
        self._lock = threading.Lock()
        self._running: dict[tuple[Path, int], _Running] = {}

    async def endpoint(self, card: ModelCard) -> str:
        """The base URL of the card's model for dialect openai-chat. Raises ConfigError or WeightsError.

        Waits until the model is loaded; a failed start is tried again by the next caller.
        """
        path = weights_file(card, self._store)
        key = (path, card.window)
        with self._lock:
            running = self._running.get(key)
            if running is None or running.failed:
                running = self._running[key] = _Running(self._serve, path, card)
        return await asyncio.wrap_future(running.base_url)

    def close(self) -> None:
        """Stop every server and give its memory back; close the connections to them first.

        llama.cpp waits up to 30 s for open exchanges. At the end of the process nothing needs closing.
        """
        with self._lock:
            stopping, self._running = self._running, {}
        for running in stopping.values():
            running.stop()


class _Running:
    """A server owned by a daemon thread: its destructor runs there on `stop`, and never while Python exits."""

    def __init__(self, serve: Serve, path: Path, card: ModelCard) -> None:
        self.base_url = Future[str]()
        # Marked as running, so that a cancelled step cannot cancel the start that others wait for.
        self.base_url.set_running_or_notify_cancel()
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(serve, path, card), name=f"model {card.model}", daemon=True
        )
        self._thread.start()

    @property
    def failed(self) -> bool:
        """True where the start raised."""
        return self.base_url.done() and self.base_url.exception() is not None

    def stop(self) -> None:
        """Stop the server, or wait for its start and stop it then."""
        self._stop.set()
        self._thread.join()

    def _run(self, serve: Serve, path: Path, card: ModelCard) -> None:
        try:
            server = serve(path, card)
            self.base_url.set_result(server.listening_address + "/v1")
        except Exception as error:  # noqa: BLE001 (handed to whoever waits)
            self.base_url.set_exception(error)
            return
        self._stop.wait()


def serve_gguf(path: Path, card: ModelCard) -> RunningServer:
    """Load a GGUF file and serve it on 127.0.0.1. Raises ConfigError without xllamacpp, WeightsError for a bad file."""
    try:
        with _short_spins():
            xllamacpp: Any = import_module("xllamacpp")  # it ships no types
    except ImportError as error:
        raise ConfigError(
            f"model {card.name!r} runs in this process, which needs xllamacpp ({error}): "
            "pip install 'orchestra-agents[local]'; on Linux it also needs libgomp (package libgomp1)"
        ) from error
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = {card.model}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = SLOTS
    params.n_ctx = card.window * SLOTS
    params.cache_ram_mib = _PROMPT_CACHE
    params.cpuparams.n_threads = usable_cores()
    params.verbosity = 0
    params.ui = params.endpoint_slots = False
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise WeightsError(
            f"model {card.name!r}: llama.cpp cannot load {path} ({path.stat().st_size / 1e6:.0f} MB): {error} "
            "Is it whole, and of an architecture llama.cpp knows? `orchestra models verify` checks embedded ones."
        ) from error


_PROMPT_CACHE = 256  # MiB of prompts kept for reuse; llama.cpp's own limit is 8 GiB


@contextmanager
def _short_spins() -> Generator[None]:
    """Let OpenMP threads wait asleep instead of spinning, while its library reads the environment.

    Spinning threads fall from 40 to 1 token/s once another process wants the same cores.
    """
    before = os.environ.get("GOMP_SPINCOUNT")
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    try:
        yield
    finally:
        if before is None:
            del os.environ["GOMP_SPINCOUNT"]
