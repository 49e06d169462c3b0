"""The exception tree: as drawn, and each error carries what its catcher needs."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest

from orchestra import errors
from orchestra.errors import (
    BudgetExceeded,
    CallError,
    ConfigError,
    Exhausted,
    IgnoredSetting,
    NoCandidate,
    OrchestraError,
    PlanError,
    Refused,
    StreamCut,
)
from orchestra.types import Attempt, Rejection, Trigger

TREE = {name: cls for name, cls in vars(errors).items() if inspect.isclass(cls) and issubclass(cls, OrchestraError)}


def drawn() -> dict[str, str]:
    """Each drawn name with the name drawn above it."""
    parents: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"    ([│├└─ ]*)(\w+)  ", line):
            depth, name = len(found[1]), found[2]
            above = [item for item in above if item[0] < depth]
            parents[name] = above[-1][1] if above else "Exception"
            above.append((depth, name))
    return parents


def test_the_drawing_in_the_docstring_is_the_tree() -> None:
    assert drawn() == {name: cls.__bases__[0].__name__ for name, cls in TREE.items()}


@pytest.mark.parametrize("cls", [cls for cls in TREE.values() if not issubclass(cls, Refused)])
def test_an_error_is_made_of_one_text(cls: type[OrchestraError]) -> None:
    error = cls("what is wrong")
    assert str(error) == "what is wrong"
    assert error.attempts == ()


def test_an_error_that_ends_a_call_tells_what_was_tried() -> None:
    attempts = (Attempt("1", "small"),)
    assert BudgetExceeded("too dear", attempts=attempts).attempts == attempts
    error = Exhausted("no more", trigger=Trigger.empty, evidence=("nothing",), attempts=attempts)
    assert (error.trigger, error.evidence, error.attempts) == (Trigger.empty, ("nothing",), attempts)


def test_a_cut_stream_hands_over_what_had_arrived() -> None:
    cut = StreamCut("cut", partial_text="Once", trigger=Trigger.stream_cut, attempts=(Attempt("1", "m"),))
    assert (cut.partial_text, cut.trigger, len(cut.attempts)) == ("Once", Trigger.stream_cut, 1)


def test_no_candidate_says_who_was_refused_and_a_plan_what_is_wrong() -> None:
    rejection = Rejection("big", "window", "too small")
    assert NoCandidate("none", rejections=(rejection,)).rejections == (rejection,)
    assert PlanError("bad plan", faults=("a cycle",)).faults == ("a cycle",)


def again(error: OrchestraError) -> OrchestraError:
    return pickle.loads(pickle.dumps(error))


@pytest.mark.parametrize("passed", [again, copy.copy, copy.deepcopy])
@pytest.mark.parametrize("cls", TREE.values())
def test_an_error_comes_whole_through_a_task_queue(cls: type[OrchestraError], passed: Callable[[Any], Any]) -> None:
    known: dict[str, Any] = {"attempts": (Attempt("1", "small", trigger=Trigger.overloaded, evidence=("503",)),)}
    if issubclass(cls, Refused):
        known |= {"trigger": Trigger.stream_cut, "evidence": ("cut",)}
    if cls in (NoCandidate, PlanError, errors.RunOwned):
        known.clear()
    if cls is StreamCut:
        known["partial_text"] = "Once upon"
    error = cls("was übrig blieb", **known)
    error.add_note("seen in the queue")
    received = passed(error)
    assert type(received) is cls
    assert (str(received), received.args, vars(received)) == (str(error), error.args, vars(error))


def test_what_the_user_wrote_and_what_a_call_met_are_caught_apart() -> None:
    assert not issubclass(ConfigError, CallError)
    assert not issubclass(CallError, ConfigError)


def test_the_warning_can_be_filtered_by_without_a_framework_and_is_no_error_of_ours() -> None:
    assert issubclass(IgnoredSetting, UserWarning)
    assert not issubclass(IgnoredSetting, OrchestraError)
    assert IgnoredSetting.__module__ == "orchestra.errors"
