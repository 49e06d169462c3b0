"""What an answer in words says: the names and numbers in it, in the order in which they stand."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

_HALVES = "january february march april may june", "july august september october november december"
MONTHS = tuple(month for half in _HALVES for month in half.split())
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")

_VALUES = {word: value for value, word in enumerate(WORDS)}
_NUMBER = re.compile(r"(?<![\w.])-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[+-]?\d+)?(?!\d|(?:st|nd|rd|th)\b)")
_DATE = re.compile(r"\d{4}-\d{2}(-\d{2})?")
_WORD = re.compile(rf"\b(?:{'|'.join(WORDS)})\b")
_OTHER_SIDE = re.compile(r"\b(?:than|versus|vs|compared (?:to|with)|unlike|not)\b[^.;:\n]*")
_NEXT_BEST = re.compile(r"\b(?:followed by|ahead of)\b[^.;:\n]*")


@dataclass(frozen=True, slots=True)
class Number:
    """A number as written: its value, and what its last digit is worth, 0.1 for 3.5."""

    value: float
    unit: float = 1.0


def plain(text: str) -> str:
    """The text for comparing: one form of every letter, lower case, single blanks, no marks of emphasis."""
    text = unicodedata.normalize("NFKC", text).replace("−", "-").casefold()  # noqa: RUF001  # the minus people write
    return re.sub(r"[^\S\n]+", " ", re.sub(r"[*`]", "", text))


def claims(text: str, *, one: bool) -> str:
    """Plain text without what it only compares with: "Gentoo is heavier than Adelie" claims Gentoo.

    An answer of `one` row compares with "followed by" too; in an answer of several it leads to the next row.
    """
    text = _OTHER_SIDE.sub(" ", text)
    return _NEXT_BEST.sub(" ", text) if one else text


def find_names(text: str, names: Iterable[str]) -> tuple[list[str], str]:
    """The names in plain text in the order of their first mention, and the text without them.

    Longer names are found first: "Tea" does not stand in "Green Tea". Dates may be written out.
    """
    at: dict[str, int] = {}
    for name in sorted(names, key=lambda name: (-len(name), name)):
        for spelling in _spellings(name):
            pattern = re.compile(rf"(?<!\w){re.escape(spelling)}(?!\w)")
            if found := pattern.search(text):
                at[name] = min(found.start(), at.get(name, found.start()))
                text = pattern.sub(lambda match: " " * len(match[0]), text)
    return sorted(at, key=lambda name: at[name]), text


def find_numbers(text: str) -> list[Number]:
    """The numbers in plain text, in order; dates such as 2024-03-15 and ordinals such as 2nd are none."""
    return [_number(found[0]) for found in _NUMBER.finditer(_DATE.sub(" ", text))]


def find_number_words(text: str) -> list[Number]:
    """Numbers that plain text writes as words, zero to twelve."""
    return [Number(_VALUES[found[0]]) for found in _WORD.finditer(text)]


def _number(written: str) -> Number:
    digits = written.replace(",", "")
    mantissa, _, exponent = digits.partition("e")
    decimals = len(mantissa.partition(".")[2])
    return Number(float(digits), 10.0 ** (int(exponent or 0) - decimals))


def _spellings(name: str) -> list[str]:
    written = plain(name).strip()
    if not _DATE.fullmatch(written):
        return [written] if written else []
    try:
        day = date.fromisoformat(f"{written}-01"[:10])
    except ValueError:
        return [written]
    month = MONTHS[day.month - 1]
    if len(written) == len("2024-03"):
        return [written, f"{month} {day.year}", f"{month}, {day.year}", f"{month} of {day.year}"]
    return [written, f"{month} {day.day}, {day.year}", f"{month} {day.day} {day.year}", f"{day.day} {month} {day.year}"]
