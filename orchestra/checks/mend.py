"""Lossless mending: JSON that was written sloppily but can mean only one thing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from orchestra.checks.strict import NotJson, read_json
from orchestra.types import Json

_FENCED = re.compile(r"[^`{\[\"]*```[\w-]*\s(?P<body>.*?)(?:```[^`{\[\"]*)?", re.DOTALL)
_TOKEN = re.compile(
    r"""(?P<double>"(?:[^"\\]|\\.)*")|(?P<single>'(?:[^'\\]|\\.)*')|(?P<curly>“[^“”\\]*”)
    |(?P<open>[{\[])|(?P<close>[}\]])|(?P<mark>[,:])|(?P<space>\s+)|(?P<word>[^\s"'“”{}\[\],:]+)""",
    re.DOTALL | re.VERBOSE,
)
_PYTHON = {"True": "true", "False": "false", "None": "null"}
_IN_STRING = re.compile(r"\\.|[\"\x00-\x1f]", re.DOTALL)
_CLOSER = {"{": "}", "[": "]"}


def mend(text: str) -> tuple[Json, tuple[str, ...]] | None:
    """The value of JSON text, and what had to be mended for it; None where the text is beyond lossless mending.

    Mended are code fences, trailing commas, quotes (single, typographic), unescaped line breaks in strings, Python's
    True/False/None, and brackets at the very end: surplus ones and one that is missing. Never call it for a reply that
    was cut: a mended truncation is valid JSON with a wrong value.
    """
    try:
        return read_json(text), ()
    except NotJson:
        pass
    rewriting = _Rewriting()
    try:
        return read_json(rewriting.rewrite(_unfenced(text, rewriting.notes))), tuple(rewriting.notes)
    except NotJson:
        return None


def _unfenced(text: str, notes: dict[str, None]) -> str:
    fenced = _FENCED.fullmatch(text.strip())
    if fenced is None:
        return text
    notes["took the JSON out of its code fence"] = None
    return fenced["body"]


@dataclass(slots=True)
class _Rewriting:
    """Token by token from sloppy to strict; whatever it does not know it leaves for the strict reader to refuse."""

    out: list[str] = field(default_factory=list[str])
    open: list[str] = field(default_factory=list[str])
    notes: dict[str, None] = field(default_factory=dict[str, None])

    def rewrite(self, text: str) -> str:
        position = 0
        while position < len(text):
            token = _TOKEN.match(text, position)
            if token is None:
                raise NotJson("a quote without its end")
            self._take(token.lastgroup or "", token[0])
            position = token.end()
        self._finish()
        return " ".join(self.out)  # the space keeps `tru e` from becoming `true`

    def _take(self, kind: str, token: str) -> None:
        if kind == "space" or (kind == "close" and self._surplus(token)):
            return
        if kind in ("double", "single", "curly"):
            token = self._string(kind, token)
        elif kind == "open":
            self.open.append(_CLOSER[token])
        elif kind == "close":
            self._close(token)
        elif token in _PYTHON:
            self.notes["wrote Python's constants as JSON"] = None
            token = _PYTHON[token]
        self.out.append(token)

    def _string(self, kind: str, token: str) -> str:
        if kind != "double":
            self.notes["replaced the quotes by double quotes"] = None
        return f'"{_IN_STRING.sub(self._escaped, token[1:-1])}"'

    def _escaped(self, found: re.Match[str]) -> str:
        piece = found[0]
        if piece == "\\'":  # no escape in JSON, and it can only mean the apostrophe
            self.notes["replaced a backslash and apostrophe by the apostrophe"] = None
            return "'"
        if piece == '"':
            return '\\"'
        if len(piece) == 1:
            self.notes["escaped line breaks and control characters in strings"] = None
            return f"\\u{ord(piece):04x}"
        return piece

    def _surplus(self, token: str) -> bool:
        if self.open or not self.out:
            return False
        self.notes[f"removed a surplus {token}"] = None
        return True

    def _close(self, token: str) -> None:
        if not self.open or self.open.pop() != token:
            raise NotJson("a bracket closes what was not opened")
        if self.out[-1] == "," and self._value_before():
            self.notes["removed a trailing comma"] = None
            self.out.pop()

    def _value_before(self) -> bool:
        return self.out[-2] not in {"{", "[", ",", ":"}

    def _finish(self) -> None:
        # One bracket is forgotten; two, or one after an unfinished pair, look like a reply that was cut.
        if len(self.open) == 1 and self.out[-1] not in {"{", "[", ",", ":"}:
            self.notes[f"added the missing {self.open[0]} at the end"] = None
            self.out.append(self.open[0])
