"""A lane: what is known of one target by the attempts that went there, and how many are under way."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from orchestra.dispatch.breaker import Breaker, BreakerState
from orchestra.dispatch.health import Health
from orchestra.dispatch.line import Line
from orchestra.dispatch.rates import RateLimiter
from orchestra.dispatch.target import Target
from orchestra.fleet import message_tokens
from orchestra.ledger import BreakerChanged
from orchestra.types import CallFault, Fault, ModelCard, ModelReply, Request, Trigger

REFUSED = frozenset({Trigger.auth, Trigger.quota})
"""Faults of the key: they say nothing of the place that told them."""


LATELY = 0.1
"""Weight of a reply in what is usual."""

DEAD = 300.0
"""Seconds for which a key that was refused is not tried while there is anything else."""

VAIN = 30.0
"""Seconds for which what was asked although it was closed, and in vain, comes after what will open before that."""


@dataclass(slots=True, eq=False)
class Rate:
    """The rate limits of one key, and the line of those who wait for them.

    `usual` is how many tokens its replies have lately had where a call set no `max_tokens`; 0 before the first.
    """

    limiter: RateLimiter
    line: Line = field(default_factory=lambda: Line(1))
    usual: float = 0.0

    def tokens(self, request: Request, now: float) -> int:
        """About what the provider counts against its limits; what it really took is settled afterwards."""
        if not self.limiter.counts_tokens(now):
            return 0
        read, most = message_tokens(request.messages, request.tools), request.settings.max_tokens
        if most is not None:
            return read + most
        # What is only usual must not make a request too large for ever.
        return read if read > (largest := self.limiter.largest) else int(min(read + self.usual, largest))

    def wrote(self, tokens: int) -> None:
        """A reply that `max_tokens` did not bound has had so many tokens."""
        self.usual += LATELY * (tokens - self.usual) if self.usual else tokens


@dataclass(slots=True, eq=False)
class Key:
    """One key of a provider, for all of its models. No `rate` where nothing limits it: a model of one's own."""

    rate: Rate | None
    dead_until: float = -math.inf


@dataclass(slots=True, eq=False)
class Lane:
    """A target, the card as it is served there, its breaker and health; until when it may not be used, and why.

    `tags` are those of data that may go there. Pure: `now` is seconds on the caller's clock; there is no lock.
    """

    target: Target
    card: ModelCard
    tags: frozenset[str]
    key: Key
    breaker: Breaker
    health: Health = field(default_factory=Health)
    calls: int = 0  # in flight
    dead_until: float = -math.inf
    paused_until: float = -math.inf  # as its provider asked
    vain_until: float = -math.inf

    def wait(self, now: float) -> float:
        """Seconds until breaker, key and its provider's word let an attempt pass."""
        breaker, until = self.breaker.wait(now), max(self.dead_until, self.key.dead_until, self.paused_until)
        return max(breaker, until - now) if until > now else breaker

    def badness(self, now: float) -> float:
        """Where nothing is open, what to go by: the seconds to wait, and more where a call has just been in vain."""
        wait = self.wait(now)
        return max(wait, self.vain_until - now) if wait else 0.0

    def pause(self, now: float) -> float:
        """Seconds for which its provider has asked to be sent nothing."""
        return max(0.0, self.paused_until - now)

    def dead(self, now: float) -> bool:
        """Whether the key was refused, here or by its provider."""
        return max(self.dead_until, self.key.dead_until) > now

    def full(self, request: Request, now: float) -> float:
        """Seconds until the limits of its key have room for the request."""
        rate = self.key.rate
        return rate.limiter.wait(now, rate.tokens(request, now)) if rate else 0.0

    def score(self, now: float) -> float:
        """Its health in [0, 1]; 0.0 where it may not be used."""
        return 0.0 if self.wait(now) else self.health.score(now)

    def enter(self, now: float) -> int:
        """An attempt goes out; the breaker's pass for it."""
        self.calls += 1
        return self.breaker.enter(now)

    def leave(
        self, now: float, entered: int, result: ModelReply | CallFault | None, seconds: float, first_token: float | None
    ) -> BreakerChanged | None:
        """What came of it (None: it was cancelled); the breaker's change, where that made it change."""
        self.calls -= 1
        if result is None:
            self.breaker.leave(now, entered, failed=None)
            return None
        if isinstance(result, CallFault):
            self._refused(now, result)
            trigger, tokens, failed, retry_after = result.trigger, None, _failed(result), result.retry_after
        else:
            self.dead_until = self.key.dead_until = -math.inf
            trigger, tokens, failed, retry_after = None, result.usage and result.usage.output, False, None
        self.health.record(now, trigger=trigger, seconds=seconds, first_token=first_token, output_tokens=tokens)
        state = self.breaker.leave(now, entered, failed=failed, seconds=seconds, retry_after=retry_after)
        return self._changed(now, state, result) if state else None

    def refused(self, fault: CallFault) -> Lane | Key | None:
        """A dead key is dead for all of its provider's models; where it is this model that is refused, here alone."""
        if fault.trigger not in REFUSED or fault.sent != "yes":
            return None
        return self if fault.of_model or not self.target.key else self.key

    def _refused(self, now: float, fault: CallFault) -> None:
        if dead := self.refused(fault):
            dead.dead_until = now + DEAD
        elif fault.trigger is Trigger.rate_limited and fault.retry_after:
            self.paused_until = max(self.paused_until, now + fault.retry_after)

    def _changed(self, now: float, state: BreakerState, result: ModelReply | CallFault) -> BreakerChanged:
        if isinstance(result, CallFault):
            reason = f"{result.trigger}: {result.text}"
        else:
            reason = "its probes succeeded" if state == "closed" else "slow"
        return BreakerChanged(
            model=self.target.model,
            state=state,
            wait=self.breaker.wait(now),
            reason=reason[:300],
            provider=self.target.provider,
            key=self.target.key,
            place=self.target.place,
        )


def _failed(fault: CallFault) -> bool | None:
    """Whether the breaker counts it as a failure; None where it says nothing of the target."""
    return None if fault.trigger in REFUSED or fault.trigger.fault is not Fault.provider else True
