"""Summary: the figures of each configuration, and how far the routed one is from each of the others."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.agents.intervals import paired_difference, wilson
from benchmarks.agents.questions import Question
from benchmarks.agents.results import Result, marked

Json = dict[str, Any]


def summarise(questions: Sequence[Question], results: Iterable[Result]) -> Json:
    """One JSON object: `configurations`, `differences`, `questions`. Only results of these questions count."""
    asked = {question.id: question for question in questions}
    found = [marked(result, asked[result.id]) for result in results if result.id in asked]
    names = list(dict.fromkeys(result.configuration for result in found))
    by_name = {name: [one for one in found if one.configuration == name] for name in names}
    return {
        "configurations": {name: _figures(own) for name, own in by_name.items()},
        "differences": {
            f"routed - {name}": _difference(by_name["routed"], own)
            for name, own in by_name.items()
            if name != "routed" and "routed" in by_name
        },
        "questions": [_question(question, found) for question in questions],
    }


def _figures(own: Sequence[Result]) -> Json:
    correct, seconds = sum(one.correct for one in own), [one.seconds for one in own]
    return {
        "accuracy": correct / len(own),
        "interval": list(wilson(correct, len(own))),
        "correct": correct,
        "total": len(own),
        "false_accepts": sum(one.false_accept for one in own),
        "failures": sum(one.state != "done" for one in own),
        "seconds": statistics.fmean(seconds),
        "seconds_median": statistics.median(seconds),
        "tokens": _sum(one.tokens for one in own),
        "attempts": sum(one.attempts for one in own),
        "escalations": sum(one.escalations for one in own),
        "replans": sum(one.replans for one in own),
        "usd": None if any(one.usd is None for one in own) else sum(one.usd or 0.0 for one in own),
        "triggers": _sum(one.triggers for one in own),
        "levels": {level: _level(own, level) for level in dict.fromkeys(one.level for one in own)},
    }


def _level(own: Iterable[Result], level: str) -> Json:
    marks = [one.correct for one in own if one.level == level]
    return {"accuracy": sum(marks) / len(marks), "correct": sum(marks), "total": len(marks)}


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(sorted(total.items()))


def _difference(routed: Iterable[Result], other: Iterable[Result]) -> Json:
    theirs = {(one.id, one.repeat): one.correct for one in other}
    pairs = Counter((one.correct, theirs[one.id, one.repeat]) for one in routed if (one.id, one.repeat) in theirs)
    both, first, second, neither = (
        pairs[pair] for pair in ((True, True), (True, False), (False, True), (False, False))
    )
    difference, interval = paired_difference(both, first, second, neither)
    counts = {"both": both, "only_routed": first, "only_other": second, "neither": neither}
    return {"difference": difference, "interval": list(interval), **counts}


def _question(question: Question, found: Iterable[Result]) -> Json:
    return {
        "id": question.id,
        "level": question.level,
        "question": question.text,
        "expected": question.right,
        "results": [_answer(result) for result in found if result.id == question.id],
    }


_SHOWN = ("configuration", "repeat", "correct", "state", "answer", "fault", "seconds", "tokens", "escalations", "run")


def _answer(result: Result) -> Json:
    return {name: getattr(result, name) for name in _SHOWN}
