"""The tokenizer that stands in a GGUF file counts without the model being loaded."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.local.bpe import BytePairs, read_tokenizer
from orchestra.local.gguf import read_metadata
from tests.local.gguf_file import qwen, write_gguf


def test_metadata_are_read_by_key_and_the_rest_is_skipped(tmp_path: Path) -> None:
    path = write_gguf(
        tmp_path / "a.gguf", {"a": "ä", "many": ["x", "y"], "n": 7, "yes": True, "ints": [1, 2], "z": "z"}
    )
    assert read_metadata(path, ["a", "many", "ints"]) == {"a": "ä", "many": ["x", "y"], "ints": [1, 2]}
    assert read_metadata(path, ["yes", "n", "nothing"]) == {"yes": True, "n": 7}


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda data: b"PK" + data[2:], "no GGUF file of version 2 or 3"),
        (lambda data: data[:4] + struct.pack("<I", 1) + data[8:], "no GGUF file of version 2 or 3"),
        (lambda data: data[:30], "ends within its metadata"),
        (lambda data: b"", "ends within its metadata"),
        (lambda data: data[:33] + struct.pack("<I", 99) + data[37:], "GGUF has no type 99"),
    ],
)
def test_a_damaged_head_is_refused_and_has_no_tokenizer(tmp_path: Path, damage: object, told: str) -> None:
    path = write_gguf(tmp_path / "a.gguf", {"a": "value"})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=told):
        read_metadata(path, ["a", "b"])
    assert read_tokenizer(path) is None


@pytest.mark.parametrize("kind", [{"model": "llama"}, {"split": "llama-bpe"}])
def test_a_tokenizer_of_another_kind_is_left_alone(tmp_path: Path, kind: dict[str, str]) -> None:
    assert read_tokenizer(qwen(tmp_path / "a.gguf", **kind)) is None


def test_the_earliest_merge_comes_first_and_everywhere(tmp_path: Path) -> None:
    tokenizer = read_tokenizer(qwen(tmp_path / "a.gguf", "a b", "b c", "ab c", "Ġ abc"))
    assert tokenizer is not None
    assert [tokenizer.count(text) for text in ("", "ab", "abc", "bc", "bca", "abab", " abc", "x")] == [
        0, 1, 1, 1, 2, 2, 1, 1,
    ]  # fmt: skip


def test_words_are_split_as_the_models_family_splits_them() -> None:
    merges = ["h i", "' s", "Ġ hi", "Ċ Ċ", "Ġ Ġ", "1 2", "! !", "_ hi", "Â ²"]
    count = BytePairs(merges).count
    assert count("hi hi") == 2
    assert count("hi's") == 2  # an apostrophe with its letter is a word
    assert count("12") == 2  # every digit is one
    assert count("!!") == 1
    assert count("_hi") == 1  # one sign may open a word
    assert count("a\n\nb") == 3
    assert count("a   b") == 4  # the last space belongs to the word, which no merge joins
    assert count("x²") == 2  # a number of another kind is a word of its own
    assert count("\ud800") == 1  # what UTF-8 cannot say


@given(st.text(max_size=200))
def test_without_merges_every_byte_is_a_token(text: str) -> None:
    assert BytePairs([]).count(text) == len(text.encode(errors="replace"))


def test_a_long_run_of_letters_is_cut_and_a_long_text_taken_to_go_on_as_it_begins() -> None:
    count = BytePairs(["a a", "aa aa"]).count
    assert count("a" * 1_024) == 256
    assert count("a " * 500_000) == 10 * count("a " * 50_000)
