"""Health of a target: what routing should know before it fails. Error rate, latency, what its replies were worth."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from orchestra.dispatch.latency import STEP, LatencyHistory
from orchestra.dispatch.lengths import Lengths
from orchestra.types import Fault, Trigger

SAMPLES = 256  # newest answers of which percentiles are taken
REFRESH = 5.0  # seconds for which a score holds where nothing new is recorded
Z = 1.96  # 95 %, two-sided
FADES = 5.0  # evidence of a whole window ago has e^-5 of its weight: none

TOLERATED = 0.25
"""The share of refused replies that says nothing: a model that gets the hard steps is refused more than others."""


@dataclass(frozen=True, slots=True)
class HealthReport:
    """A target's last minutes. Seconds, and shares in [0, 1]; None: nothing was measured.

    `volume` and `error_rate` weigh a call the less the older it is; percentiles are of the answers within the window.
    `semantic` is about what replies were worth, `network` about latency (LatencyHistory); `score` is what routing gets:
    availability x semantic x network, 1.0 without evidence.
    """

    volume: float
    error_rate: float
    latency_p50: float | None
    latency_p95: float | None
    first_token_p50: float | None
    first_token_p95: float | None
    semantic: float
    network: float
    score: float


class Health:
    """Judges a target by its last `window` seconds. Pure: `now` is seconds on the caller's clock; there is no lock."""

    __slots__ = ("_at", "_counts", "_latency", "_lengths", "_samples", "_score", "_until", "_window")

    def __init__(self, window: float = 300.0) -> None:
        self._window = window
        self._counts = [0.0] * 6
        self._at = 0.0  # when the counts were last faded
        self._samples: deque[tuple[float, float, float | None]] = deque(maxlen=SAMPLES)
        self._latency, self._lengths = LatencyHistory(window / FADES), Lengths()
        self._score, self._until = 1.0, math.inf

    def record(
        self,
        now: float,
        *,
        trigger: Trigger | None,
        seconds: float,
        first_token: float | None,
        output_tokens: int | None,
    ) -> None:
        """An attempt has ended; one that the request was to blame for says nothing of the target."""
        fault = None if trigger is None else trigger.fault
        if fault is Fault.request:
            return
        self._until, counts = now, self._faded(now)
        counts[_CALLS] += 1
        if fault is Fault.provider:
            counts[_FAILED] += 1
            self._latency.lost(now)
            return
        self._samples.append((now, seconds, first_token))
        self._latency.answered(now, seconds if first_token is None else first_token)
        if output_tokens is not None:
            counts[_MEASURED] += 1
            counts[_ODD] += self._lengths.odd(now, output_tokens)

    def judged(self, now: float, *, accepted: bool) -> None:
        """The checks have said whether a reply may be used."""
        self._until, counts = now, self._faded(now)
        counts[_JUDGED] += 1
        counts[_REFUSED] += not accepted

    def score(self, now: float) -> float:
        """In [0, 1]: about the share of calls that will come to something. Costs next to nothing between two calls."""
        if now >= self._until:
            semantic, network = self._semantic(now), self._latency.score(now)
            calls, failed = self._faded(now)[:2]
            self._score = (1.0 - surely(failed, calls)) * semantic * network
            self._until = now + REFRESH
        return self._score

    def report(self, now: float) -> HealthReport:
        """Everything that is known of the target now."""
        calls, failed = self._faded(now)[:2]
        recent = [sample for sample in self._samples if sample[0] > now - self._window]
        latencies = sorted(seconds for _, seconds, _ in recent)
        first_tokens = sorted(first for _, _, first in recent if first is not None)
        self._until = now
        return HealthReport(
            volume=calls,
            error_rate=failed / calls if calls else 0.0,
            latency_p50=_percentile(latencies, 0.5),
            latency_p95=_percentile(latencies, 0.95),
            first_token_p50=_percentile(first_tokens, 0.5),
            first_token_p95=_percentile(first_tokens, 0.95),
            semantic=self._semantic(now),
            network=self._latency.score(now),
            score=self.score(now),
        )

    def _faded(self, now: float) -> list[float]:
        """Old evidence counts less and less: a target that is avoided becomes an unknown one, and is tried again."""
        if now - self._at >= STEP:
            left = math.exp(FADES * (self._at - now) / self._window)
            self._counts = [left * count for count in self._counts]
            self._at = now
        return self._counts

    def _semantic(self, now: float) -> float:
        """A reply of odd length is half a refused one: the work may have changed, not the model."""
        _, _, judged, refused, measured, odd = self._faded(now)
        worthless = max(0.0, surely(refused, judged) - TOLERATED) / (1.0 - TOLERATED)
        return (1.0 - worthless) * (1.0 - surely(odd, measured) / 2)


_CALLS, _FAILED, _JUDGED, _REFUSED, _MEASURED, _ODD = range(6)


def surely(hits: float, of: float) -> float:
    """The least share that `hits` out of `of` are evidence for: the lower bound of Wilson's 95 % interval (1927)."""
    if not hits:
        return 0.0
    share, z2 = hits / of, Z * Z / of
    return (share + z2 / 2 - Z * math.sqrt((share * (1 - share) + z2 / 4) / of)) / (1 + z2)


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    """By nearest rank."""
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else None
