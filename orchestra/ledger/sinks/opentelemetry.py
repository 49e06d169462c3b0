"""Rows as OpenTelemetry spans and metrics, by the conventions for generative AI; needs the extra `otel`."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from orchestra.errors import ConfigError
from orchestra.ledger.events import (
    AttemptStarted,
    Decided,
    Row,
    RunEnded,
    RunResumed,
    RunStarted,
    StepStarted,
    ToolStarted,
)
from orchestra.ledger.sinks.semconv import VERSIONS, Version

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from orchestra.ledger.sinks.spans import RunSpans


class OpenTelemetrySink:
    """Traces every run, and measures every call to a model, with the providers given or else the global ones.

    `version` is that of the conventions' names. `content` also sends what people and models wrote. Spans begin below
    the one that is current where the run begins. Raises ConfigError where opentelemetry is missing or the version is
    unknown.
    """

    def __init__(
        self,
        *,
        version: Version = "latest",
        content: bool = False,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        if version not in VERSIONS:
            raise ConfigError(f"version {version!r} of the conventions is unknown; known: {', '.join(VERSIONS)}")
        try:
            from orchestra.ledger.sinks.spans import RunSpans
            from orchestra.ledger.sinks.telemetry import Telemetry
        except ModuleNotFoundError:
            raise ConfigError("OpenTelemetrySink needs opentelemetry: pip install 'orchestra-agents[otel]'") from None
        telemetry = Telemetry.of(VERSIONS[version], tracer_provider, meter_provider, content=content)
        self._begin = partial(RunSpans, telemetry)
        self._runs: dict[str, RunSpans] = {}
        self._lock = threading.Lock()

    def __call__(self, row: Row, /) -> None:
        """Open, describe or end the spans that the row is about."""
        with self._lock:
            run = self._runs.get(row.run)
            if run is None and isinstance(row.event, _BEGINS):
                run = self._runs[row.run] = self._begin(row.run)
            if run is not None:
                run.take(row.event, row.step, row.time)
            if isinstance(row.event, RunEnded):
                self._runs.pop(row.run, None)


# Only these begin to hold something of a run: what comes after its end must not be held for ever.
_BEGINS = (RunStarted, RunResumed, StepStarted, Decided, AttemptStarted, ToolStarted)
