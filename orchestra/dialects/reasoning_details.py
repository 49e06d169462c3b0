"""OpenRouter's `reasoning_details`: thoughts, summaries, signatures and encrypted blocks, to be returned unchanged."""

from __future__ import annotations

import json
from typing import Any

from orchestra.dialects.loose import is_object, parse, sequence

_WRITTEN_ON = ("text", "summary", "data")


def returned(state: str) -> list[Any]:
    """What `state` kept, as it goes back; nothing where that is no list of objects, which the server would refuse."""
    try:
        kept = sequence(parse(state))
    except ValueError:
        return []
    return kept if all(map(is_object, kept)) else []


class ReasoningDetails:
    """The details of one message while their pieces arrive."""

    def __init__(self) -> None:
        self._found: list[_Block] = []

    @property
    def begun(self) -> bool:
        """Whether there are any."""
        return bool(self._found)

    def state(self) -> str:
        """All of them, as JSON text."""
        return json.dumps([block.whole() for block in self._found])

    def add(self, message: dict[str, Any]) -> bool:
        """Takes in what a message, or a delta of one, holds; False where that is nothing."""
        pieces = [piece for piece in sequence(message.get("reasoning_details")) if is_object(piece)]
        # Within one message no block goes on with another: only what a chunk begins with may go on with what was there.
        goes_on = bool(pieces and self._found) and self._found[-1].continued_by(pieces[0])
        if goes_on:
            self._found[-1].add(pieces[0])
        self._found += map(_Block, pieces[goes_on:])
        return bool(pieces)


class _Block:
    """One detail; what is written on is kept in pieces."""

    def __init__(self, piece: dict[str, Any]) -> None:
        self._fields = dict(piece)
        self._pieces: dict[str, list[str]] = {}
        for name in _WRITTEN_ON:
            if isinstance(text := piece.get(name), str):
                self._pieces[name] = [text]

    def whole(self) -> dict[str, Any]:
        """The detail as one object."""
        return self._fields | {name: "".join(pieces) for name, pieces in self._pieces.items()}

    def continued_by(self, piece: dict[str, Any]) -> bool:
        """Whether a piece goes on with this: the same kind at the same index, and no new id."""
        same = "index" in piece and all(piece.get(name) == self._fields.get(name) for name in ("type", "index"))
        return same and piece.get("id") in (None, self._fields.get("id"))

    def add(self, piece: dict[str, Any]) -> None:
        """Takes in a piece of it: texts go on, other fields stand as last told."""
        for name, value in piece.items():
            if name in _WRITTEN_ON and isinstance(value, str):
                self._pieces.setdefault(name, []).append(value)
            elif value is not None:
                self._fields[name] = value
