"""The graph's state: plain JSON, because dataclasses do not survive checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NotRequired, TypedDict


def answered(before: Mapping[str, Any] | None, more: Mapping[str, Any] | None) -> dict[str, Any]:
    """People's answers so far with those that came in; None begins anew, a question's None asks it again."""
    both = {} if more is None else {**(before or {}), **more}
    return {name: one for name, one in both.items() if one is not None}


class RunState(TypedDict):
    """What a run is given, what it has come to, and what it needs to go on.

    In: task, and optionally run, mode, budget, deadline, feature, plan_only; or run alone, maybe with changed, or with
    answers by question id. Out: the rest.

    `started` is Unix seconds. `plan` is a Plan and `version` counts it from 1, `steps` is a StepResult per step id,
    `questions` what people are asked and `answers` what they said, all as JSON. `forked` is the run from whose earlier
    checkpoint this one began. `tools` are the fingerprints of the agent's tools when it planned, `agent` its name and
    those of its other parts. `acts` are what steps did that a new plan dropped, in words; `taken_ids` are the ids of
    the steps of all plans before this one.
    `state` is done, failed or interrupted; `reason` says why there is no answer. `missing` is what the answer had to do
    without, one text each; `partial` what is known where there is no answer. `cost` (USD), `usage` (tokens)
    and `seconds` are what the run took until now.
    """

    task: str
    run: str
    mode: NotRequired[str | None]
    budget: NotRequired[float | None]
    deadline: NotRequired[float | None]
    feature: NotRequired[str | None]
    plan_only: NotRequired[bool]
    changed: NotRequired[str | None]
    forked: NotRequired[str]
    started: float
    tools: dict[str, str]
    agent: dict[str, str]
    plan: dict[str, Any] | None
    version: int
    replans: int
    steps: dict[str, dict[str, Any]]
    questions: list[dict[str, Any]]
    answers: Annotated[dict[str, Any], answered]
    acts: list[str]
    taken_ids: NotRequired[list[str]]
    state: str
    answer: str | None
    reason: str
    missing: list[str]
    partial: str
    cost: dict[str, Any]
    usage: dict[str, Any]
    seconds: float


INPUT = ("task", "run", "mode", "budget", "deadline", "feature", "plan_only", "changed", "answers")
"""What callers give."""

FRESH: Mapping[str, Any] = {
    "mode": None,
    "budget": None,
    "deadline": None,
    "feature": None,
    "plan_only": False,
    "changed": None,
    "forked": "",
    "plan": None,
    "version": 0,
    "replans": 0,
    "steps": {},
    "questions": [],
    "answers": None,
    "acts": [],
    "taken_ids": [],
    "state": "",
    "answer": None,
    "reason": "",
    "missing": [],
    "partial": "",
    "cost": {},
    "usage": {},
    "seconds": 0.0,
}
"""What a task does not say must not be what the thread's last task said."""
