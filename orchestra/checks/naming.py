"""Naming: whether calls name what their step's goal names, where a tool says by which terms its data goes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches

from orchestra.checks.citations import numbers
from orchestra.checks.wording import shown
from orchestra.types import ToolCall, ToolSpec

LONGEST = 10_000  # characters of a call's arguments that are read
SHORTEST = 4  # letters of a word that counts: shorter ones are mostly glue
NEAR = 0.85  # likeness of two spellings of one word; that of male and female is 0.8
_WORD = re.compile(r"[^\W\d_]+")


def overlooked(goal: str, tool: ToolSpec, calls: Sequence[ToolCall]) -> tuple[str, ...]:
    """The words of `goal` that are `terms` of the tool, and its numbers, that the arguments of no call of it name.

    A query that is asked for the longest flipper and never names the flipper has read another column. Words are
    compared without case and the endings of plurals and past tenses.
    """
    if not tool.terms:
        return ()
    terms = {_stem(word) for term in tool.terms for word in _words(term)}
    said = " ".join(shown(call.arguments, LONGEST) for call in calls if call.name == tool.name)
    named = {_stem(word) for word in _words(said)}
    return (
        *dict.fromkeys(word for word in _words(goal) if _stem(word) in terms and not _named(_stem(word), named)),
        *sorted(numbers(goal) - numbers(said)),
    )


def _named(word: str, named: Collection[str]) -> bool:
    return word in named or bool(get_close_matches(word, named, n=1, cutoff=NEAR))  # the tool tells the right spelling


def _words(text: str) -> Iterable[str]:
    return (word for word in _WORD.findall(text.casefold()) if len(word) >= SHORTEST)


def _stem(word: str) -> str:
    return f"{word[:-3]}y" if word.endswith("ies") else word.removesuffix("s").removesuffix("ed")
