"""Thoughts that a model writes into its text, between `<think>` and `</think>`, where its server leaves them there.

Models such as Qwen's, DeepSeek's and MiniMax's do, and servers that were not told to parse it hand it on as content:
vLLM, SGLang and llama.cpp without a reasoning parser, LM Studio, Groq's `raw`.
"""

from __future__ import annotations

import string
from collections.abc import Iterable
from typing import Final

from orchestra.types import Reasoning

TAGGED: Final = "<think>"
"""The state of a reasoning that came in tags, and goes back in them."""
_CLOSED: Final = "</think>"
_UNSEEN: Final = f"{string.whitespace}\ufeff\u200b"  # with the marks that some servers begin a text with


def tagged(thoughts: Iterable[Reasoning]) -> str:
    """Those of the thoughts that came in tags, as they were written before their text."""
    return "".join(f"{TAGGED}{one.text}{_CLOSED}\n\n" for one in thoughts if one.provider_state == TAGGED)


class ThinkTags:
    """Tells the thought that a text begins with from the text, however it is split. Later tags are text."""

    def __init__(self) -> None:
        self._given: list[str] = []
        self._held = ""  # what a tag may begin with, or the space around one
        self._end: str | None = None  # what ends the part that is being read; None before it is known to be a thought
        self.over = False
        """Whether all that still comes is text."""

    @property
    def given(self) -> str:
        """All that was taken, as it came: no text has been made of it until `over`."""
        return "".join(self._given)

    @property
    def undecided(self) -> bool:
        """Whether it holds what may be text or the beginning of a tag."""
        return self._end is None and bool(self._held)

    def take(self, piece: str) -> tuple[str, str]:
        """What can be said by now: of the thought, and of the text."""
        self._given.append(piece)
        said = self._held + piece
        self._held = ""
        if self._end is None:
            begun = said.lstrip(_UNSEEN)
            if len(begun) < len(TAGGED) and TAGGED.startswith(begun):
                self._held = said
                return "", ""
            if not begun.startswith(TAGGED):
                self.over = True
                return "", said
            self._end, said = _CLOSED, begun[len(TAGGED) :]
        return self._thought(said) if self._end else self._text("", said)

    def rest(self) -> tuple[str, str]:
        """What was held and turned out to be no tag, now that the reply has ended; the space behind one is nothing."""
        held, self._held, self.over = self._held, "", True
        return (held, "") if self._end else ("", held if self._end is None else "")

    def _thought(self, said: str) -> tuple[str, str]:
        thought, closed, text = said.partition(_CLOSED)
        if closed:
            self._end = ""
            return self._text(thought, text)
        begins = next((n for n in range(min(len(said), len(_CLOSED) - 1), 0, -1) if said.endswith(_CLOSED[:n])), 0)
        self._held = said[len(said) - begins :]
        return said[: len(said) - begins], ""

    def _text(self, thought: str, said: str) -> tuple[str, str]:
        text = said.lstrip(_UNSEEN)
        self.over = bool(text)
        return thought, text
