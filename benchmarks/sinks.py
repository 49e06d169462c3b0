"""Microseconds of CPU that listening costs a call: log lines, OpenTelemetry, and its SDK alone.

    python benchmarks/sinks.py

One call is six rows in memory (run, decision, attempt, its end, verdict, end), redacted because somebody listens. Log
lines are rendered as JSON and dropped; spans and metrics go to an SDK whose exporter drops them. Each number is the
best of several rounds in this one process. The last row makes the same two spans and seven measurements by hand: what
the SDK itself costs.
"""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable, Iterable, Sequence

import structlog
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, set_span_in_context

from orchestra.ledger import (
    AttemptEnded,
    AttemptStarted,
    Decided,
    Event,
    Judged,
    Ledger,
    OpenTelemetrySink,
    RunEnded,
    RunStarted,
    Sink,
    StructlogSink,
)
from orchestra.types import Candidate, Cost, Decision, ModelCard, Price, Reason, Step, StepContext, Usage

CARD = ModelCard(
    "m", "m-1", "openai", "openai-chat", "capable", price=Price(1, 2), base_url="https://api.openai.com/v1"
)
CANDIDATES = (Candidate(CARD, 0, 0.5, 0.001, 1.0),)
DECIDED = Decided(
    StepContext(Step("call")),
    Decision("m", "capable", "balanced", reasons=(Reason("mode", "balanced"),), candidates=CANDIDATES),
)
CALL: tuple[tuple[str, Event], ...] = (
    ("", RunStarted("complete")),
    ("call", DECIDED),
    ("call", AttemptStarted("a", "m", call="c")),
    ("call", AttemptEnded("a", "m", "m-1", None, 200, "yes", "stop", Usage(100, 20), Cost(0.001), 0.5, 0.2)),
    ("call", Judged("a", "m")),
    ("", RunEnded("done", 0.5)),
)


class Dropped(SpanExporter):
    """Takes spans and forgets them."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:  # noqa: ARG002  # the SDK's signature
        """Say that all is well."""
        return SpanExportResult.SUCCESS


class Lines:
    """A logger that drops its lines."""

    def info(self, line: str) -> None:
        """Drop it."""


def nothing(_: object) -> None:
    """A listener, or what becomes of a line."""


def microseconds(work: Callable[[], object], number: int = 200, rounds: int = 30) -> float:
    """CPU time of one call, the best of `rounds`."""
    return min(timeit.repeat(work, timer=time.process_time, number=number, repeat=rounds)) / number * 1e6


def listened(sinks: Iterable[Sink]) -> float:
    """What the rows of one call cost with these sinks."""
    ledger = Ledger(None, sinks=sinks)
    return microseconds(lambda: [ledger.append("run", step, event) for step, event in CALL])


def by_hand(tracers: TracerProvider, meters: MeterProvider) -> float:
    """The same spans and measurements, without a ledger."""
    tracer, meter = tracers.get_tracer("bench"), meters.get_meter("bench")
    histogram, counter = meter.create_histogram("h"), meter.create_counter("c")
    about = {f"attribute.{number}": "value" for number in range(12)}

    def call() -> None:
        outer = tracer.start_span("call", kind=SpanKind.CLIENT, attributes=about)
        inner = tracer.start_span("attempt", set_span_in_context(outer), SpanKind.CLIENT, about)
        histogram.record(0.5, about)
        for _ in range(6):
            counter.add(1, about)
        inner.end()
        outer.end()

    return microseconds(call)


def main() -> None:
    """Print one row per sink: microseconds a call, and what they are more than without a sink."""
    tracers = TracerProvider(shutdown_on_exit=False)
    meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(Dropped()))
    lines = structlog.wrap_logger(Lines(), processors=[structlog.processors.JSONRenderer()])
    bare = listened([nothing])
    print(f"{'µs CPU a call':28}{'all':>10}{'more':>10}")
    for name, sink in {
        "a sink that does nothing": nothing,
        "StructlogSink": StructlogSink(lines),
        "OpenTelemetrySink": OpenTelemetrySink(tracer_provider=tracers, meter_provider=meters),
    }.items():
        found = listened([sink])
        print(f"{name:28}{found:10.1f}{max(0.0, found - bare):10.1f}")
    print(f"{'the SDK alone':28}{by_hand(tracers, meters):10.1f}")
    meters.shutdown()


if __name__ == "__main__":
    main()
