"""Redaction: secrets leave every string before it is stored, logged or handed to a listener.

Two nets. The secrets that are known are replaced wherever they stand, also escaped as JSON, as a Python literal or in
a URL. What merely looks like a secret is replaced too: better a harmless word lost than a key kept.
"""

from __future__ import annotations

import dataclasses
import json
import re
import typing
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from functools import cache, lru_cache, partial
from operator import is_
from typing import Any, Literal, TypeVar, cast, get_args, get_origin
from urllib.parse import quote, quote_plus
from uuid import UUID

from orchestra.types import Json, ModelCard

MARK = "[redacted]"
SHORTEST = 6
"""A known secret shorter than this cannot be told from ordinary text and is left alone."""

T = TypeVar("T")


def redact(value: T, secrets: Iterable[str] = ()) -> T:
    """`value` (text, plain JSON, or a value of this package) without `secrets` and whatever looks like one."""
    return Redactor(secrets).value(value)


class Redactor:
    """Takes the given secrets, and whatever looks like one, out of strings and out of values made of strings."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._given: set[str] = set()
        self._known: list[str] = []
        self._known_forms: set[str] = set()  # in a text and in JSON
        self._short = lru_cache(maxsize=2048)(self._clean)  # names and reasons come again and again
        self._visits: dict[type, Callable[[Any], Any]] = {ModelCard: self._card}
        self._cards: dict[int, tuple[ModelCard, ModelCard]] = {}
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> bool:
        """Take these secrets out as well from now on; whether any was new."""
        new = {secret.strip() for secret in secrets if len(secret.strip()) >= SHORTEST} - self._given
        if not new:
            return False
        self._given |= new
        given = {form for secret in self._given for form in _forms(secret)}
        self._known = sorted(given, key=len, reverse=True)  # a secret that begins another must not leave its tail
        self._known_forms = given | {form for known in given for form in _in_json(known)}
        self._short.cache_clear()
        self._cards.clear()
        return True

    def suspects(self, text: str) -> bool:
        """Whether a text or JSON text may hold what `value` would take out of the value that was written.

        To look through the text once takes a fraction of the time of a visit to every string.
        """
        if any(map(text.__contains__, self._known_forms)):
            return True
        if "\\u" in text and _ESCAPED_LETTER.search(text):
            return True
        return _MARKER_BUT_OURS.search(_lower(text)) is not None

    def text(self, text: str) -> str:
        """The text with each secret replaced by `[redacted]`; the same object where there is none."""
        clean = self._short(text) if len(text) <= _SHORT else self._clean(text)
        return text if clean == text else clean  # what is remembered is an equal text, and may be another object

    def known(self, text: str) -> str:
        """The text without the given secrets; what merely looks like one stays."""
        for form in self._known:
            if form in text:
                text = text.replace(form, MARK)
        return text

    def known_in(self, value: Json) -> Json:
        """Plain JSON without the given secrets; what merely looks like one, or is named as one, stays."""
        if not self._known:
            return value
        match value:
            case str():
                return self.known(value)
            case Mapping():
                return {self.known(key): self.known_in(item) for key, item in value.items()}
            case list() | tuple():
                return [self.known_in(item) for item in value]
            case _:
                return value

    def value(self, value: T) -> T:
        """The value with every string in it redacted, keys included; the same object where nothing was found."""
        return self._visit(value)

    def _clean(self, text: str) -> str:
        text = self.known(text)
        if _has_marker(text):
            for pattern, replacement in _PATTERNS:
                text = pattern.sub(replacement, text)
        return text

    def _visit(self, value: Any) -> Any:
        cls = value.__class__
        visit = self._visits.get(cls)
        if visit is None:
            visit = self._visits[cls] = self._visitor(cls)
        return visit(value)

    def _visitor(self, cls: Any) -> Callable[[Any], Any]:
        if issubclass(cls, Enum | UUID):
            return _untouched if issubclass(cls, str) else self._encoded
        if issubclass(cls, str):
            return self.text
        if issubclass(cls, tuple | list):
            return self._items
        if issubclass(cls, Mapping):
            return self._mapping
        if not dataclasses.is_dataclass(cls):
            return _untouched
        names = text_fields(cls)
        return partial(self._fields, names) if names else _untouched

    def _encoded(self, value: Enum | UUID) -> Any:
        """What is stored as text that it is not."""
        said = str(value.value if isinstance(value, Enum) else value)
        clean = self.text(said)
        return value if clean is said else clean

    def _card(self, card: ModelCard) -> ModelCard:
        """A fleet's cards come with every decision: each is looked at once, and held so that its id stays its own."""
        known = self._cards.get(id(card))
        if known is None:
            if len(self._cards) >= _CARDS:
                self._cards.clear()
            known = self._cards[id(card)] = (card, self._fields(text_fields(ModelCard), card))
        return known[1]

    def _items(self, items: Sequence[Any]) -> Sequence[Any]:
        clean = [self._visit(item) for item in items]
        if all(map(is_, clean, items)):
            return items
        return tuple(clean) if isinstance(items, tuple) else clean

    def _mapping(self, mapping: Mapping[Any, Any]) -> Mapping[Any, Any]:
        clean = {self._visit(key): self._entry(key, value) for key, value in mapping.items()}
        unchanged = len(clean) == len(mapping) and all(map(is_, clean, mapping))
        return mapping if unchanged and all(map(is_, clean.values(), mapping.values())) else clean

    def _entry(self, key: object, value: Any) -> Any:
        if isinstance(key, str) and _names_secret(key[-_SHORT:]) and not isinstance(value, Mapping):
            return _blank(value)
        return self._visit(value)

    def _fields(self, names: Sequence[str], value: Any) -> Any:
        changed: dict[str, Any] = {}
        for name in names:
            old = getattr(value, name)
            if old and (new := self._visit(old)) is not old:  # most are empty
                changed[name] = new
        return dataclasses.replace(value, **changed) if changed else value


_SHORT = 200  # characters
_CARDS = 256


def _has_marker(text: str) -> bool:
    return _MARKER.search(_lower(text)) is not None


def _lower(text: str) -> str:
    lower = text.lower()
    return lower if lower.isascii() else _as_letters(lower)


def _as_letters(lower: str) -> str:
    """As patterns that ignore case read it: to them four characters beyond ASCII are letters; `lower` knows one."""
    return lower.replace("\u017f", "s").replace("\u0131", "i").replace("i\u0307", "i")


def _any_of(markers: Iterable[str], but: Sequence[str] = ()) -> re.Pattern[str]:
    """Finds one of the markers in lower case, elsewhere than in the words of `but`.

    A marker's rarest character is looked for (not its last: what follows is quickly seen), and only there the rest.
    """
    at: defaultdict[str, list[str]] = defaultdict(list)
    for marker in markers:
        rarest = max(marker[:-1] or marker, key=_RARER.index)
        before, after = marker.split(rarest, 1)
        rest = re.escape(after) + (f"(?<={re.escape(marker)})" if before else "")
        at[rarest].append(rest + "".join([_not_in(word, marker) for word in but if marker in word]))
    return re.compile("|".join(f"{re.escape(one)}(?:{'|'.join(rest)})" for one, rest in at.items()))


def _not_in(word: str, marker: str) -> str:
    before, _, after = word.partition(marker)
    return f"(?!(?<={re.escape(before + marker)}){re.escape(after)})"


def _untouched(value: Any) -> Any:
    return value


@lru_cache(maxsize=2048)
def _names_secret(key: str) -> bool:
    return _NAME.search(key) is not None


def _blank(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_blank(item) for item in cast("Sequence[Any]", value)]
    return value if value is None or isinstance(value, bool) else MARK


def _forms(secret: str) -> set[str]:
    return {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1], *_in_json(secret)}


def _in_json(text: str) -> set[str]:
    return {json.dumps(text, ensure_ascii=ascii_alone)[1:-1] for ascii_alone in (True, False)}


@cache
def text_fields(cls: type) -> tuple[str, ...]:
    """The fields that can hold free text; a word of the vocabulary is no secret, and numbers hold none."""
    hints = typing.get_type_hints(cls)
    return tuple(field.name for field in dataclasses.fields(cls) if _holds_text(hints[field.name]))


@cache
def _holds_text(hint: Any) -> bool:
    if get_origin(hint) is Literal:
        return False
    if isinstance(hint, type):
        if dataclasses.is_dataclass(hint):
            return bool(text_fields(hint))
        return not issubclass(hint, Enum | int | float) and hint is not type(None)
    return hint is Any or any(_holds_text(arg) for arg in get_args(hint) if arg is not Ellipsis)


# What must stand in a text (lower case) for any pattern below to match; cheap to look for.
_MARKERS = (
    "sk-", "_live_", "_test_", "aiza", "akia", "asia", "ghp_", "gho_", "ghs_", "ghu_", "ghr_", "github_pat_", "glpat-",
    "xox", "xapp-", "hf_", "gsk_", "ya29.", "eyj", "bearer", "key", "token", "secret", "passw", "passphrase", "pwd",
    "authorization", "credential", "cookie", "@", "signature", "sig=",
)  # fmt: skip
_RARER = "eatsdnoc92limrfpub.-gywh_xv=jkz@"  # the further on, the rarer in the JSON of events
_MARKER = _any_of(_MARKERS)

_MARKER_BUT_OURS = _any_of(_MARKERS, but=('"key":', '"tokens":', '"max_tokens":'))  # those name no secret anywhere
_ESCAPED_LETTER = re.compile(r"\\u(?:0130|0131|017f|212a)")  # what `_as_letters` and `lower` make letters of

# A key begins where a word begins; an escape such as \n or %2F before it is no part of a word.
_EDGE = r"(?:(?<![A-Za-z])|(?<=\\[bfnrt])|(?<=%[0-9A-Fa-f]{2}))"
_SHAPES = re.compile(
    rf"""sk-(?:ant|proj|or)-[\w-]{{6,}} | {_EDGE}(?:
        sk-[\w-]{{8,}} | [rsp]k_(?:live|test)_\w{{8,}} | xox[a-z]-[\w-]{{8,}} | xapp-[\w-]{{8,}} | hf_\w{{16,}} |
        gsk_\w{{16,}} | ya29\.[\w-]{{16,}} )
    | AIza[\w-]{{20,}} | (?:AKIA|ASIA)[A-Z0-9]{{12,}} | gh[opsur]_\w{{16,}} | github_pat_\w{{16,}} | glpat-[\w-]{{16,}}
    | eyJ[\w-]{{6,1000}}\.[\w-]{{6,}}(?:\.[\w-]*)?""",
    re.VERBOSE,
)
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_BEARER = re.compile(r"(bearer(?:\s+|%20|\+))[\w.~+/=-]{6,}", re.IGNORECASE)
_USERINFO = re.compile(r"(:(?:\\?/){2})[^/\s\"'<>\\]+@")
_QUERY = re.compile(r"([?&;](?:x-)?(?:amz-|goog-)?(?:key|sig|signature|credential)=)[^&\s\"'#]+", re.IGNORECASE)

_NAMES = (
    r"(?:api|access|secret|private|signing|account|auth)[-_. ]?(?:key|token)|client[-_]?secret|secret"
    r"|passw(?:or)?d|passphrase|pwd|token|authorization|credentials?|cookie"
)
_NAME = re.compile(rf"(?:{_NAMES})$", re.IGNORECASE)
# what ends begins where the backslashes do: a long run of them is not gone through again from each of them
_QUOTED = r"""\\+".*?(?:(?<!\\)\\+"|\Z) | \\+'.*?(?:(?<!\\)\\+'|\Z) | "(?:\\.|[^"\\])*"? | '(?:\\.|[^'\\])*'?"""
_UNQUOTED = r"""[^\s"'&;,]+(?:,+[^\s"'&;,]+)*"""
_NAMED = re.compile(
    rf"""((?:{_NAMES})\\*["']?\s*(?:=>?|:)\s*)  # the name and its separator stay
    ((?:(?:bearer|basic|token)\s+)? (?:{_QUOTED} | {_UNQUOTED}))""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (_PEM, MARK),
    (_SHAPES, MARK),
    (_BEARER, rf"\g<1>{MARK}"),
    (_USERINFO, rf"\g<1>{MARK}@"),
    (_QUERY, rf"\g<1>{MARK}"),
    (_NAMED, rf"\g<1>{MARK}"),
)
