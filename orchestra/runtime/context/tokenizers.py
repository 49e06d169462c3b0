"""Which tokenizers are at hand: those in weights on this machine, and tiktoken's where its files lie in its cache."""

from __future__ import annotations

import hashlib
import importlib
import os
import tempfile
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from orchestra.errors import OrchestraError
from orchestra.fleet.counter import Tokenizer
from orchestra.local import WeightStore
from orchestra.local.bpe import BytePairs, read_tokenizer
from orchestra.local.files import weights_file
from orchestra.types import ModelCard

_ENCODINGS = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"  # by it tiktoken names its cached files
_SHA256 = {
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
}


def tokenizers(store: WeightStore | None = None) -> Callable[[ModelCard], Tokenizer | None]:
    """The lookup for a Counter. It never downloads; a tokenizer is read when first asked for, which takes about 0.3 s.

    `store` is where embedded weights lie; by default the user's.
    """
    place = store or WeightStore()

    def find(card: ModelCard) -> Tokenizer | None:
        if card.weights is None:
            return _encoding(card.model)
        try:
            return _stored(weights_file(card, place))
        except (OrchestraError, OSError):
            return None  # not pulled yet, or unreadable: whoever serves it says so

    return find


@cache
def _stored(path: Path) -> BytePairs | None:
    return read_tokenizer(path)


class Encoding:
    """An encoding of tiktoken's."""

    framing = 3  # <|start|> role <|message|>, as OpenAI's cookbook counts

    def __init__(self, encoding: Any) -> None:  # it is no dependency, so its types are not at hand
        self._encode = encoding.encode_ordinary
        self._text = lru_cache(1_024)(self._counted)

    def count(self, text: str) -> int:
        """Tokens of a text."""
        return self._text(text)

    def _counted(self, text: str) -> int:
        return len(self._encode(text))


@cache
def _encoding(model: str) -> Encoding | None:
    try:
        tiktoken = importlib.import_module("tiktoken")
        name = tiktoken.encoding_name_for_model(model)
    except (ImportError, KeyError):
        return None
    return Encoding(tiktoken.get_encoding(name)) if name in _SHA256 and _is_cached(name) else None


def _is_cached(name: str) -> bool:
    """Whether tiktoken would find the whole file: otherwise it would download it."""
    folder = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    if folder == "":  # tiktoken's way to turn its cache off
        return False
    key = hashlib.sha1(_ENCODINGS.format(name).encode(), usedforsecurity=False).hexdigest()
    path = Path(folder or Path(tempfile.gettempdir(), "data-gym-cache")) / key
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == _SHA256[name]
