"""What every call needs, wired once by the app: fleet, policies, dispatcher, ledger."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

from orchestra.dispatch import Dispatcher, Purse
from orchestra.fleet import Fleet
from orchestra.fleet.counter import Counter
from orchestra.ledger import Ledger, new_run_id
from orchestra.recovery import RecoveryPolicy
from orchestra.routing import Policy, Router
from orchestra.runtime.context.counting import new_counter
from orchestra.runtime.scope import Limits, RunRecorder, RunScope
from orchestra.runtime.tool_scope import around
from orchestra.types import Decision, Mode, StepContext


@dataclass(frozen=True, slots=True)
class Engine:
    """The wired parts. `min_logprob` is the mean token log-probability below which a reply is low_confidence.

    `counter` counts tokens per model and learns from what providers report.
    """

    fleet: Fleet
    policies: tuple[Policy, ...]
    recovery: RecoveryPolicy
    dispatcher: Dispatcher
    ledger: Ledger
    mode: Mode | None = None
    min_logprob: float | None = None
    counter: Counter = field(default_factory=new_counter)
    clock: Callable[[], float] = time.monotonic
    draw: Callable[[], float] = random.random
    today: Callable[[], str] = lambda: date.today().isoformat()  # noqa: DTZ011  # the user's own calendar day
    router: Router = field(init=False)  # fleet, policies and mode as one
    judges_logprobs: bool = field(init=False)  # calls and structured answers: prose is not judged by them

    def __post_init__(self) -> None:
        object.__setattr__(self, "router", Router(self.fleet, self.policies, self.mode))
        reported = any(card.capabilities.logprobs for card in self.fleet.models.values())
        object.__setattr__(self, "judges_logprobs", reported and self.min_logprob is not None)

    def decide(self, context: StepContext) -> Decision:
        """The decision for a context: no call, no I/O. Raises NoCandidate."""
        return self.router.decide(context, self.dispatcher.traffic.health())

    def scope(self, limits: Limits, *, run: str | None = None) -> RunScope:
        """The scope of a run that begins; a tool's run is bound by what binds the run of which it is a tool."""
        outer = around(self.dispatcher)
        if outer is not None:
            limits = outer.limits(limits)
        scope = RunScope(
            recorder=RunRecorder(self.ledger, run or new_run_id()),
            purse=Purse(limits.budget, allow_unknown=limits.allow_unknown_price),
            deadline=self.clock() + limits.deadline,
            limits=limits,
            history=[],
        )
        return scope if outer is None else outer.narrowed(scope)
