"""The exceptions of orchestra, one tree; and its warning, IgnoredSetting.

    OrchestraError                 everything below; `attempts` tells what was tried
    ├── ConfigError                ours to mend before a call: the text names file, key, value, what is known
    │   ├── FleetError             fleet.toml or a fleet value does not hold together
    │   ├── PolicyError            a policy raised, or returned what no policy may return
    │   ├── ToolError              a tool's declaration cannot be used
    │   ├── AgentError             an agent file cannot be found or does not build
    │   └── WeightsError           weights of an embedded model cannot be had or are not the right ones
    ├── CallError                  a call or run ended without an accepted answer
    │   ├── NoCandidate            every model was refused by a gate or a policy
    │   ├── Refused                it ended with a `trigger` and its `evidence`
    │   │   ├── BadRequest         the provider says the request itself is wrong
    │   │   ├── ContentFiltered    the provider's content filter refused
    │   │   ├── Exhausted          the ladder is at its end
    │   │   ├── HumanNeeded        only a person can decide what comes next
    │   │   └── StreamCut          a stream ended wrongly after its first token was handed on; `partial_text`
    │   ├── DeadlineExceeded       the call's or run's deadline passed
    │   └── BudgetExceeded         the next attempt does not fit the money that is left
    ├── PlanError                  a plan that cannot be executed; `faults` lists why
    ├── LedgerError                the ledger cannot be read or written
    ├── RunOwned                   another process, or another task of this one, is at work on the run; `owner`
    └── SyncInLoop                 a sync twin was called inside a running event loop

A failure of one step or attempt is a value (Verdict, CallFault); exceptions are for bugs and for the end of the road.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestra.types import Action, Attempt, Budget, Rejection, Trigger


class OrchestraError(Exception):
    """Anything orchestra raises on purpose; `attempts` is what had been tried until then."""

    def __init__(self, text: str, *, attempts: tuple[Attempt, ...] = ()) -> None:
        super().__init__(text)
        self.attempts = attempts

    def __reduce__(self) -> tuple[Any, ...]:
        """As it is: task queues and process pools hand errors on, and an exception's own way knows only its text."""
        return _again, (type(self), *self.args), vars(self)


def _again(kind: type[OrchestraError], *args: object) -> OrchestraError:
    return kind.__new__(kind, *args)  # what it knows comes after, as its state


class ConfigError(OrchestraError):
    """Something the user wrote cannot be used; the text says what, where, and what is known."""


class FleetError(ConfigError):
    """fleet.toml or a fleet value does not hold together."""


class PolicyError(ConfigError):
    """A policy raised, which is its `__cause__`, or returned what no policy may return."""


class ToolError(ConfigError):
    """A tool's declaration cannot be used."""


class AgentError(ConfigError):
    """An agent file cannot be found or does not build."""


class WeightsError(ConfigError):
    """Weights of an embedded model cannot be had, or are not the right ones."""


class CallError(OrchestraError):
    """A call or a run ended without an accepted answer.

    `ruled`: money was capped, the data was tagged, or a rule kept a model out; True, too, where that is not known.
    """

    ruled = True


class NoCandidate(CallError):
    """Every model was refused; `rejections` says by which gate and why, `caps` is as that of BudgetExceeded."""

    def __init__(self, text: str, *, rejections: tuple[Rejection, ...] = ()) -> None:
        super().__init__(text)
        self.rejections = rejections
        self.caps: tuple[float, ...] = ()


class Refused(CallError):
    """A call that ended with a trigger: `trigger`, `evidence`, and the `action` that recovery asks of the caller."""

    def __init__(
        self,
        text: str,
        *,
        trigger: Trigger,
        evidence: tuple[str, ...] = (),
        attempts: tuple[Attempt, ...] = (),
        action: Action | None = None,
    ) -> None:
        super().__init__(text, attempts=attempts)
        self.trigger = trigger
        self.evidence = evidence
        self.action = action


class BadRequest(Refused):
    """The provider says the request itself is wrong."""


class ContentFiltered(Refused):
    """The provider's content filter refused."""


class Exhausted(Refused):
    """The ladder is at its end."""


class HumanNeeded(Refused):
    """Only a person can decide what comes next."""


class StreamCut(Refused):
    """A stream ended wrongly after its first token was handed on; `partial_text` is what had arrived."""

    def __init__(
        self,
        text: str,
        *,
        partial_text: str,
        trigger: Trigger,
        evidence: tuple[str, ...] = (),
        attempts: tuple[Attempt, ...] = (),
    ) -> None:
        super().__init__(text, trigger=trigger, evidence=evidence, attempts=attempts)
        self.partial_text = partial_text


class DeadlineExceeded(CallError):
    """The deadline of the call or the run passed."""


class BudgetExceeded(CallError):
    """The next attempt does not fit the money that is left; `budget` is the fleet's where it is one of those.

    `caps` are those of calls, nodes and runs in USD that would all have to be raised for it; none where that would not
    help.
    """

    def __init__(
        self,
        text: str,
        *,
        budget: Budget | None = None,
        caps: tuple[float, ...] = (),
        attempts: tuple[Attempt, ...] = (),
    ) -> None:
        super().__init__(text, attempts=attempts)
        self.budget = budget
        self.caps = caps


class PlanError(OrchestraError):
    """A plan that cannot be executed; `faults` lists why, one a line."""

    def __init__(self, text: str, *, faults: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.faults = faults


class LedgerError(OrchestraError):
    """The ledger cannot be read or written."""


class RunOwned(OrchestraError):
    """The run belongs to another process, or to another task of this one; `owner` says who and since when."""

    def __init__(self, text: str, *, owner: str = "") -> None:
        super().__init__(text)
        self.owner = owner


class SyncInLoop(OrchestraError):
    """A sync twin was called inside a running event loop."""


class IgnoredSetting(UserWarning):
    """A setting was left out of a call: it reaches no model of the fleet, or is not one that every model has."""
