"""A question put to a person through LangGraph's interrupt, until the answer can be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from langgraph.types import interrupt

from orchestra.runtime.questions import Answer, Question, read_answer
from orchestra.types import Json, to_json


def ask_person(question: Question, faults: Callable[[Mapping[str, Json]], list[str]]) -> Answer:
    """The answer; one that cannot be read is asked again, with what is wrong with it.

    `faults` says what is wrong with edited arguments. Raises GraphInterrupt for as long as there is no answer.
    """
    shown = cast("dict[str, Any]", to_json(question)) | {
        "question": question.id,
        "decisions": list(question.decisions),
    }
    del shown["id"]
    while True:
        given = interrupt(shown)
        try:
            return read_answer(question, given, faults)
        except ValueError as error:
            shown = shown | {"error": str(error)}
