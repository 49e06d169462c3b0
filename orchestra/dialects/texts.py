"""Texts of one message or result: several stay several; a document that is a text can be one of them."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import replace

from orchestra.types import Document, Image, Text

ERROR = "Error: "
"""Begins the text of a failed result where the dialect has no flag for it."""


def failed(content: Sequence[Text | Image | Document]) -> tuple[Text | Image | Document, ...]:
    """The content of a failed result, said to be one."""
    if content and isinstance(first := content[0], Text):
        return (replace(first, text=ERROR + first.text), *content[1:])
    return (Text(ERROR), *content)


def read(document: Document) -> str | None:
    """What a document says whose data are a text, in the charset of its type, else UTF-8; None where there is no text.

    What cannot be read in it is U+FFFD. Base64 in lines, or without its padding, is read as well.
    """
    if document.data is None or not document.in_words:
        return None
    data = "".join(document.data.split()).rstrip("=")
    try:
        return _decoded(base64.b64decode(data + "=" * (-len(data) % 4), validate=True), document.media_type)
    except ValueError:
        return None


def _decoded(data: bytes, media_type: str) -> str:
    named = _CHARSET.search(media_type)
    try:
        text = data.decode(named[1] if named else "utf-8", errors="replace")
    except (LookupError, UnicodeError):  # no charset that Python knows, or none for whole texts
        text = data.decode(errors="replace")
    return text.removeprefix("\ufeff")


_CHARSET = re.compile(r"charset=[\"']?([\w.:-]+)", re.IGNORECASE)


def shown(document: Document) -> Text | None:
    """A document that is a text as part of the message, its name and type said; None where it is none."""
    if (text := read(document)) is None:
        return None
    named = f' id="{_in_line(document.name)}"' if document.name else ""
    begin = f'-----BEGIN FILE{named} type="{_in_line(document.media_type)}"-----'
    return Text(f"{begin}\n{text}\n-----END FILE{named}-----")


def _in_line(name: str) -> str:
    """A name that cannot end the line or the quotes it stands in: a stranger may have given it."""
    return " ".join(name.replace('"', "'").split())
