"""What a person is asked, and how the answer is read: plain JSON both ways, as LangGraph's interrupts carry it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast

from orchestra.types import Json

Kind: TypeAlias = Literal["approval", "question", "unknown", "stuck", "budget"]

DECISIONS: Mapping[Kind, tuple[str, ...]] = {
    "approval": ("approve", "edit", "reject"),
    "question": ("answer",),
    "unknown": ("done", "repeat", "fail"),
    "stuck": ("repeat", "answer", "fail"),
    "budget": ("budget", "fail"),
}
"""What may be decided of each kind of question."""


@dataclass(frozen=True, slots=True)
class Question:
    """Something only a person can decide.

    `approval`: may this call be made? `question`: the model asks. `unknown`: a tool was started and its end was never
    recorded: what did it do? `stuck`: recovery asks a person. `budget`: the money cap is reached. `text` says it in
    words; `tool` and `arguments` are the call's, exactly as it would be executed.
    """

    id: str
    kind: Kind
    step: str
    goal: str = ""
    text: str = ""
    tool: str | None = None
    arguments: Mapping[str, Json] | None = None
    read_only: bool = False

    @property
    def decisions(self) -> tuple[str, ...]:
        """What may be decided."""
        return DECISIONS[self.kind]


@dataclass(frozen=True, slots=True)
class Answer:
    """A person's decision. `arguments` belong to `edit`, `usd` to `budget` (the run's new cap), `text` to the rest."""

    decision: str
    text: str = ""
    arguments: Mapping[str, Json] = field(default_factory=dict[str, Json])
    usd: float | None = None


class Waiting(Exception):  # not an error: the step cannot go on until people have answered
    """A step waits for answers to `questions`; raised inside a step, a value outside of it."""

    def __init__(self, *questions: Question) -> None:
        super().__init__(", ".join(one.id for one in questions))
        self.questions = questions


def read_answer(question: Question, given: Any, faults: Callable[[Mapping[str, Json]], list[str]]) -> Answer:
    """The answer that was given: a bool, a number, a word, or an object with `decision`.

    `faults` says what is wrong with edited arguments. Raises ValueError saying what is expected.
    """
    answer = _shaped(question, given)
    if answer.decision not in question.decisions:
        raise ValueError(f"{answer.decision!r} is no decision here; decide one of: {', '.join(question.decisions)}")
    if answer.decision == "budget" and not _is_money(answer.usd):
        raise ValueError(f"usd: expected the run's new cap in USD, got {answer.usd!r}")
    if answer.usd is not None and answer.decision == "budget" and answer.usd <= (cap := cap_of(question)):
        raise ValueError(f"usd: expected more than the present cap of ${cap!r}, got {answer.usd!r}")
    if answer.decision == "answer" and not answer.text.strip():
        raise ValueError("the answer is empty; give it as text")
    if answer.decision == "edit" and (wrong := faults(answer.arguments)):
        raise ValueError(f"the edited arguments do not fit {question.tool}: {'; '.join(wrong)}")
    return answer


def budget_id(cap: float) -> str:
    """The id of the question that is asked at this cap in USD: whichever step reaches it, it is one question."""
    return f"{_BUDGET}{float(cap)!r}"


def cap_of(question: Question) -> float:
    """The cap in USD at which a budget question was asked."""
    return float(question.id.partition(_BUDGET)[2] or 0)  # one that names none is above nothing


_BUDGET = "budget."


def _shaped(question: Question, given: Any) -> Answer:
    if isinstance(given, Mapping):
        return _read(cast("Mapping[str, Any]", given))
    if isinstance(given, bool):
        return Answer(question.decisions[0] if given else question.decisions[-1])
    if question.kind == "budget" and isinstance(given, int | float):
        return Answer("budget", usd=given)
    if isinstance(given, str):
        free = question.kind == "question" and given not in question.decisions
        return Answer("answer", given) if free else Answer(given.strip().lower())
    raise ValueError(f"expected true, false, a word or an object with 'decision', got {given!r:.100}")


def _read(given: Mapping[str, Any]) -> Answer:
    unknown = given.keys() - {"decision", "text", "arguments", "usd"}
    decision, text, arguments = given.get("decision"), given.get("text", ""), given.get("arguments", {})
    if unknown or not isinstance(decision, str):
        raise ValueError(
            f"expected an object with 'decision' and maybe 'text', 'arguments', 'usd'; got {dict(given)!r:.200}"
        )
    if not isinstance(text, str) or not isinstance(arguments, Mapping):
        raise ValueError("expected 'text' to be text and 'arguments' an object")
    return Answer(decision, text, cast("Mapping[str, Json]", arguments), given.get("usd"))


def _is_money(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")
