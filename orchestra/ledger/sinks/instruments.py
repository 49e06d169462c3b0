"""The metrics: how long calls, attempts and waits took, the tokens and money they cost, and how breakers changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from opentelemetry.metrics import Counter, Histogram, Meter

from orchestra.ledger.events import AttemptEnded, BreakerChanged, Waited
from orchestra.ledger.sinks import semconv as names
from orchestra.ledger.sinks.semconv import Conventions
from orchestra.types import Usage

Attributes = dict[str, str | bool | int | float]


class Instruments:
    """One set per meter; each method is called once for what it measures."""

    def __init__(self, meter: Meter, conventions: Conventions) -> None:
        self._conventions = conventions
        self._calls = _seconds(meter, conventions.duration, "Calls to models, all attempts of each together")
        self._attempts = _seconds(meter, names.ATTEMPT_DURATION, "Single requests to models")
        self._waits = _seconds(meter, names.WAIT_DURATION, "Waits before a request could be sent")
        self._breakers = meter.create_counter(names.BREAKER_CHANGES, "{change}", "Changes of circuit breakers")
        self._spent = meter.create_counter(names.SPENT, "{USD}", "What attempts cost, as far as it is known")
        self._counters = {name: _counter(meter, name) for name in _COUNTED} if not conventions.token_usage else {}
        self._tokens = _tokens(meter, conventions.token_usage) if conventions.token_usage else None

    def call(self, seconds: float, about: Attributes) -> None:
        """A call is over, with an `error.type` in `about` where no attempt brought a reply that was accepted."""
        self._calls.record(seconds, about)

    def attempt(self, event: AttemptEnded, about: Attributes) -> None:
        """An attempt is over: what it took and cost. Tokens of refused replies are paid for, so they count too."""
        failed = {names.ERROR: event.trigger.value} if event.trigger else {}
        self._attempts.record(event.seconds, about | failed)
        if event.cost.usd:
            self._spent.add(event.cost.usd, about | {names.ESTIMATED: event.cost.estimated})
        if self._tokens is None:
            for name, counter in self._counters.items():
                counter.add(_COUNTED[name](event.usage or Usage()), about | {names.MODALITY: "unknown"})
        elif event.usage is not None:  # a histogram, unlike a counter, must not be told of tokens nobody reported
            for kind, count in (("input", event.usage.input), ("output", event.usage.output)):
                self._tokens.record(count, about | {names.TOKEN_TYPE: kind})

    def wait(self, event: Waited) -> None:
        """A call waited."""
        self._waits.record(event.seconds, self._target(event) | {names.WHY: event.why})

    def breaker(self, event: BreakerChanged) -> None:
        """A breaker changed."""
        self._breakers.add(1, self._target(event) | {names.STATE: event.state})

    def _target(self, event: Waited | BreakerChanged) -> Attributes:
        return {
            self._conventions.provider: names.provider(event.provider),
            names.MODEL: event.model,
            names.KEY: event.key,
            names.PLACE: event.place,
        }


_COUNTED: Mapping[str, Callable[[Usage], int]] = {
    names.INPUT_COUNTER: lambda usage: usage.input,
    names.OUTPUT_COUNTER: lambda usage: usage.output,
    names.CACHED_COUNTER: lambda usage: usage.cached_input,
    names.WRITTEN_COUNTER: lambda usage: usage.cache_write,
    names.REASONING_COUNTER: lambda usage: usage.reasoning,
}


def _seconds(meter: Meter, name: str, description: str) -> Histogram:
    return meter.create_histogram(name, "s", description, explicit_bucket_boundaries_advisory=names.SECONDS_BUCKETS)


def _counter(meter: Meter, name: str) -> Counter:
    return meter.create_counter(name, "{token}", "Tokens that providers reported, of refused replies too")


def _tokens(meter: Meter, name: str) -> Histogram:
    described = "Tokens that providers reported, per attempt"
    return meter.create_histogram(name, "{token}", described, explicit_bucket_boundaries_advisory=names.TOKEN_BUCKETS)
