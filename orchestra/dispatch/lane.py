"""A lane: what is known of one target by the attempts that went there, and how many are under way."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestra.dispatch.breaker import Breaker, BreakerState
from orchestra.dispatch.health import Health
from orchestra.dispatch.target import Target
from orchestra.ledger import BreakerChanged
from orchestra.types import CallFault, Fault, ModelReply, Trigger

REFUSED = frozenset({Trigger.auth, Trigger.quota})
"""Faults of the key: they say nothing of the place that told them."""


@dataclass(slots=True)
class Lane:
    """A target's breaker and health. Pure: `now` is seconds on the caller's clock; there is no lock."""

    target: Target
    breaker: Breaker
    health: Health = field(default_factory=Health)
    calls: int = 0  # in flight

    def enter(self, now: float) -> int:
        """An attempt goes out; the breaker's pass for it."""
        self.calls += 1
        return self.breaker.enter(now)

    def leave(
        self, now: float, entered: int, result: ModelReply | CallFault | None, seconds: float, first_token: float | None
    ) -> BreakerChanged | None:
        """What came of it (None: it was cancelled); the breaker's change, where that made it change."""
        self.calls -= 1
        fault = result if isinstance(result, CallFault) else None
        state = self.breaker.leave(
            now,
            entered,
            failed=None if result is None else _failed(fault),
            seconds=seconds,
            retry_after=fault.retry_after if fault else None,
        )
        if result is not None:
            usage = result.usage if isinstance(result, ModelReply) else None
            trigger, tokens = fault.trigger if fault else None, usage.output if usage else None
            self.health.record(now, trigger=trigger, seconds=seconds, first_token=first_token, output_tokens=tokens)
        return self._changed(now, state, fault) if state else None

    def _changed(self, now: float, state: BreakerState, fault: CallFault | None) -> BreakerChanged:
        reason = f"{fault.trigger}: {fault.text}" if fault else "its probes succeeded" if state == "closed" else "slow"
        return BreakerChanged(
            model=self.target.model,
            state=state,
            wait=self.breaker.wait(now),
            reason=reason[:300],
            provider=self.target.provider,
            key=self.target.key,
            place=self.target.place,
        )


def _failed(fault: CallFault | None) -> bool | None:
    """Whether the breaker counts it as a failure; None where it says nothing of the target."""
    if fault is None:
        return False
    return None if fault.trigger in REFUSED or fault.trigger.fault is not Fault.provider else True
