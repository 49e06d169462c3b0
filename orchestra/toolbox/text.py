"""A file's bytes as lines of text, whatever its encoding; or the finding that it is no text."""

from __future__ import annotations

import codecs
import re

_MARKS = (  # the longer mark first: UTF-32's begins like UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BREAK = re.compile(r"\r\n|\r|\n")  # what editors count; str.splitlines breaks at form feeds too


def lines_of(data: bytes) -> list[str] | None:
    """The lines without their ends, or None where the bytes are no text: they hold NUL, or begin as a PDF does.

    UTF-8, UTF-16 and UTF-32 with their marks, else Windows-1252; what cannot be decoded becomes U+FFFD.
    """
    text = _decode(data)
    if text is None:
        return None
    lines = _BREAK.split(text)
    return lines if lines[-1] else lines[:-1]


def _decode(data: bytes) -> str | None:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    if b"\0" in data or data.startswith(b"%PDF-"):
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")
