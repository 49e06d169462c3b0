"""Small GGUF heads, written by hand."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any


def write_gguf(path: Path, metadata: dict[str, Any], version: int = 3) -> Path:
    """A GGUF file of this metadata and no tensors: strings, integers, booleans and lists of strings or integers."""
    body = b"".join(_string(key) + struct.pack("<I", _kind(value)) + _value(value) for key, value in metadata.items())
    path.write_bytes(struct.pack("<4sIQQ", b"GGUF", version, 0, len(metadata)) + body)
    return path


def qwen(path: Path, *merges: str, model: str = "gpt2", split: str = "qwen2") -> Path:
    """A file with a tokenizer of the embedded models' kind."""
    return write_gguf(
        path,
        {
            "general.name": "tiny",
            "layers": 2,
            "tokenizer.ggml.model": model,
            "tokenizer.ggml.pre": split,
            "tokenizer.ggml.token_type": [1, 1],
            "tokenizer.ggml.merges": list(merges),
            "tokenizer.ggml.add_bos_token": False,
        },
    )


def _kind(value: Any) -> int:
    return {str: 8, list: 9, bool: 7, int: 4}[type(value)]


def _value(value: Any) -> bytes:
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, list):
        kind = _kind(value[0]) if value else 8
        return struct.pack("<IQ", kind, len(value)) + b"".join(map(_value, value))
    return struct.pack("<?" if isinstance(value, bool) else "<I", value)


def _string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()
