"""At the money cap: which cap a person is asked to raise."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from orchestra.dispatch import Purse
from orchestra.errors import BudgetExceeded
from orchestra.runtime.cap import budget_question
from orchestra.runtime.scope import Limits
from orchestra.types import Budget, Step


def asked(end: BudgetExceeded) -> Any:
    scope: Any = SimpleNamespace(limits=Limits(budget=1.0, at_cap="pause"), asks=True, purse=Purse(1.0))
    return budget_question(scope, Step("s1"), end, {})


def test_a_person_is_asked_to_raise_the_runs_cap_and_not_to_raise_it_for_a_budget_of_the_fleet() -> None:
    assert asked(BudgetExceeded("too little is left", caps=(1.0,))).kind == "budget"
    assert asked(BudgetExceeded("too little is left", budget=Budget(5.0))) is None


def test_a_person_is_not_asked_where_another_cap_is_too_low_as_well_or_instead() -> None:
    assert asked(BudgetExceeded("too little is left", caps=(0.5,))) is None
    assert asked(BudgetExceeded("too little is left", caps=(0.5, 1.0))) is None
    assert asked(BudgetExceeded("too little is left", caps=(1.0, 1.0))) is None
