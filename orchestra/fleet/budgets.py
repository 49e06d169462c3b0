"""Budgets of a fleet: what they name must be there, for a cap that matches nothing caps nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from orchestra.fleet.deployments import deployments
from orchestra.fleet.spelling import known
from orchestra.types import EACH, Budget, ModelCard


def budget_faults(budgets: Iterable[Budget], models: Mapping[str, ModelCard]) -> Iterator[str]:
    """What in these budgets names a model or a key the fleet does not have, one sentence each."""
    keys = {way.key.removeprefix("env:") for card in models.values() for way in deployments(card) if way.key}
    for number, budget in enumerate(budgets, start=1):
        for label, names in (("model", models.keys()), ("key", keys)):
            for name in budget.match.get(label, ()):
                if name not in names and name != EACH:
                    yield f"budget {number} names {label} {name!r}; {known(name, names)}"
