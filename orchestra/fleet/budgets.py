"""Budgets of a fleet: what they name must be there, for a cap that matches nothing caps nothing."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any, cast, get_args

from orchestra.fleet.deployments import deployments
from orchestra.fleet.spelling import known
from orchestra.types import EACH, Budget, Labels, ModelCard, Period


def budget_faults(budgets: Iterable[Budget], models: Mapping[str, ModelCard]) -> Iterator[str]:
    """What in these budgets names a model or a key the fleet does not have, one sentence each."""
    keys = {way.key.removeprefix("env:") for card in models.values() for way in deployments(card) if way.key}
    for number, budget in enumerate(budgets, start=1):
        if wrong := tuple(_faults(budget)):
            yield from (f"budget {number} {fault}" for fault in wrong)
            continue
        for label, names in (("model", models.keys()), ("key", keys)):
            for name in budget.match.get(label, ()):
                if name not in names and name != EACH:
                    yield f"budget {number} names {label} {name!r}; {known(name, names)}"


def _faults(budget: Budget) -> Iterator[str]:
    """What a budget that was made in code says and none of a file may."""
    if not _is_sum(budget.usd):
        yield f"has usd {budget.usd!r}; give a number that is not negative"
    if budget.per not in (periods := get_args(Period)):
        yield f"is per {budget.per!r}; {known(str(budget.per), periods)}"
    if not isinstance(cast("object", budget.match), Mapping):
        yield f"matches {budget.match!r}; give a mapping of labels to tuples of the values that match"
        return
    for label, values in budget.match.items():
        if label not in _LABELS:
            yield f"matches {label!r}; {known(str(label), _LABELS)}"
        if not _are_values(values):
            yield f"matches {label} {values!r}; give a tuple of the values that match"


def _is_sum(usd: Any) -> bool:
    try:
        return not isinstance(usd, bool) and 0 <= usd < math.inf
    except TypeError:
        return False


def _are_values(values: Any) -> bool:
    """Texts, and not a single one, of which each letter would be a value."""
    if isinstance(values, str | Mapping) or not isinstance(values, Collection):
        return False
    given = tuple(cast("Collection[object]", values))
    return given != () and all(isinstance(value, str) for value in given)


_LABELS = tuple(field.name for field in fields(Labels) if field.name != "run")
