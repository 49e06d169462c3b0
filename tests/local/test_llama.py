from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from orchestra.errors import ConfigError, WeightsError
from orchestra.local.llama import serve_gguf
from orchestra.types import ModelCard


@pytest.fixture
def llama(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module in the place of xllamacpp; its Server keeps the params it was given."""
    module = ModuleType("xllamacpp")
    module.CommonParams = lambda: SimpleNamespace(
        model=SimpleNamespace(), cpuparams=SimpleNamespace(), sampling=SimpleNamespace()
    )
    module.Server = lambda params: SimpleNamespace(params=params, listening_address="http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "xllamacpp", module)
    return module


def test_a_server_listens_on_loopback_with_the_whole_window_for_every_slot(card: ModelCard, llama: ModuleType) -> None:
    params = serve_gguf(Path(str(card.weights)), card).params

    assert (params.hostnames, params.port) == (["127.0.0.1"], 0)
    assert params.n_ctx == params.n_parallel * card.window
    assert params.model.path == card.weights
    assert params.model_alias == {"tiny-instruct"}  # not the machine's path, which would go into the ledger
    assert (params.ui, params.endpoint_slots, params.verbosity) == (False, False, 0)
    assert (params.sampling.temp, params.n_predict) == (0.0, card.max_output)
    assert params.cpuparams.n_threads >= 1


def test_a_server_answers_as_many_at_a_time_as_its_model_is_asked(card: ModelCard, llama: ModuleType) -> None:
    params = serve_gguf(Path(str(card.weights)), replace(card, concurrency=3)).params

    assert (params.n_parallel, params.n_ctx) == (3, 3 * card.window)
    assert serve_gguf(Path(str(card.weights)), card).params.n_parallel == 2


def test_a_file_llama_cpp_refuses_is_named_with_its_size(card: ModelCard, llama: ModuleType) -> None:
    def refuse(params: object) -> None:
        raise RuntimeError("Failed to init server")

    llama.Server = refuse
    with pytest.raises(
        WeightsError, match=r"model 'small': llama.cpp cannot load .*modèle.gguf \(0 MB\): Failed to init"
    ):
        serve_gguf(Path(str(card.weights)), card)


def test_without_xllamacpp_the_error_says_what_to_install(card: ModelCard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(ConfigError, match=r"pip install 'orchestra-agents\[local\]'"):
        serve_gguf(Path(str(card.weights)), card)


@pytest.mark.parametrize("before", [None, "7"])
def test_the_environment_is_left_as_it_was(
    card: ModelCard, llama: ModuleType, monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    if before:
        monkeypatch.setenv("GOMP_SPINCOUNT", before)
    seen: list[str | None] = []
    monkeypatch.setattr(
        "orchestra.local.llama.import_module", lambda _: seen.append(os.environ.get("GOMP_SPINCOUNT")) or llama
    )

    serve_gguf(Path(str(card.weights)), card)

    assert seen == [before or "1000"]
    assert os.environ.get("GOMP_SPINCOUNT") == before
