"""What a run that was left within its steps had finished there: each result as its journal keeps it."""

from __future__ import annotations

from collections.abc import Mapping

from orchestra.ledger import Recorder
from orchestra.runtime.journal import END, Journal, digest
from orchestra.runtime.step_result import StepResult
from orchestra.runtime.steps import told
from orchestra.types import Plan, from_json


def finished(recorder: Recorder, plan: Plan, ended: Mapping[str, StepResult]) -> dict[str, StepResult]:
    """The results that are `ended` and those that only journals know. Raises LedgerError.

    The graph's state learns of results when all steps of a plan have come to rest; a run may die or be cancelled
    before. A journal belongs to the results its step was given, so a step is looked up after those it needs.
    """
    found = dict(ended)
    for step in plan.steps:  # in their order: needs come first
        if step.id not in found and all(need in found for need in step.needs):
            given = digest(step, told({need: found[need] for need in step.needs}))
            kept = Journal(recorder, step.id, given, recorder.ledger.kept(recorder.run, step.id)).get(END)
            if kept:
                found[step.id] = from_json(StepResult, kept)
    return found
