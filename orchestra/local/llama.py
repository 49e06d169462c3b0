"""llama.cpp's own HTTP server in this process, on a loopback port of its own."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from orchestra.errors import ConfigError, WeightsError
from orchestra.fleet.known import LOCAL_CONCURRENCY
from orchestra.local.cores import usable_cores
from orchestra.types import ModelCard

_PROMPT_CACHE = 256  # MiB of prompts kept for reuse; llama.cpp's own limit of 8 GiB is a server's, not a library's


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


def serve_gguf(path: Path, card: ModelCard) -> RunningServer:
    """Load a GGUF file and serve it on 127.0.0.1. Raises ConfigError without xllamacpp, WeightsError for a bad file."""
    xllamacpp = _import(card)
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = {card.model}  # what replies report; the default is the file's path
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = slots = card.concurrency or LOCAL_CONCURRENCY
    params.n_ctx = card.window * slots  # every slot has the model's whole window
    params.cache_ram_mib = _PROMPT_CACHE
    params.cpuparams.n_threads = usable_cores()
    params.verbosity = 0
    params.sampling.temp = 0.0  # the default of a request that names none: small models are best at their likeliest
    params.n_predict = card.max_output  # likewise; llama.cpp's own is to write until the window is full
    params.ui = params.endpoint_slots = False  # /slots would show everybody's prompts
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise WeightsError(
            f"model {card.name!r}: llama.cpp cannot load {path} ({path.stat().st_size / 1e6:.0f} MB): {error} "
            "Is it whole, and of an architecture llama.cpp knows? `orchestra models verify` checks embedded ones."
        ) from error


def _import(card: ModelCard) -> Any:  # it ships no types
    try:
        with _short_spins():
            return import_module("xllamacpp")
    except ImportError as error:
        raise ConfigError(
            f"model {card.name!r} runs in this process, which needs xllamacpp ({error}): "
            "pip install 'orchestra-agents[local]'; on Linux it also needs libgomp (package libgomp1)"
        ) from error


@contextmanager
def _short_spins() -> Generator[None]:
    """Have OpenMP threads sleep soon while they wait; its library reads the environment once, as it is loaded.

    By default they spin, and two threads fall from 40 tokens/s to 2 as soon as another process wants a core; with
    this they fall to 8. 1000 is what libgomp itself chooses once it sees more threads than cores.
    """
    before = os.environ.get("GOMP_SPINCOUNT")
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("GOMP_SPINCOUNT", None)
