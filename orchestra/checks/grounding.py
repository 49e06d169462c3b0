"""Grounding: whether the numbers of an answer stand in what it was made from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import permutations
from typing import cast

from orchestra.checks.citations import numbers
from orchestra.types import Json

MOST = 30  # source numbers that are combined: among more, some two always give the number looked for
LONGEST = 30  # digits of a number; beyond, it is an identifier, which stands somewhere as it is or nowhere
_HUNDRED = Decimal(100)
_THOUSANDS = re.compile(r"(?<=\d)\s(?=\d{3}(?!\d))")
_COMMA = re.compile(r"(?<=\d),(?=\d)")
# what numbers a list's items says nothing
_NUMBERED = re.compile(r"^(?:[>*-]|[^\S\n])*\d{1,2}[.)]\s+(?=\S)", re.MULTILINE)
_BETWEEN = re.compile(r"[,;]\s*(?:and\b)?|\band\b")


def ungrounded(text: str, sources: Sequence[str]) -> tuple[str, ...]:
    """The numbers of `text`, in one spelling, that follow from none of the `sources`.

    A number follows where it stands in a source, in any spelling, rounded, or as the percentage of a fraction; where it
    counts the items of a list; and where it is the sum, difference, product or quotient of two source numbers: what
    is computed right was not invented. Signs are not compared. Words such as "three" are not read.
    """
    told = {_decimal(number) for source in sources for reading in _readings(source) for number in numbers(reading)}
    counts = {count for each in (*sources, text) for count in _counts(each)}
    missing = (
        sorted(number for number in numbers(reading) if not _follows(_decimal(number), told, counts))
        for reading in _readings(_NUMBERED.sub("", text))
    )
    return tuple(min(missing, key=len))


def _readings(text: str) -> tuple[str, ...]:
    """As it stands, with spaces between thousands, with commas between numbers: [1,2] is not 1.2."""
    return tuple(dict.fromkeys((text, _THOUSANDS.sub("'", text), _COMMA.sub(", ", text))))


def _decimal(number: str) -> Decimal:
    return Decimal(number)


def _follows(number: Decimal, told: set[Decimal], counts: set[int]) -> bool:
    if number in told or number in counts:
        return True
    if len(number.as_tuple().digits) > LONGEST:
        return False
    near = _half_unit(number)
    if any(abs(number - one) <= near for source in told for one in _said_of(source, number)):
        return True
    # of one or two digits without a point, nearly everything is near some two numbers' quotient
    near = near if near < Decimal("0.5") or number >= _HUNDRED else Decimal(0)
    pairs = permutations(told, 2) if len(told) <= MOST else ()
    return any(abs(number - one) <= near for pair in pairs for one in _made(*pair))


def _half_unit(number: Decimal) -> Decimal:
    return Decimal(5).scaleb(cast("int", number.as_tuple().exponent) - 1)


def _said_of(source: Decimal, number: Decimal) -> Iterator[Decimal]:
    yield source
    if source < 1:
        yield source * _HUNDRED
    elif number < 1:
        yield source / _HUNDRED


def _made(one: Decimal, other: Decimal) -> Iterator[Decimal]:
    yield one + other
    yield one * other
    yield abs(one - other)
    if other:
        yield one / other
        yield one / other * _HUNDRED
        yield abs(one - other) / other * _HUNDRED


def _counts(text: str) -> Iterator[int]:
    """How many items the lists in a text have: those of JSON, and those in a line of prose."""
    try:
        yield from _lengths(json.loads(text))
    except (ValueError, RecursionError):
        yield from (count for line in text.splitlines() if (count := len(_BETWEEN.split(line))) > 1)


def _lengths(value: Json) -> Iterator[int]:
    if isinstance(value, list):
        items = value
        yield len(items)
    else:
        items = list(value.values()) if isinstance(value, dict) else []
    for item in items:
        yield from _lengths(item)
