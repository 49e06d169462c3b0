"""What a run has come to: its answer, what the answer had to do without, or what is known where there is none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from orchestra.planning import Known, answer_step
from orchestra.runtime.state import RunState
from orchestra.runtime.step_result import StepResult
from orchestra.types import Plan, Step, from_json


def outcome(state: RunState) -> dict[str, Any]:
    """The last part of the state: state, answer, reason, missing, partial.

    A run that is failed already found no plan for what is left: not every step of its plan has ended then.
    """
    if not state.get("plan"):
        return _failed(state.get("reason", ""))
    if state.get("plan_only"):
        return _failed("plan only") | {"state": "done"}
    plan, ended = from_json(Plan, state["plan"]), results(state)
    missing = [f"{_named(step)}: {_why(ended.get(step.id))}" for step in plan.steps if not _done(ended, step)]
    broken = [step.id for step in plan.steps if step.critical and step.id in ended and ended[step.id].state == "failed"]
    last = ended.get(answer_step(plan).id)
    if last and last.state == "done" and not broken and state.get("state") != "failed":
        without = f"\n\nMissing: {'; '.join(missing)}" if missing else ""
        return {"state": "done", "answer": last.text + without, "reason": "", "missing": missing, "partial": ""}
    reasons = [f"step {sid!r} failed: {_why(ended[sid])}" for sid in broken]
    reasons += [state["reason"]] if state.get("reason") else []
    return _failed(" | ".join(reasons or [_why(last)])) | {
        "missing": missing,
        "partial": _partial(plan, ended, missing),
    }


def results(state: RunState) -> dict[str, StepResult]:
    """How the steps that have ended did."""
    return {sid: from_json(StepResult, value) for sid, value in state.get("steps", {}).items()}


def replans(state: RunState, most: int) -> bool:
    """Whether what is left has to be planned anew: the world has changed, or a critical step failed for good."""
    if state.get("changed"):
        return True
    plan = state.get("plan")
    if not plan or state.get("replans", 0) >= most:
        return False
    asking = {sid for sid, ended in results(state).items() if ended.replan}
    return bool(asking) and any(step.critical and step.id in asking for step in from_json(Plan, plan).steps)


def known(plan: Plan, ended: Mapping[str, StepResult], changed: str | None, acts: Iterable[str] = ()) -> Known:
    """What a new plan starts from; `acts` are those of the steps that it drops, or that an earlier one dropped."""
    failed = [step for step in plan.steps if step.id in ended and ended[step.id].state == "failed"]
    reasons = [f"the world has changed: {changed}"] if changed else []
    reasons += [f"step {step.id} ({step.goal}) failed: {_why(ended[step.id])}" for step in failed]
    return Known(
        reason="\n".join(reasons),
        results={step.id: ended[step.id].text for step in plan.steps if _done(ended, step)},
        acts=tuple(acts),
    )


def _done(results: Mapping[str, StepResult], step: Step) -> bool:
    return step.id in results and results[step.id].state == "done"


def _failed(reason: str) -> dict[str, Any]:
    return {"state": "failed", "answer": None, "reason": reason, "missing": [], "partial": ""}


def _partial(plan: Plan, results: Mapping[str, StepResult], missing: Iterable[str]) -> str:
    found = [f"- {_named(step)}: {results[step.id].text}" for step in plan.steps if _done(results, step)]
    if not found:
        return ""
    return "\n".join(["Known:", *found, "Missing:", *(f"- {one}" for one in missing)])


def _named(step: Step) -> str:
    return f"{step.id} ({step.goal})" if step.goal else step.id


def _why(result: StepResult | None) -> str:
    if result is None:
        return "it was not done"
    return "; ".join(result.evidence) or f"it ended {result.state}"
