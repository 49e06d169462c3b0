"""The opening of a streamed reply: text that may turn out to be a tool call written as text is judged as a whole."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from orchestra.dialects import Delta
from orchestra.dispatch.call import Call
from orchestra.types import TextDelta


class Opening:
    """Lets through what a call hands on, but text only once it has begun as no written call does.

    Where a call is required, text is none of the answer before the whole is known.
    """

    def __init__(self, call: Call) -> None:
        self._no_text = call.expect.require_call
        self._all = not (self._no_text or call.expect.tools)
        self._held: list[TextDelta] = []

    def through(self, pieces: Sequence[Delta]) -> Iterable[Delta]:
        """What may be handed on now that these pieces have come, in order."""
        if self._all:
            return pieces
        return [one for piece in pieces for one in self._released(piece)]

    def _released(self, piece: Delta) -> Sequence[Delta]:
        if self._all or not isinstance(piece, TextDelta):
            return (piece,)
        if self._no_text:
            return ()
        self._held.append(piece)
        text = "".join(one.text for one in self._held)
        self._no_text = _BRACE.match(text) is not None
        self._all = not self._no_text and not _NOTHING_YET.fullmatch(text)
        return self._held if self._all else ()


_NOTHING_YET = re.compile(r"\s*(`{0,3}|```\w*\s*)")
_BRACE = re.compile(r"\s*(```\w*\s*)?\{")
