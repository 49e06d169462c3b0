"""Totals: what a run took, in all and per model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from orchestra.ledger.events import Row
from orchestra.ledger.views import AttemptView, attempts
from orchestra.types import Action, Cost, Usage


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over attempts: `attempts` = `accepted` + `refused` + `open` (end or verdict not recorded).

    `seconds` adds up the attempts, also those that ran at once. `cost` USD is None where any attempt's is unknown; an
    attempt whose end is not recorded counts with what was reserved for it, as an estimate.
    `usage` is what providers reported; `unmetered` counts ended attempts without a report. `escalations` counts
    moves up, booked to the model that was left; `triggers` counts failures by name.
    """

    attempts: int = 0
    accepted: int = 0
    refused: int = 0
    open: int = 0
    escalations: int = 0
    degraded: int = 0
    unmetered: int = 0
    usage: Usage = Usage()
    seconds: float = 0.0
    cost: Cost = Cost(0.0)
    triggers: Mapping[str, int] = field(default_factory=dict[str, int])
    models: Mapping[str, Totals] = field(default_factory=dict[str, "Totals"])


def totals(rows: Iterable[Row]) -> Totals:
    """What the run took until now; `models` holds the same per model, in the order in which they were first tried."""
    found = attempts(rows)
    names = dict.fromkeys(attempt.model for attempt in found)
    return _sum(found, {name: _sum([one for one in found if one.model == name], {}) for name in names})


def _sum(found: Iterable[AttemptView], models: Mapping[str, Totals]) -> Totals:
    found = tuple(found)
    states = Counter(one.state for one in found)
    return Totals(
        attempts=len(found),
        accepted=states["accepted"],
        refused=states["refused"],
        open=states["open"],
        escalations=sum(action is Action.escalate for one in found for action in _actions(one)),
        degraded=sum(one.degraded for one in found),
        unmetered=sum(one.state != "open" and one.usage is None for one in found),
        usage=sum((one.usage for one in found if one.usage), Usage()),
        seconds=sum((one.seconds for one in found), 0.0),
        cost=sum((one.cost for one in found), Cost(0.0)),
        triggers=dict(sorted(Counter(trigger for one in found for trigger in _triggers(one)).items())),
        models=models,
    )


def _actions(attempt: AttemptView) -> tuple[Action | None, ...]:
    return (attempt.action, *(verdict.action for verdict in attempt.later))


def _triggers(attempt: AttemptView) -> list[str]:
    seen = (attempt.trigger, *(verdict.trigger for verdict in attempt.later))
    return [trigger.value for trigger in seen if trigger]
