"""A person at the terminal: what a run asks, and how it is answered, by flags or at the keyboard."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias, cast
from unicodedata import category

from orchestra.cli.screen import one_line, safe, stderr
from orchestra.errors import ConfigError

Asked: TypeAlias = Mapping[str, Any]
"""What an interrupt of an agent holds: question, kind, step, goal, text, tool, arguments, read_only, decisions."""


class Person:
    """Answers a run's questions. `given` are answers by question id, `yes` approves read-only calls, and no other.

    Raises ConfigError for answers that are not of the form QUESTION=ANSWER.
    """

    def __init__(self, given: Sequence[str] = (), *, yes: bool = False, at_keyboard: bool = False) -> None:
        self.given: dict[str, str] = {}
        self._yes, self._at_keyboard = yes, at_keyboard
        self._later: set[str] = set()
        for one in given:
            name, answer = _split(one)
            if name in self.given:
                raise ConfigError(f"--answer: question {name!r} is answered twice; give one answer to each")
            self.given[name] = answer

    def answers(self, questions: Sequence[Asked]) -> dict[str, Any]:
        """As many answers as there are now; what is left stays pending.

        Raises ConfigError for an answer to what is not asked, and for one of the command line that is not JSON.
        """
        names = [one["question"] for one in questions]
        if unknown := [name for name in self.given if name not in names]:
            raise ConfigError(f"--answer: no pending question {unknown[0]!r}; pending: {', '.join(names) or 'none'}")
        found = {one["question"]: self._answer(one) for one in questions}
        return {name: answer for name, answer in found.items() if answer is not None}

    def _answer(self, asked: Asked) -> Any:
        name = asked["question"]
        if name in self.given:
            return read(asked, self.given.pop(name))
        if self._yes and asked["kind"] == "approval" and asked["read_only"]:
            return {"decision": "approve", "text": "approved by --yes: read-only"}
        if not self._at_keyboard or name in self._later:
            return None
        answer = _prompt(asked)
        if answer is None:  # "later" is not "at once again"
            self._later.add(name)
        return answer


def at_keyboard() -> bool:
    """Whether somebody can read a question and type an answer; either stream may be closed."""
    streams: tuple[Any, ...] = (sys.stdin, sys.stderr)
    return all(stream is not None and stream.isatty() for stream in streams)


def shown(asked: Asked) -> list[str]:
    """A question as lines of text; a call stands there word for word, with nothing that could look like more lines."""
    goal = f" ({one_line(asked['goal'])})" if asked.get("goal") else ""
    lines = [f"{asked['step']}{goal}: {one_line(asked['text'])}"]
    if asked.get("tool"):
        lines.append(f"  {asked['tool']} {_visible(asked.get('arguments') or {})}")
    if asked.get("error"):
        lines.append(f"  not understood: {one_line(asked['error'])}")
    return [safe(line) for line in lines]


def ways(asked: Asked) -> tuple[str, str]:
    """An answer to this kind of question, as `--answer` takes it, and what else may stand in its place."""
    return _WAYS[asked["kind"]]


def read(asked: Asked, typed: str) -> Any:
    """An answer as people write it, as a run takes it; what the run does not understand it asks again.

    A JSON object whose `decision` is one of the question's is taken as it is. Raises ConfigError for arguments that are
    not a JSON object.
    """
    kind, word, text = asked["kind"], *_halves(typed)
    if (whole := _object(typed)).get("decision") in asked["decisions"]:
        return whole
    if kind == "question":
        return {"decision": "answer", "text": typed}
    if kind == "approval" and (typed.startswith("{") or (word == "edit" and text)):
        return {"decision": "edit", "arguments": _arguments(asked, typed if typed.startswith("{") else text)}
    if kind == "budget" and (usd := _number(typed.removeprefix("$"))) is not None:
        return usd
    return {"decision": _SHORT.get(word, word), "text": text}


_WAYS = {
    "approval": ("approve", "reject, reject REASON, or other arguments as a JSON object"),
    "question": ("TEXT", "your own words for TEXT"),
    "unknown": ("done", "done RESULT, repeat, or fail"),
    "stuck": ("repeat", "repeat ADVICE, answer TEXT, fail, or fail REASON"),
    "budget": ("USD", "the run's new cap for USD, such as 0.50, or fail"),
}
_SHORT = {"y": "approve", "yes": "approve", "n": "reject", "no": "reject"}
_PROMPTS = {
    "approval": "approve? y, n, n REASON, or other arguments as a JSON object",
    "question": "your answer",
    "unknown": "done, done RESULT, repeat or fail?",
    "stuck": "repeat, repeat ADVICE, answer TEXT, fail or fail REASON?",
    "budget": "the run's new cap in USD, or fail",
}


def _prompt(asked: Asked) -> Any:
    """What the person types; None where they leave it for later (an empty line, or the end of the input)."""
    console = stderr()
    console.print("\n".join(shown(asked)), soft_wrap=True)
    while True:
        # not by input(): where stdout is no terminal it would write the prompt there
        console.print(f"{_PROMPTS[asked['kind']]} (empty: later) > ", end="", soft_wrap=True)
        try:
            typed = input().strip()
            return read(asked, typed) if typed else None
        except EOFError:
            console.print()
            return None
        except (ConfigError, UnicodeDecodeError) as error:
            console.print(safe(f"  not understood: {error}"), soft_wrap=True)


def _arguments(asked: Asked, text: str) -> Mapping[str, Any]:
    try:
        given: Any = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"the arguments {text!r:.200} are not JSON: {error}") from None
    if not isinstance(given, dict):
        raise ConfigError(f"the arguments {text!r:.200} are not a JSON object, such as {_visible(asked['arguments'])}")
    return cast("dict[str, Any]", given)


def _object(text: str) -> Mapping[str, Any]:
    """The JSON object that the text is; {} for any other text."""
    try:
        given: Any = json.loads(text)
    except ValueError:
        return {}
    return cast("dict[str, Any]", given) if isinstance(given, dict) else {}


def _split(given: str) -> tuple[str, str]:
    name, _, answer = given.partition("=")
    if not name.strip() or not answer.strip():
        raise ConfigError(f"--answer {given!r}: expected QUESTION=ANSWER, such as s1.0.0.a1b2c3=approve")
    return name.strip(), answer.strip()


def _halves(typed: str) -> tuple[str, str]:
    word, _, text = typed.partition(" ")
    return word.lower().rstrip(",.:"), text.strip()


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _visible(value: Any) -> str:
    """JSON in which nothing is invisible: characters that turn or hide what stands beside them, or look like none."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(
        char if _seen(char) or _selects(char, before) else json.dumps(char)[1:-1]
        for before, char in pairwise(f" {text}")
    )


def _seen(char: str) -> bool:
    return char.isprintable() and char not in _BLANK


def _selects(char: str, base: str) -> bool:
    """Whether it changes the look of a visible sign before it and no more: an emoji's, a Mongolian letter's."""
    if char in "\ufe0e\ufe0f":
        return category(base) in ("So", "Sm") and _seen(base)
    return char in "\u180b\u180c\u180d\u180f" and "\u1820" <= base <= "\u18aa"


# what Python calls printable and shows nothing: Unicode's Default_Ignorable_Code_Point, then letters and signs that are
# drawn as a blank (Braille's empty cell, Egyptian blanks, Khitan's filler, the null notehead)
_BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0\u2800\U00013441\U00013442\U00016fe4\U0001d159"
) | {chr(number) for first, last in ((0xFE00, 0xFE0F), (0xE0100, 0xE01EF)) for number in range(first, last + 1)}
