"""The opening of a streamed reply: text that may turn out to be a tool call written as text is judged as a whole."""

from __future__ import annotations

import re

from orchestra.checks import Expect
from orchestra.dialects import Delta
from orchestra.types import TextDelta


class Opening:
    """Lets a reply's pieces through, but its text only once that has begun as no written call does.

    Where a call is required, text is none of the answer before the whole is known.
    """

    def __init__(self, expect: Expect) -> None:
        self._past, self._never = not expect.tools, expect.require_call
        self._held: list[Delta] = []
        self._text = ""

    def through(self, piece: Delta) -> list[Delta]:
        """What may be handed on now that this piece has come."""
        if not isinstance(piece, TextDelta) or (self._past and not self._never):
            return [piece]
        self._held.append(piece)
        self._text += piece.text
        if self._never or _MAY_BE_CALL.fullmatch(self._text):
            return []
        self._past, held, self._held = True, self._held, []
        return held


_MAY_BE_CALL = re.compile(r"\s*(`{0,3}|```\w*\s*|(```\w*\s*)?\{.*)", re.DOTALL)
