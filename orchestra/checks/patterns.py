"""Searching with a stranger's regular expression: what `re` might never come back from is walked in one pass.

`re` tries every way in which repeats can share a text out: a `^(a+)+$` in a tool's schema and forty letters of a model
would hold up the whole process for hours, whatever the deadline.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from math import exp, log, log1p
from typing import Any, cast

MOST_TRIED = 16.0  # the logarithm of nine million steps of `re`: about a tenth of a second
MOST_WALKED = 2_000_000  # steps of a walk: about a second
MOST_PLACES = 2_000


def search(pattern: str, text: str) -> bool | None:
    """Whether the pattern is found in the text, as `re.search` has it; None where that could take too long to tell.

    Raises re.error where it is no pattern.
    """
    known = _known(pattern)
    if known.effort(len(text).bit_length()) <= MOST_TRIED:
        return known.compiled.search(text) is not None
    return known.walked(text)


class _Pattern:
    """A pattern with what is known of it."""

    def __init__(self, pattern: str) -> None:
        self.compiled = re.compile(pattern)
        self._parsed: Any = import_module("re._parser").parse(pattern)
        self._efforts: dict[int, float] = {}
        self._walk: _Walk | None = None

    def effort(self, bits: int) -> float:
        """The logarithm of the steps that `re` takes at most for a text whose length has so many bits."""
        if bits not in self._efforts:
            length = 1 << bits
            anchored = len(self._parsed) and str(self._parsed[0][0]) == "AT"
            places = 1 if anchored else length
            self._efforts[bits] = log(places) + _effort(self._parsed, length)
        return self._efforts[bits]

    def walked(self, text: str) -> bool | None:
        """Whether it is found, in steps that grow as the text does; None where it cannot be walked, or not so far."""
        try:
            self._walk = self._walk or _Walk(self._parsed)
        except _NoWalkError:
            return None
        return self._walk.finds(text) if self._walk.places * len(text) <= MOST_WALKED else None


_known = lru_cache(maxsize=512)(_Pattern)


def _effort(parsed: Any, length: int) -> float:
    """The logarithm of the number of ways in which a text of this length may be shared out among the parts."""
    efforts = [(str(kind).startswith("ASSERT"), _effort_of(str(kind), given, length)) for kind, given in parsed]
    looked = sum(_ways(effort) for around, effort in efforts if around)  # what looks around is never gone back into
    return sum(effort for around, effort in efforts if not around) + log1p(looked)


def _effort_of(kind: str, given: Any, length: int) -> float:
    if kind == "BRANCH":
        return log(sum(_ways(_effort(branch, length)) for branch in given[1]))
    if "REPEAT" not in kind:
        parts = cast("Sequence[Any]", given if isinstance(given, tuple) else (given,))
        return sum(_effort(part, length) for part in parts if hasattr(part, "getwidth"))  # as parsed patterns have
    least, most, body = given
    each = _effort(body, length)
    if least == most:
        return most * each
    rounds = min(most, least + length)
    return rounds * log1p(_ways(each)) if each else log1p(rounds - least)


def _ways(effort: float) -> float:
    return exp(min(effort, 700.0))  # the greatest there is


class _NoWalkError(Exception):
    """The pattern looks around or back at what it matched, or has too many places."""


class _Walk:
    """A pattern as places with ways between them: all places that a text leads to are walked at once (Thompson)."""

    def __init__(self, parsed: Any) -> None:
        self._parsed, self._compile = parsed, import_module("re._compiler").compile
        self._tests: list[Any] = [None]  # what has to match at a place: one character, or where it stands
        self._ways: list[Sequence[int]] = [()]  # place 0 is the end
        self._start = self._sequence(parsed, 0)

    @property
    def places(self) -> int:
        """How many there are."""
        return len(self._ways)

    def finds(self, text: str) -> bool:
        """Whether the pattern is found in the text."""
        reached: set[int] = set()
        for at in range(len(text) + 1):
            reached.add(self._start)
            pending, ahead = list(reached), set[int]()
            while pending:
                if (place := pending.pop()) == 0:
                    return True
                test = self._tests[place]
                matched = test and test.match(text, at)
                if matched and matched.end() > at:
                    ahead.update(self._ways[place])
                elif matched or test is None:
                    new = set(self._ways[place]) - reached
                    reached |= new
                    pending += new
            reached = ahead
        return False

    def _place(self, test: Any, *ways: int) -> int:
        if self.places == MOST_PLACES:
            raise _NoWalkError
        self._tests.append(test)
        self._ways.append(ways)
        return self.places - 1

    def _sequence(self, parsed: Any, after: int) -> int:
        """The place where these parts begin; the last of them leads to `after`."""
        for part in reversed(list(parsed)):
            after = self._part(part, after)
        return after

    def _part(self, part: tuple[Any, Any], after: int) -> int:
        kind, given = str(part[0]), part[1]
        if kind in ("MAX_REPEAT", "MIN_REPEAT"):
            return self._repeat(given, after)
        if kind == "BRANCH":
            return self._place(None, *[self._sequence(branch, after) for branch in given[1]])
        if kind == "SUBPATTERN" and not any(given[1:3]):  # no flags of its own
            return self._sequence(given[3], after)
        if kind not in _TESTS:
            raise _NoWalkError
        return self._place(self._compile(type(self._parsed)(self._parsed.state, [part])), after)

    def _repeat(self, given: tuple[int, int, Any], after: int) -> int:
        least, most, body = given
        if str(most) == "MAXREPEAT":
            begin = self._place(None)
            self._ways[begin] = (self._sequence(body, begin), after)
        else:
            begin = after
            for _ in range(most - least):
                begin = self._place(None, self._sequence(body, begin), after)
        for _ in range(least):
            begin = self._sequence(body, begin)
        return begin


_TESTS = frozenset({"LITERAL", "NOT_LITERAL", "ANY", "IN", "AT"})
