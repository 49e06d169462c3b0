"""Judge: whether an answer in words says what the SQL found, and nothing that contradicts it.

- Names: every expected one, in any case, and no other name of the same column. One is no contradiction where the
  question names it and does not offer it as a choice, or where the answer only compares with it ("than", "not").
- Numbers: every expected one. A whole number exactly; any other within TOLERANCE, or rightly rounded to the digits
  given, two significant ones at least. Any further number is a contradiction unless the question has it, the answer
  only compares with it, two such numbers make the expected one (sum, difference, product, quotient, percentage), or it
  counts or sums up the expected rows.
- Names with numbers in several rows: numbers in the order of their names, where the first column tells rows apart.
- Where nothing is to be found, the answer says so, and no number.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.agents.expected import Expected
from benchmarks.agents.reading import Number, claims, find_names, find_number_words, find_numbers, plain

TOLERANCE = 0.005  # of the expected number
_NONE = re.compile(r"\b(?:no|none|nothing|not any|never|zero)\b")


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether the answer is right, and if not, why."""

    correct: bool
    reason: str = ""


def judge(right: Expected, question: str, answer: str) -> Judgement:
    """The judgement on an answer to a question."""
    question, answer = plain(question), plain(answer)
    fault = _fault(right, question, answer) if right.rows else _not_none(question, answer)
    return Judgement(not fault, fault)


def meets(number: Number, right: float) -> bool:
    """Whether a number as written is the right one: exactly for an int, else within what the rules above allow."""
    error = abs(number.value - right)
    if isinstance(right, int):
        return error == 0
    rounded = abs(number.value) >= 10 * number.unit and error <= number.unit * 0.500001  # halves go either way
    return error <= TOLERANCE * abs(right) or rounded


def _fault(right: Expected, question: str, answer: str) -> str:
    known = {*right.names, *right.rivals}
    asked, question = find_names(question, known)
    named, rest = find_names(answer, known)
    claimed, claimed_rest = find_names(claims(answer, one=len(right.rows) == 1), known)
    said = _said(right, question)
    numbers = _spoken(rest, right, said)
    return (
        _wrong_names(right, claimed, asked)
        or _missing_numbers(right, numbers, rest)
        or _further_numbers(right, numbers, _spoken(claimed_rest, right, said), said)
        or _wrong_pairs(right, named, numbers)
    )


def _not_none(question: str, answer: str) -> str:
    said = {number.value for number in find_numbers(question)} | {0.0}
    if extra := [number for number in find_numbers(answer) if number.value not in said]:
        return f"there is none, and it says {_listed(extra)}"
    return "" if _NONE.search(answer) or find_numbers(answer) else "there is none, and it does not say so"


def _wrong_names(right: Expected, claimed: Sequence[str], asked: Sequence[str]) -> str:
    if missing := [name for name in right.names if name not in claimed]:
        return f"does not name {', '.join(missing)}"
    excused = () if set(asked) & set(right.names) else asked
    extra = [name for name in claimed if name in right.rivals and name not in excused]
    return f"also names {', '.join(extra)}" if extra else ""


def _said(right: Expected, question: str) -> frozenset[float]:
    """Numbers that an answer may repeat: those of the question; the count and the sum of several rows."""
    said = frozenset(number.value for number in (*find_numbers(question), *find_number_words(question)))
    return said | {len(right.rows), sum(right.numbers)} if len(right.rows) > 1 else said


def _spoken(text: str, right: Expected, said: frozenset[float]) -> list[Number]:
    """The numbers of an answer; those in words count where digits only repeat the question. "one" may be a pronoun."""
    numbers = find_numbers(text)
    if any(number.value not in said for number in numbers):
        return numbers
    return [*numbers, *(word for word in find_number_words(text) if word.value != 1 or 1 in right.numbers)]


def _missing_numbers(right: Expected, numbers: Sequence[Number], rest: str) -> str:
    missing = [one for one in right.numbers if not any(meets(number, one) for number in numbers)]
    if not missing or (missing == [0] and not numbers and _NONE.search(rest)):
        return ""
    return f"does not say {', '.join(f'{one:.12g}' for one in missing)}"


def _further_numbers(
    right: Expected, numbers: Iterable[Number], claimed: Iterable[Number], said: frozenset[float]
) -> str:
    if not right.numbers:
        return ""
    explained = _operands(_beyond(right, numbers, said), right.numbers)
    extra = [number for number in _beyond(right, claimed, said) if number not in explained]
    return f"also says {_listed(extra)}" if extra else ""


def _beyond(right: Expected, numbers: Iterable[Number], said: frozenset[float]) -> list[Number]:
    beyond = [number for number in numbers if not any(meets(number, one) for one in right.numbers)]
    return [number for number in beyond if number.value not in said]


def _operands(numbers: Sequence[Number], right: Sequence[float]) -> set[Number]:
    """The numbers of which two make a right one."""
    found: set[Number] = set()
    for first, second in itertools.permutations(numbers, 2):
        a, b = first.value, second.value
        made = [a + b, a - b, a * b, *((a / b, 100 * a / b) if b else ())]
        if any(abs(one - result) <= TOLERANCE * abs(one) for one in right for result in made):
            found |= {first, second}
    return found


def _wrong_pairs(right: Expected, named: Sequence[str], numbers: Sequence[Number]) -> str:
    belonging = {row.names[0]: row.numbers for row in right.rows if row.names}
    if len(right.rows) < 2 or len(belonging) < len(right.rows):
        return ""
    told = [number for number in numbers if any(meets(number, one) for one in right.numbers)]
    at = 0
    for name in named:
        for wanted in belonging.get(name, ()):
            if at < len(told) and meets(told[at], wanted):
                at += 1
            elif not (at and meets(told[at - 1], wanted)):  # two names may share one number: "4 each"
                return f"does not give {name} {wanted:.12g}"
    return ""


def _listed(numbers: Iterable[Number]) -> str:
    return ", ".join(f"{number.value:.12g}" for number in numbers)
