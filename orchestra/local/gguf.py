"""What stands at the head of a GGUF file: its metadata by key."""

from __future__ import annotations

import struct
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

Value: TypeAlias = "str | int | float | bool | list[Value]"

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9


def read_metadata(path: Path, wanted: Collection[str]) -> dict[str, Value]:
    """The wanted keys' values, as far as the file has them; the weights themselves are not read.

    Format: GGUF versions 2 and 3, little-endian. Raises ValueError where the head is none, OSError.
    """
    with path.open("rb") as file:
        try:
            magic, version, _, pairs = cast("tuple[bytes, int, int, int]", _unpack(file, "4sIQQ"))
            if magic != b"GGUF" or version not in (2, 3):
                raise ValueError(f"{path} is no GGUF file of version 2 or 3")
            return _read_pairs(file, pairs, set(wanted))
        except struct.error as error:
            raise ValueError(f"{path} ends within its metadata, or they are damaged") from error


def _read_pairs(file: BinaryIO, pairs: int, wanted: set[str]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for _ in range(pairs):
        key = _string(file)
        value = _value(file, _number(file, "I"))
        if key in wanted:
            found[key] = value
            if found.keys() == wanted:
                break
    return found


def _value(file: BinaryIO, kind: int) -> Value:
    if kind == _STRING:
        return _string(file)
    if kind == _ARRAY:
        inner, length = _number(file, "I"), _number(file, "Q")
        return [_value(file, inner) for _ in range(length)]
    if kind not in _SCALARS:
        raise ValueError(f"GGUF has no type {kind}")
    return cast("Value", _unpack(file, _SCALARS[kind])[0])


def _string(file: BinaryIO) -> str:
    return file.read(_number(file, "Q")).decode(errors="replace")


def _number(file: BinaryIO, form: str) -> int:
    return cast("int", _unpack(file, form)[0])


def _unpack(file: BinaryIO, form: str) -> tuple[object, ...]:
    form = f"<{form}"
    return struct.unpack(form, file.read(struct.calcsize(form)))
