"""What spans are made with, and how they say times, failures, tokens, money and, when asked for, content."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from opentelemetry.context import Context
from opentelemetry.metrics import MeterProvider, get_meter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, TracerProvider, get_tracer

from orchestra.ledger.sinks import semconv as names
from orchestra.ledger.sinks.instruments import Attributes, Instruments
from orchestra.ledger.sinks.semconv import Conventions
from orchestra.types import Cost, Json, ModelCard, Usage, to_json


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Tracer and instruments under one version of the conventions; `content` sends what people and models wrote."""

    tracer: Tracer
    instruments: Instruments
    conventions: Conventions
    content: bool

    @classmethod
    def of(
        cls, conventions: Conventions, tracers: TracerProvider | None, meters: MeterProvider | None, *, content: bool
    ) -> Telemetry:
        """With these providers, or the global ones."""
        meter = get_meter("orchestra", meter_provider=meters)
        tracer = get_tracer("orchestra", tracer_provider=tracers)
        return cls(tracer, Instruments(meter, conventions), conventions, content)

    def span(
        self, name: str, time: float, context: Context | None, about: Attributes, kind: SpanKind = SpanKind.INTERNAL
    ) -> Span:
        """A span that began at `time` (Unix seconds), below that of the context; None: the current one."""
        return self.tracer.start_span(name, context, kind, about, start_time=nanoseconds(time))

    def fail(self, span: Span, error: str, evidence: Sequence[str] = ()) -> None:
        """Mark the span as failed. Evidence quotes providers, models and tools, so it goes out as content does."""
        span.set_attribute(names.ERROR, error)
        span.set_status(Status(StatusCode.ERROR, "; ".join(evidence) if self.content and evidence else None))

    def write(self, span: Span, name: str, value: Json) -> None:
        """Content, as the JSON text that the conventions take on spans; nothing unless it was asked for."""
        if self.content and value:
            span.set_attribute(name, json.dumps(to_json(value), ensure_ascii=False))

    def asked(self, card: ModelCard | None, name: str, place: str = "") -> Attributes:
        """Which model is asked, under the provider's name for it, and at which server as far as that is known."""
        url = place if "://" in place else (card and card.base_url) or ""
        return {
            names.OPERATION: names.operation(card),
            self.conventions.provider: names.provider(card.provider if card else ""),
            names.REQUEST_MODEL: card.model if card else name,
            **names.server(url),
        }


def nanoseconds(time: float) -> int:
    """Unix seconds as OpenTelemetry counts them."""
    return int(time * 1e9)


def given(about: Mapping[str, str | bool | int | float | None]) -> Attributes:
    """The attributes that have a value."""
    return {name: value for name, value in about.items() if value is not None and value != ""}


def money(cost: Cost) -> Attributes:
    """What it cost; nothing where that is unknown."""
    return {} if cost.usd is None else {names.COST: cost.usd, names.ESTIMATED: cost.estimated}


def tokens(usage: Usage | None, conventions: Conventions) -> Attributes:
    """The tokens that were reported; the cache's and reasoning ones are among input and output, as there."""
    if usage is None:
        return {}
    return {
        names.INPUT_TOKENS: usage.input,
        names.OUTPUT_TOKENS: usage.output,
        names.CACHED_TOKENS: usage.cached_input,
        conventions.cache_write: usage.cache_write,
        names.REASONING_TOKENS: usage.reasoning,
    }


def message(role: str, text: str, **more: Json) -> Json:
    """A text as the conventions write a list of messages; [] where there is none."""
    return [{"role": role, "parts": [{"type": "text", "content": text}], **more}] if text else []
