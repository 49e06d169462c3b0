"""The real 0.5B model's tokenizer, beside the numbers that llama.cpp's own /tokenize gives for the same texts."""

from __future__ import annotations

import pytest

from orchestra.fleet import Fleet
from orchestra.local import EMBEDDED, WeightStore
from orchestra.runtime.context.tokenizers import tokenizers

pytestmark = pytest.mark.weights

TEXTS = {
    "hello world": 2,
    "SELECT species, AVG(body_mass_g) FROM penguins GROUP BY 1;": 16,
    '{"rows": [{"n": 12345.678}]}': 18,
    "Grüße, 日本語テキスト 中文 한국어 😀": 15,
    "don't WE'LL they'RE": 7,
    "x²½Ⅷ३ 3.14": 12,
    "_a_b __init__  \n\n\t  done\r\n": 9,
    "नमस्ते ทดสอบ عربي": 9,
}


def test_it_counts_as_llama_cpp_does() -> None:
    small, store = Fleet.embedded().models["small"], WeightStore()
    if store.path(small.weights or "") is None:
        name = EMBEDDED[small.model].name
        pytest.skip(f"no weights in {store.root}; get them with `orchestra models pull {name}`")
    tokenizer = tokenizers(store)(small)
    assert tokenizer is not None
    assert {text: tokenizer.count(text) for text in TEXTS} == TEXTS
