"""Budgets of a fleet: what they name must be there, for a cap that matches nothing caps nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import get_args

from orchestra.fleet.deployments import deployments
from orchestra.fleet.spelling import known
from orchestra.types import EACH, Budget, Labels, ModelCard, Period


def budget_faults(budgets: Iterable[Budget], models: Mapping[str, ModelCard]) -> Iterator[str]:
    """What in these budgets names a model or a key the fleet does not have, one sentence each."""
    keys = {way.key.removeprefix("env:") for card in models.values() for way in deployments(card) if way.key}
    for number, budget in enumerate(budgets, start=1):
        yield from (f"budget {number} {fault}" for fault in _faults(budget))
        for label, names in (("model", models.keys()), ("key", keys)):
            for name in budget.match.get(label, ()):
                if name not in names and name != EACH:
                    yield f"budget {number} names {label} {name!r}; {known(name, names)}"


def _faults(budget: Budget) -> Iterator[str]:
    """What a budget that was made in code says and none of a file may."""
    if not 0 <= budget.usd < math.inf:
        yield f"has usd {budget.usd!r}; give a number that is not negative"
    if budget.per not in (periods := get_args(Period)):
        yield f"is per {budget.per!r}; {known(budget.per, periods)}"
    for label, values in budget.match.items():
        if label not in _LABELS:
            yield f"matches {label!r}; {known(label, _LABELS)}"
        if isinstance(values, str) or not values:
            yield f"matches {label} {values!r}; give a tuple of the values that match"


_LABELS = tuple(field.name for field in fields(Labels) if field.name != "run")
