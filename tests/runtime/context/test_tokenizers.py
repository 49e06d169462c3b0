"""A tokenizer is used where it is at hand, and nothing is downloaded to have one."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestra.dialects import codec
from orchestra.fleet.counter import Count, Counter
from orchestra.local import WeightStore
from orchestra.runtime.context import new_counter
from orchestra.runtime.context.tokenizers import tokenizers
from orchestra.types import Capabilities, Message, ModelCard, Request, Text, ToolCall, ToolResult, ToolSpec
from tests.local.gguf_file import qwen

LOOKUP = import_module("orchestra.runtime.context.tokenizers")
DATA = b"the ranks of o200k_base"
NAME = hashlib.sha1(b"https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken").hexdigest()


def card(model: str = "gpt-4o-mini", weights: str | None = None) -> ModelCard:
    return ModelCard("mine", model, "somebody", "openai-chat", "efficient", weights=weights)


def test_weights_on_this_machine_bring_their_tokenizer(tmp_path: Path) -> None:
    counter = Counter(tokenizers(WeightStore(tmp_path)))
    mine = card(weights=str(qwen(tmp_path / "a.gguf", "h i")))
    assert counter.count(mine, [Message.user("hi!")]) == Count(5 + 2 + 3, "tokenizer", 5)
    find = tokenizers(WeightStore(tmp_path))
    assert find(mine) is find(mine) is not None


def test_embedded_weights_bring_theirs_as_soon_as_they_are_pulled(tmp_path: Path) -> None:
    sha256 = "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"
    find = tokenizers(WeightStore(tmp_path))
    assert find(card(weights=sha256)) is None
    qwen(tmp_path / f"{sha256}.gguf")
    assert find(card(weights=sha256)) is not None


@pytest.mark.parametrize("weights", ["/no/such/file.gguf", "f" * 64, "\0"])
def test_weights_that_cannot_be_had_have_no_tokenizer(tmp_path: Path, weights: str) -> None:
    assert tokenizers(WeightStore(tmp_path))(card(weights=weights)) is None


def test_what_a_dialect_writes_for_a_model_without_native_calls_is_counted(tmp_path: Path) -> None:
    file = str(qwen(tmp_path / "a.gguf"))
    plain = card(weights=file)
    flat = replace(plain, capabilities=Capabilities(tools="json"))
    rows = ToolSpec("rows", "Run a query.", {"type": "object", "properties": {"sql": {"type": "string"}}})
    talk = [
        Message.system("rules"),
        Message("assistant", (ToolCall("1", "rows", {"sql": "x"}),)),
        Message("tool", (ToolResult("1", "rows", (Text("found"),)),)),
    ]
    counter = new_counter(WeightStore(tmp_path))
    body = json.loads(codec("openai-chat").encode(Request(tuple(talk), (rows,)), flat).body)
    written = sum(len(message["content"].encode()) for message in body["messages"])  # without merges a token a byte
    assert counter.count(flat, talk, [rows]).tokens == written + 3 * 5 + 3
    assert counter.count(flat, talk, []).tokens == counter.count(plain, talk, []).tokens


class Tiktoken(SimpleNamespace):
    """What this uses of tiktoken; loading an encoding counts."""

    def __init__(self) -> None:
        super().__init__(loaded=[])

    def encoding_name_for_model(self, model: str) -> str:
        return {"gpt-4o-mini": "o200k_base", "gpt2": "gpt2"}[model]

    def get_encoding(self, name: str) -> SimpleNamespace:
        self.loaded.append(name)
        return SimpleNamespace(encode_ordinary=lambda text: text.split())


@pytest.fixture
def tiktoken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Tiktoken:
    fake = Tiktoken()
    LOOKUP._encoding.cache_clear()
    monkeypatch.setitem(sys.modules, "tiktoken", fake)
    monkeypatch.setitem(LOOKUP._SHA256, "o200k_base", hashlib.sha256(DATA).hexdigest())
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    return fake


def test_tiktoken_counts_where_its_file_lies_in_its_cache(tiktoken: Tiktoken, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(DATA)
    find = tokenizers()
    assert Counter(find).count(card(), [Message.user("three more words")]) == Count(3 + 3 + 3, "tokenizer", 9)
    assert find(card("somebodys-own")) is find(card("gpt2")) is None
    assert tiktoken.loaded == ["o200k_base"]


@pytest.mark.parametrize("data", [None, DATA[:-1]])
def test_tiktoken_is_not_asked_where_it_would_download(tiktoken: Tiktoken, tmp_path: Path, data: bytes | None) -> None:
    if data:
        (tmp_path / NAME).write_bytes(data)
    assert tokenizers()(card()) is None
    assert tiktoken.loaded == []


def test_tiktokens_cache_is_found_as_it_finds_it(
    tiktoken: Tiktoken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / NAME).write_bytes(DATA)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    monkeypatch.setenv("DATA_GYM_CACHE_DIR", str(tmp_path))
    assert tokenizers()(card()) is None  # set but empty: it is turned off
    LOOKUP._encoding.cache_clear()
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR")
    assert tokenizers()(card()) is not None
    LOOKUP._encoding.cache_clear()
    monkeypatch.delenv("DATA_GYM_CACHE_DIR")
    monkeypatch.setattr(LOOKUP.tempfile, "gettempdir", lambda: str(tmp_path))
    (tmp_path / "data-gym-cache").mkdir()
    (tmp_path / NAME).rename(tmp_path / "data-gym-cache" / NAME)
    assert tokenizers()(card()) is not None


def test_without_tiktoken_the_count_is_an_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    LOOKUP._encoding.cache_clear()
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    assert Counter(tokenizers()).count(card(), [Message.user("x")]).source == "estimate"
    LOOKUP._encoding.cache_clear()
