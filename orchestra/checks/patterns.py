"""Searching with a stranger's regular expression: what might keep `re` busy for ever is walked in one pass.

`re` tries every way in which repeats can share a text out: a `^(a+)+$` in a tool's schema and forty letters of a model
would hold up the whole process for hours, whatever the deadline. A walk knows no lookarounds, back-references, atomic
groups or possessive repeats, and no more than two thousand places: such a pattern is left to `re`, however long it
takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib import import_module
from math import log
from typing import Any, cast

MOST_TRIED = 9_000_000  # steps of `re`: about a tenth of a second
WALKED = 32  # steps of `re` in the time of one of a walk
MOST_PLACES = 2_000


def search(pattern: str, text: str) -> bool:
    """Whether the pattern is found in the text, as `re.search` has it.

    Raises re.error where it is no pattern.
    """
    known = _known(pattern)
    if walk := known.walk(len(text).bit_length()):
        return walk.finds(text)
    return known.compiled.search(text) is not None


class _Pattern:
    """A pattern with what is known of it."""

    def __init__(self, pattern: str) -> None:
        self.compiled = re.compile(pattern)
        self._parsed: Any = import_module("re._parser").parse(pattern)
        self._walks: dict[int, _Walk | None] = {}
        self._walk: _Walk | None = None

    def walk(self, bits: int) -> _Walk | None:
        """What to find it with in a text whose length has so many bits; None where `re` is to do that."""
        if bits not in self._walks:
            self._walks[bits] = self._chosen(1 << bits)
        return self._walks[bits]

    def _chosen(self, length: int) -> _Walk | None:
        try:
            tried = self._tried(length)
            if tried <= MOST_TRIED:
                return None
            self._walk = self._walk or _Walk(self._parsed)
        except (_NoWalkError, RecursionError):
            return None
        return self._walk if tried > WALKED * self._walk.places * length else None

    def _tried(self, length: int) -> float:
        """The steps that `re` takes at most."""
        try:
            _, steps = _cost(self._parsed, length)
        except RecursionError:
            return _MANY
        return length + steps if self._begins() else length * steps

    def _begins(self) -> bool:
        """Whether it can only be found at the beginning of a text."""
        first = [str(one) for one in self._parsed[0]] if len(self._parsed) else []
        lines = self._parsed.state.flags & re.MULTILINE
        return first == ["AT", "AT_BEGINNING_STRING"] or (first == ["AT", "AT_BEGINNING"] and not lines)


_known = lru_cache(maxsize=512)(_Pattern)


class _NoWalkError(Exception):
    """The pattern looks around or back at what it matched, or has too many places."""


def _cost(parsed: Any, length: int) -> tuple[float, float]:
    """In how many ways these parts match at one place at most, and the steps of trying them all."""
    ways, steps = 1.0, 1.0
    for name, given in parsed:
        kind = str(name)
        if kind in _REPEATS:
            one = _repeated(*_cost(given[2], length), given[0], min(given[1], given[0] + length))
        elif kind == "BRANCH":
            costs = [_cost(branch, length) for branch in given[1]]
            one = (sum(cost[0] for cost in costs), sum(cost[1] for cost in costs))
        elif kind == "SUBPATTERN":
            one = _cost(given[3], length)
        elif kind in _TESTS:
            one = (1.0, 1.0)
        else:
            raise _NoWalkError
        ways, steps = min(ways * one[0], _MANY), min(steps + ways * one[1], _MANY)
    return ways, steps


def _repeated(ways: float, steps: float, least: int, most: int) -> tuple[float, float]:
    """As `_cost`, of that many times what costs this."""
    if ways == 1:
        return most - least + 1, 1 + most * steps
    total = 2 * ways**most if most * log(ways) < log(_MANY) else _MANY  # at least the sum of all powers up to it
    return total, total * steps


_MANY = 1e100
_TYPES = re.ASCII | re.UNICODE | re.LOCALE  # of a group they hide those around it
_REPEATS = frozenset({"MAX_REPEAT", "MIN_REPEAT"})
_TESTS = frozenset({"LITERAL", "NOT_LITERAL", "ANY", "IN", "AT"})


class _Walk:
    """A pattern as places with ways between them: all places that a text leads to are walked at once (Thompson)."""

    def __init__(self, parsed: Any) -> None:
        self._parsed, self._sequence = parsed, cast("Callable[[Any, list[Any]], Any]", type(parsed))
        self._compile, self._group = import_module("re._compiler").compile, import_module("re._constants").SUBPATTERN
        self._tests: list[Any] = []  # what has to match at a place: one character, or where it stands
        self._ways: list[Sequence[int]] = []
        self._pending: list[tuple[Any, int, int, _Flags]] = []  # sequences to put between two places
        end, start = self._place(), self._place()
        self._pending.append((parsed, start, end, ()))
        while self._pending:
            self._put(*self._pending.pop())

    @property
    def places(self) -> int:
        """How many there are; the first is the end, the second the start."""
        return len(self._ways)

    def finds(self, text: str) -> bool:
        """Whether the pattern is found in the text."""
        reached: set[int] = set()
        for at in range(len(text) + 1):
            reached.add(1)
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

    def _place(self) -> int:
        if self.places == MOST_PLACES:
            raise _NoWalkError
        self._tests.append(None)
        self._ways.append(())
        return self.places - 1

    def _put(self, parts: Any, at: int, end: int, flags: _Flags) -> None:
        """Puts these parts, each after the one before, between two places."""
        if not len(parts):
            self._ways[at] = (end,)
        for index, (name, given) in enumerate(parts, 1):
            after = end if index == len(parts) else self._place()
            kind = str(name)
            if kind in _REPEATS:
                self._put_repeat(given, at, after, flags)
            elif kind == "BRANCH":
                self._ways[at] = [self._between(branch, after, flags) for branch in given[1]]
            elif kind == "SUBPATTERN":
                if (given[1] | given[2]) & _TYPES:
                    raise _NoWalkError
                self._pending.append((given[3], at, after, (*flags, given[1:3]) if any(given[1:3]) else flags))
            elif kind in _TESTS:
                self._tests[at], self._ways[at] = self._test((name, given), flags), (after,)
            else:
                raise _NoWalkError
            at = after

    def _put_repeat(self, given: tuple[int, int, Any], at: int, end: int, flags: _Flags) -> None:
        least, most, body = given
        before = at
        for _ in range(least):
            before, after = at, self._place()
            self._pending.append((body, before, after, flags))
            at = after
        if str(most) == "MAXREPEAT":
            self._ways[at] = (before if least else self._between(body, at, flags), end)
            return
        for _ in range(most - least):
            after = self._place()
            self._ways[at] = (self._between(body, after, flags), end)
            at = after
        self._ways[at] = (end,)

    def _between(self, parts: Any, end: int, flags: _Flags) -> int:
        """A new place from which these parts lead to the end."""
        at = self._place()
        self._pending.append((parts, at, end, flags))
        return at

    def _test(self, part: tuple[Any, Any], flags: _Flags) -> Any:
        tested = self._sequence(self._parsed.state, [part])
        for added, removed in reversed(flags):
            tested = self._sequence(self._parsed.state, [(self._group, (None, added, removed, tested))])
        return self._compile(tested)


_Flags = tuple[tuple[int, int], ...]  # what groups around a part add and remove, the outermost first
