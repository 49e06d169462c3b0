"""BreakerPolicy: when a provider's circuit breakers open, and for how long; [providers.NAME.breaker]."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """Opens where of `minimum` or more calls in `window` seconds a share `error_rate` failed, or `slow_rate` was slow.

    Slow is a call of more than `slow` seconds; None: none is. `minimum` failures in a row open it too. It stays open
    for `opens` seconds, twice as long each time that a probe fails, up to `longest`. Then `probes` calls at a time may
    pass, and as many successes in a row close it.
    """

    window: float = 60.0
    minimum: int = 8
    error_rate: float = 0.5
    slow_rate: float = 0.8
    slow: float | None = None
    opens: float = 30.0
    longest: float = 300.0
    probes: int = 2
