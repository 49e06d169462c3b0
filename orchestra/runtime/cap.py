"""The money cap: what a person is asked when it is reached."""

from __future__ import annotations

from collections.abc import Mapping

from orchestra.errors import BudgetExceeded, NoCandidate
from orchestra.runtime.questions import Answer, Question, budget_id
from orchestra.runtime.scope import RunScope
from orchestra.types import Step


def budget_question(
    scope: RunScope, step: Step, end: BudgetExceeded | NoCandidate, answers: Mapping[str, Answer]
) -> Question | None:
    """What a person is asked at the money cap.

    None where the run is to fail there, where money is not the reason or it is a budget of the fleet's, which is no
    run's to raise, and where a person has refused to raise this cap. One that was raised before, and is the run's cap
    again, is asked about anew.
    """
    cap = scope.limits.budget
    if cap is None or not _short(end) or scope.limits.at_cap != "pause" or not scope.asks:
        return None
    said = answers.get(budget_id(cap))
    if said is not None and said.decision == "fail":
        return None
    text = f"${scope.purse.spent:.6f} of ${cap} are spent. {end}. Raise the run's cap to go on"
    return Question(budget_id(cap), "budget", step.id, step.goal, text)


def _short(end: BudgetExceeded | NoCandidate) -> bool:
    if isinstance(end, BudgetExceeded):
        return end.budget is None
    return any(one.gate == "money" for one in end.rejections)
