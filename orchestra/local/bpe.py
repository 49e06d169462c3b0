"""The tokenizer of an embedded model, as llama.cpp splits text for it: byte-pair merges, read from its GGUF file."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterable
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import cast

from orchestra.local.gguf import read_metadata

_MODEL, _SPLIT, _MERGES = "tokenizer.ggml.model", "tokenizer.ggml.pre", "tokenizer.ggml.merges"
_RUN = 256  # bytes of a word that are merged at once
_LONG = 100_000  # characters that are counted: 50 ms of prose


class BytePairs:
    """Counts tokens by merging bytes in the order of the model's `merges`, each two symbols with a space between."""

    framing = 5  # ChatML, the template of this family: <|im_start|> role \n … <|im_end|> \n

    def __init__(self, merges: Iterable[str]) -> None:
        self._ranks = {merge: rank for rank, merge in enumerate(merges)}
        self._word = lru_cache(65_536)(self._merged)  # of a text's words most have been seen before
        self._text = lru_cache(1_024)(self._counted)

    def count(self, text: str) -> int:
        """Tokens of a text; one beyond `_LONG` characters is taken to go on as it begins."""
        if len(text) <= _LONG:
            return self._text(text)
        return self._text(text[:_LONG]) * len(text) // _LONG  # it overflows any small model's window anyway

    def _counted(self, text: str) -> int:
        return sum(map(self._word, _pattern().findall(text)))

    def _merged(self, word: str) -> int:
        """How many symbols are left of a word when nothing more can be merged."""
        symbols = [_BYTES[byte] for byte in word.encode(errors="replace")]
        # few tokens are long: cutting a run of a million letters costs some exactness and saves minutes
        runs = (symbols[at : at + _RUN] for at in range(0, len(symbols), _RUN))
        return sum(len(_merge(run, self._ranks)) for run in runs)


def read_tokenizer(path: Path) -> BytePairs | None:
    """The tokenizer that stands in a GGUF file; None where it is of a kind this does not know. Raises OSError."""
    try:
        found = read_metadata(path, (_MODEL, _SPLIT, _MERGES))
    except ValueError:
        return None  # whatever is wrong with the file, serving it will say
    if (found.get(_MODEL), found.get(_SPLIT)) != ("gpt2", "qwen2"):
        return None
    return BytePairs(cast("list[str]", found.get(_MERGES, [])))


def _merge(symbols: list[str], ranks: dict[str, int]) -> list[str]:
    while len(symbols) > 1:
        first = min(pairwise(symbols), key=lambda pair: ranks.get(f"{pair[0]} {pair[1]}", sys.maxsize))
        if f"{first[0]} {first[1]}" not in ranks:
            break
        symbols = _joined(symbols, first)
    return symbols


def _joined(symbols: list[str], pair: tuple[str, str]) -> list[str]:
    """The symbols with this pair made one wherever it stands, from left to right."""
    joined: list[str] = []
    for symbol in symbols:
        if joined and (joined[-1], symbol) == pair:
            joined[-1] += symbol
        else:
            joined.append(symbol)
    return joined


@cache
def _pattern() -> re.Pattern[str]:
    """How Qwen2's tokenizer splits a text into words before it merges: its published pattern, in Python's terms."""
    # \w is letters, numbers of every kind and the underscore; re has no \p{N}, so the numbers beyond \d are listed
    others = "".join(c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c) in ("Nl", "No"))
    letter, number = rf"[^\W\d_{others}]", rf"[\d{others}]"
    return re.compile(
        r"'(?i:s|t|re|ve|m|ll|d)"
        rf"|(?:[^\r\n\w]|_)?{letter}+"
        rf"|{number}"
        r"| ?(?:[^\s\w]|_)+[\r\n]*"
        r"|\s*[\r\n]+"
        r"|\s+(?!\S)"
        r"|\s+"
    )


def _byte_symbols() -> list[str]:
    """GPT-2's printable stand-ins for the 256 bytes, in which merges are written."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = iter(range(256, 512))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


_BYTES = _byte_symbols()
