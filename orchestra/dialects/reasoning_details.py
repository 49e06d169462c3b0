"""OpenRouter's `reasoning_details`: thoughts, summaries, signatures and encrypted blocks, to be returned unchanged."""

from __future__ import annotations

import json
from typing import Any

from orchestra.dialects.loose import is_object, sequence

_WRITTEN_ON = ("text", "summary", "data")


class ReasoningDetails:
    """The details of one message while their pieces arrive."""

    def __init__(self) -> None:
        self._found: list[dict[str, Any]] = []

    @property
    def state(self) -> str | None:
        """All of them, as JSON text; None where there are none."""
        return json.dumps(self._found) if self._found else None

    def add(self, message: dict[str, Any]) -> None:
        """Takes in what a message, or a delta of one, holds."""
        pieces = [piece for piece in sequence(message.get("reasoning_details")) if is_object(piece)]
        # Within one message no block goes on with another: only what a chunk begins with may go on with what was there.
        if pieces and self._found and _continues(pieces[0], self._found[-1]):
            _write_on(self._found[-1], pieces.pop(0))
        self._found += [dict(piece) for piece in pieces]


def _write_on(block: dict[str, Any], piece: dict[str, Any]) -> None:
    for name, value in piece.items():
        written = block.get(name)
        if name in _WRITTEN_ON and isinstance(value, str) and isinstance(written, str):
            block[name] = written + value
        elif value is not None:
            block[name] = value


def _continues(piece: dict[str, Any], latest: dict[str, Any]) -> bool:
    """Whether a piece goes on with the latest block: the same kind at the same index, and no new id."""
    same = "index" in piece and all(piece.get(name) == latest.get(name) for name in ("type", "index"))
    return same and piece.get("id") in (None, latest.get("id"))
