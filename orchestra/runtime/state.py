"""The graph's state: plain JSON, because dataclasses do not survive checkpoints."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class RunState(TypedDict):
    """In: task, and optionally run, mode, budget (USD), deadline (seconds), plan_only. Out: the rest.

    `started` is Unix seconds, `plan` a Plan and `steps` a StepResult per step id, both as JSON.
    `state` is done or failed; `reason` says why there is no answer.
    """

    task: str
    run: str
    mode: NotRequired[str | None]
    budget: NotRequired[float | None]
    deadline: NotRequired[float | None]
    plan_only: NotRequired[bool]
    started: float
    plan: dict[str, Any] | None
    steps: dict[str, dict[str, Any]]
    state: str
    answer: str | None
    reason: str
