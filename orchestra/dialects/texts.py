"""Texts of one message or result: several stay several; a document that is a text can be one of them."""

from __future__ import annotations

import base64
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


def read(document: Document) -> str | None:
    """What a document says whose data are a text; what is no UTF-8 in it is U+FFFD. None where there is no text."""
    if document.data is None or not document.in_words:
        return None
    try:
        return base64.b64decode(document.data, validate=True).decode(errors="replace")
    except ValueError:
        return None


def shown(document: Document) -> Text | None:
    """A document that is a text as part of the message, its name and type said; None where it is none."""
    if (text := read(document)) is None:
        return None
    named = f' id="{document.name}"' if document.name else ""
    begin, end = f'-----BEGIN FILE{named} type="{document.media_type}"-----', f"-----END FILE{named}-----"
    return Text(f"{begin}\n{text}\n{end}")
