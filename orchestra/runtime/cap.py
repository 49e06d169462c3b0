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

    None where the run is to fail there, where a person has refused to raise this cap, and where it would not help to
    raise it: money is not the reason, or other money is short as well, that of a call of its own, of a node around it
    or of the fleet. A cap that was raised before, and is the run's again, is asked about anew.
    """
    cap = scope.limits.budget
    if cap is None or end.caps != (cap,) or scope.limits.at_cap != "pause" or not scope.asks:
        return None
    said = answers.get(budget_id(cap))
    if said is not None and said.decision == "fail":
        return None
    text = f"${scope.purse.spent:.6f} of ${cap} are spent. {end}. Raise the run's cap to go on"
    return Question(budget_id(cap), "budget", step.id, step.goal, text)
