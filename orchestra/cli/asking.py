"""A person at the terminal: what a run asks, and how it is answered, by flags or at the keyboard."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, cast

from orchestra.cli.screen import one_line, safe, stderr
from orchestra.errors import ConfigError

Asked: TypeAlias = Mapping[str, Any]
"""What an interrupt of an agent holds: question, kind, step, goal, text, tool, arguments, read_only, decisions."""


class Person:
    """Answers a run's questions. `given` are answers by question id, `yes` approves read-only calls, and no other."""

    def __init__(self, given: Sequence[str] = (), *, yes: bool = False, at_keyboard: bool = False) -> None:
        self._given = dict(map(_read, given))
        self._yes, self._at_keyboard = yes, at_keyboard

    def answers(self, questions: Sequence[Asked]) -> dict[str, Any]:
        """As many answers as there are now; what is left stays pending. Raises ConfigError for unknown questions."""
        names = [one["question"] for one in questions]
        if unknown := [name for name in self._given if name not in names]:
            raise ConfigError(f"--answer: no pending question {unknown[0]!r}; pending: {', '.join(names) or 'none'}")
        found = {one["question"]: self._answer(one) for one in questions}
        self._given.clear()
        return {name: answer for name, answer in found.items() if answer is not None}

    def _answer(self, asked: Asked) -> Any:
        if asked["question"] in self._given:
            return self._given[asked["question"]]
        if self._yes and asked["kind"] == "approval" and asked["read_only"]:
            return True
        return _prompt(asked) if self._at_keyboard else None


def shown(asked: Asked) -> list[str]:
    """A question as lines of text."""
    lines = [f"{asked['step']}: {one_line(asked['text'])}"]
    if asked.get("tool"):
        arguments = cast("Mapping[str, Any]", asked.get("arguments") or {})
        lines += [f"  {asked['tool']}"] + [f"    {name} = {_plain(value)}" for name, value in arguments.items()]
    if asked.get("error"):
        lines.append(f"  not understood: {asked['error']}")
    return [safe(line) for line in lines]


def _prompt(asked: Asked) -> Any:
    """What the person types; None where they leave it for later (an empty line, or the end of the input)."""
    console = stderr()
    for line in shown(asked):
        console.print(line)
    try:
        typed = input(_WORDS[asked["kind"]]).strip()
    except EOFError:
        return None
    return _typed(asked["kind"], typed) if typed else None


_WORDS = {
    "approval": "approve? y, n, n REASON, or the arguments as JSON (empty: later) > ",
    "question": "your answer (empty: later) > ",
    "unknown": "done, done RESULT, repeat or fail? (empty: later) > ",
    "stuck": "repeat, repeat ADVICE, answer TEXT or fail? (empty: later) > ",
    "budget": "the new cap in USD, or fail (empty: later) > ",
}
_SHORT = {"y": "approve", "yes": "approve", "n": "reject", "no": "reject"}


def _typed(kind: str, typed: str) -> Any:
    if kind == "question":
        return {"decision": "answer", "text": typed}
    if kind == "approval" and typed.startswith("{"):
        return {"decision": "edit", "arguments": _json(typed)}
    if kind == "budget" and (usd := _number(typed.removeprefix("$"))) is not None:
        return usd
    word, _, text = typed.partition(" ")
    return {"decision": _SHORT.get(word.lower(), word.lower()), "text": text.strip()}


def _read(given: str) -> tuple[str, Any]:
    name, found, answer = given.partition("=")
    if not found or not name or not answer:
        raise ConfigError(f"--answer {given!r}: expected QUESTION=ANSWER, such as s1.0.0.a1b2c3=approve")
    number = _number(answer)
    return name, _json(answer) if answer.startswith("{") else answer if number is None else number


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{text!r:.100} is not JSON: {error}") from None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
