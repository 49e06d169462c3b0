"""When a rule holds: its match compiled once into checks, the cheap ones first."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import TypeAlias

from orchestra.errors import PolicyError
from orchestra.routing.features import has_code_block
from orchestra.types import Json, Match, StepContext

Check: TypeAlias = Callable[[StepContext], bool]


def matcher(match: Match) -> Check:
    """A function that says whether a step matches; raises PolicyError for a pattern that does not compile.

    `contains` and `matches` look at the context's text, or at the step's goal where there is none.
    """
    checks = tuple(_checks(match))
    if len(checks) == 1:
        return checks[0]

    return lambda context: all(check(context) for check in checks)


def _checks(match: Match) -> list[Check]:
    checks: list[Check] = []
    if kinds := frozenset(match.kind):
        checks.append(lambda context: context.step.kind in kinds)
    if names := frozenset(match.name):
        checks.append(lambda context: (context.step.name or context.step.id) in names)
    if tools := frozenset(match.tools):
        checks.append(lambda context: _any(tools, context.tools) or _any(tools, context.step.tools))
    if tags := frozenset(match.tags):
        checks.append(lambda context: _any(tags, context.step.tags))
    if pairs := dict(match.metadata):
        checks.append(lambda context: _has(context.step.metadata, pairs))
    return checks + _length_checks(match) + _text_checks(match)


def _length_checks(match: Match) -> list[Check]:
    checks: list[Check] = []
    if (over := match.tokens_over) is not None:
        checks.append(lambda context: context.tokens > over)
    if (under := match.tokens_under) is not None:
        checks.append(lambda context: context.tokens < under)
    return checks


def _text_checks(match: Match) -> list[Check]:
    checks: list[Check] = []
    if match.contains:
        search_words = re.compile("|".join(map(_word, match.contains)), re.IGNORECASE).search
        checks.append(lambda context: search_words(_text(context)) is not None)
    if match.matches:
        searches = [_compiled(pattern).search for pattern in match.matches]
        checks.append(lambda context: any(search(_text(context)) for search in searches))
    if (code := match.code) is not None:
        checks.append(lambda context: has_code_block(_text(context)) is code)
    return checks


def _text(context: StepContext) -> str:
    return context.text or context.step.goal


def _word(word: str) -> str:
    return rf"(?<!\w){re.escape(word)}(?!\w)"  # not \b, which fails beside a word such as "C++"


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as fault:
        raise PolicyError(f"matches {pattern!r} is no regular expression: {fault}") from None


def _any(wanted: Collection[str], found: tuple[str, ...]) -> bool:
    return any(name in wanted for name in found) if found else False


def _has(metadata: Mapping[str, Json], pairs: Mapping[str, Json]) -> bool:
    return all(name in metadata and _equal(metadata[name], wanted) for name, wanted in pairs.items())


def _equal(one: Json, other: Json) -> bool:
    """JSON equality: true is not 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)
