"""The limits of a run and what its steps share: recorder, purse, deadline, failures so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestra.dispatch import Purse
from orchestra.ledger import Recorder
from orchestra.types import Earlier, Mode, Priority


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run or call may take, and for whom. `deadline` in seconds, `budget` in USD (None: no cap)."""

    deadline: float = 600.0
    budget: float | None = None
    allow_unknown_price: bool = False
    mode: Mode | None = None
    tenant: str | None = None
    priority: Priority = "normal"
    data_tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunScope:
    """One run in this process. `deadline` is on the engine's clock; `history` grows as attempts are refused."""

    recorder: Recorder
    purse: Purse
    deadline: float
    limits: Limits
    history: list[Earlier] = field(default_factory=list[Earlier])

    @property
    def run(self) -> str:
        """The run's id."""
        return self.recorder.run
