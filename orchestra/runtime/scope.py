"""The limits of a run and what its steps share: recorder, purse, deadline, failures so far."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from typing import Any, Literal, TypeAlias, get_args

from orchestra.dispatch import Purse
from orchestra.errors import ConfigError
from orchestra.ledger import AttemptEnded, Event, Recorder
from orchestra.types import Cost, Earlier, Mode, Priority, Usage

AtCap: TypeAlias = Literal["fail", "pause"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run or call may take, and for whom. `deadline` in seconds, `budget` in USD (None: no cap).

    `at_cap` says what a run does when the money that is left does not pay for the next attempt: `fail`, or `pause`
    until a person raises the cap.

    Raises ConfigError for a limit that makes no sense.
    """

    deadline: float = 600.0
    budget: float | None = None
    allow_unknown_price: bool = False
    mode: Mode | None = None
    tenant: str | None = None
    priority: Priority = "normal"
    data_tags: tuple[str, ...] = ()
    at_cap: AtCap = "fail"
    feature: str | None = None

    def __post_init__(self) -> None:
        check_number("deadline", self.deadline, "seconds")
        if self.budget is not None:
            check_number("budget", self.budget, "USD")
        if self.mode is not None:
            _known("mode", self.mode, get_args(Mode))
        _check_text("tenant", self.tenant)
        _check_text("feature", self.feature)
        _known("priority", self.priority, get_args(Priority))
        _known("at_cap", self.at_cap, get_args(AtCap))


def check_number(name: str, value: Any, unit: str) -> None:
    """Raises ConfigError unless `value` is a finite number, 0 or more."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < math.inf:
        raise ConfigError(f"{name}: expected a number of {unit} that is not negative, got {value!r}")


def check_count(name: str, value: Any) -> None:
    """Raises ConfigError unless `value` is a whole number, 1 or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"{name}: expected a whole number, 1 or more, got {value!r}")


def _check_text(name: str, value: Any) -> None:
    if value is not None and not isinstance(value, str):
        raise ConfigError(f"{name}: expected a text, got {value!r}; a budget that names it would not apply")


def _known(name: str, value: Any, known: Sequence[str]) -> None:
    if value not in known:
        raise ConfigError(f"{name} {value!r} is unknown; known: {', '.join(known)}")


def words(given: Iterable[str]) -> tuple[str, ...]:
    """The words given; a single string is one word, not its letters."""
    return (given,) if isinstance(given, str) else tuple(given)


class Spent:
    """What a run's attempts took so far, as far as it is known; added up when it is asked for. USD and tokens."""

    def __init__(self, cost: Cost = Cost(0.0), usage: Usage = Usage()) -> None:  # noqa: B008  # both are frozen
        self._costs, self._usages = [cost], [usage]

    def add(self, cost: Cost, usage: Usage | None) -> None:
        """One more attempt has ended."""
        self._costs.append(cost)
        if usage is not None:
            self._usages.append(usage)

    @property
    def cost(self) -> Cost:
        """All of its attempts', and what was spent before."""
        return reduce(add, self._costs)

    @property
    def usage(self) -> Usage:
        """All of its attempts', and what was used before."""
        return reduce(add, self._usages)


@dataclass(frozen=True, slots=True)
class RunRecorder(Recorder):
    """A recorder that adds up what the attempts cost."""

    spent: Spent = field(default_factory=Spent)

    def record(self, step: str, event: Event, *, keep: tuple[str, object] | None = None) -> None:
        """Record an event of a step ("" for the run itself). Raises LedgerError."""
        if isinstance(event, AttemptEnded):
            self.spent.add(event.cost, event.usage)
        self.ledger.append(self.run, step, event, keep=keep)


@dataclass(frozen=True, slots=True)
class RunScope:
    """One run in this process.

    `deadline` is on the engine's clock; `history` grows as attempts are refused. `resumed`: it was begun before.
    `asks`: a person can be asked, because a checkpoint keeps the run until they answer.
    """

    recorder: RunRecorder
    purse: Purse
    deadline: float
    limits: Limits
    history: list[Earlier] = field(default_factory=list[Earlier])
    resumed: bool = False
    asks: bool = False

    @property
    def run(self) -> str:
        """The run's id."""
        return self.recorder.run
