"""Texts of one message or result: what told them apart was that they were several, and so they stay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from orchestra.types import Document, Image, Part, Text

ERROR = "Error: "
"""Begins the text of a failed result where the dialect has no flag for it."""


def apart(parts: Iterable[Part]) -> str:
    """The texts among the parts as one, where only one can be said: a line apart. One alone stays as it is.

    Not for what a model said: its texts are pieces of one, as they came.
    """
    texts = [part.text for part in parts if isinstance(part, Text)]
    if len(texts) < 2:
        return "".join(texts)
    return "".join([text if text.endswith("\n") else f"{text}\n" for text in texts[:-1]] + texts[-1:])


def failed(content: Sequence[Text | Image | Document]) -> tuple[Text | Image | Document, ...]:
    """The content of a failed result, said to be one."""
    if content and isinstance(first := content[0], Text):
        return (replace(first, text=ERROR + first.text), *content[1:])
    return (Text(ERROR), *content)
