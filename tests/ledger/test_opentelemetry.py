"""Spans and metrics: what an OpenTelemetry SDK receives of a run, by the names of the conventions."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from orchestra.errors import ConfigError
from orchestra.ledger import (
    AttemptEnded,
    AttemptStarted,
    BreakerChanged,
    Decided,
    Event,
    Judged,
    Ledger,
    OpenTelemetrySink,
    RunEnded,
    RunResumed,
    RunStarted,
    StepEnded,
    StepStarted,
    ToolEnded,
    ToolStarted,
    Waited,
)
from orchestra.types import Action, Candidate, Cost, Decision, ModelCard, Step, StepContext, Trigger, Usage
from tests.ledger.stories import Story, agent_story, attempt, write

HAIKU = ModelCard("fast", "claude-haiku-4-5", "anthropic", "anthropic", "t", base_url="https://api.anthropic.com")
FLASH = ModelCard("wide", "gemini-flash", "gemini", "gemini", "t", base_url="http://ana:pw@[::1]:8080/v1beta")


@dataclass
class Received:
    """What an SDK received, by a sink with these options."""

    sink: OpenTelemetrySink
    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader
    tracers: TracerProvider
    clock: Callable[[], float]

    def tell(self, story: Story, run: str = "run-1") -> list[ReadableSpan]:
        for row in write(Ledger(None, clock=self.clock), run, story):
            self.sink(row)  # not as the ledger's, which would only log what it raises
        return self.spans()

    def spans(self) -> list[ReadableSpan]:
        """In the order in which they began, what holds another before it."""
        return sorted(
            self.exporter.get_finished_spans(), key=lambda span: (span.start_time or 0, -(span.end_time or 0))
        )

    def tree(self) -> list[tuple[str, str | None]]:
        names = {span.context.span_id: span.name for span in self.spans()}
        return [(span.name, span.parent and names.get(span.parent.span_id)) for span in self.spans()]

    def metrics(self) -> dict[str, list[Any]]:
        data = self.reader.get_metrics_data()
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics] if data else []
        return {metric.name: list(metric.data.data_points) for scope in scopes for metric in scope.metrics}


@pytest.fixture
def received(request: pytest.FixtureRequest, ticking: Callable[[], float]) -> Iterator[Received]:
    options = getattr(request, "param", {})
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers, meters = TracerProvider(shutdown_on_exit=False), MeterProvider([reader], shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    sink = OpenTelemetrySink(tracer_provider=tracers, meter_provider=meters, **options)
    yield Received(sink, exporter, reader, tracers, ticking)
    meters.shutdown()


def with_options(**options: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("received", [options], indirect=True, ids=[" ".join(map(str, options.values()))])


def weighed(*cards: ModelCard) -> Decided:
    candidates = tuple(Candidate(card, 0, 0.5, 0.0, 1.0) for card in cards)
    return Decided(StepContext(Step("s")), Decision(cards[0].name, "t", "cost", candidates=candidates))


def call(*events: Event, agent: str = "complete", state: Any = "done") -> Story:
    return [("", RunStarted(agent)), *(("s", event) for event in events), ("", RunEnded(state, 1.0, "because"))]


def failover(*, call_id: str = "") -> list[Event]:
    """Overloaded on one model, a sibling with other tokens answers."""
    return [
        weighed(HAIKU, FLASH),
        AttemptStarted("a", "fast", key="ANTHROPIC_KEY", place="https://eu.anthropic.com:444/v1", call=call_id),
        AttemptEnded("a", "fast", trigger=Trigger.overloaded, status=529, seconds=0.5, cost=Cost(0.0)),
        Judged("a", "fast", Trigger.overloaded, ("529: busy",), action=Action.sibling, to_model="wide"),
        AttemptStarted("b", "wide", degraded=True, call=call_id),
        AttemptEnded(
            "b", "wide", "gemini-flash-001", None, 200, "yes", "stop", Usage(30, 7, 5, 2, 4), Cost(0.25), 0.9, 0.4
        ),
        Judged("b", "wide"),
    ]


def one(spans: list[ReadableSpan], name: str) -> ReadableSpan:
    (span,) = [span for span in spans if span.name == name]
    return span


def test_a_run_is_a_tree_of_its_agent_steps_calls_attempts_and_tools(received: Received) -> None:
    received.tell(agent_story())
    assert received.tree() == [
        ("invoke_agent analyst", None),
        ("step plan", "invoke_agent analyst"),
        ("chat strong-1b", "step plan"),
        ("attempt strong", "chat strong-1b"),
        ("step count", "invoke_agent analyst"),
        ("chat small-1b", "step count"),
        ("attempt small", "chat small-1b"),
        ("attempt strong", "chat small-1b"),
        ("execute_tool sqlite_query", "step count"),
        ("chat strong-1b", "step count"),
        ("attempt strong", "chat strong-1b"),
        ("execute_tool sqlite_query", "step count"),
        ("step tell", "invoke_agent analyst"),
        ("chat small-1b", "step tell"),
        ("attempt small", "chat small-1b"),
    ]


def test_one_span_covers_all_attempts_of_a_call_and_says_what_came_of_them(received: Received) -> None:
    spans = received.tell(call(*failover()))
    assert received.tree() == [
        ("chat claude-haiku-4-5", None),
        ("attempt fast", "chat claude-haiku-4-5"),
        ("attempt wide", "chat claude-haiku-4-5"),
    ]
    whole, first, second = spans
    assert whole.kind is SpanKind.CLIENT
    assert dict(whole.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-haiku-4-5",
        "gen_ai.request.stream": True,
        "gen_ai.response.model": "gemini-flash-001",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.time_to_first_chunk": 3.4,
        "gen_ai.usage.input_tokens": 30,
        "gen_ai.usage.output_tokens": 7,
        "gen_ai.usage.cache_read.input_tokens": 5,
        "gen_ai.usage.cache_write.input_tokens": 4,
        "gen_ai.usage.reasoning.output_tokens": 2,
        "server.address": "api.anthropic.com",
        "server.port": 443,
        "orchestra.run": "run-1",
        "orchestra.step": "s",
        "orchestra.model": "fast",
        "orchestra.attempts": 2,
        "orchestra.cost.usd": 0.25,
        "orchestra.cost.estimated": False,
    }
    assert whole.status.is_unset, "an error that was got over is none of the call's"
    assert dict(first.attributes or {}) == {
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-haiku-4-5",
        "gen_ai.request.stream": True,
        "server.address": "eu.anthropic.com",
        "server.port": 444,
        "http.response.status_code": 529,
        "error.type": "overloaded",
        "orchestra.attempt": "a",
        "orchestra.model": "fast",
        "orchestra.key": "ANTHROPIC_KEY",
        "orchestra.place": "https://eu.anthropic.com:444/v1",
        "orchestra.rung": 0,
        "orchestra.degraded": False,
        "orchestra.sent": "yes",
        "orchestra.cost.usd": 0.0,
        "orchestra.cost.estimated": False,
    }
    assert first.status.status_code is StatusCode.ERROR
    about = second.attributes or {}
    assert (about["gen_ai.provider.name"], about["http.request.resend_count"]) == ("gcp.gemini", 1)
    assert (about["server.address"], about["server.port"]) == ("::1", 8080)
    assert second.status.is_unset


def test_a_reply_asked_for_in_one_piece_has_no_first_chunk(received: Received) -> None:
    story = [replace(event, whole=True) if isinstance(event, AttemptStarted) else event for event in failover()]
    for span in received.tell(call(*story)):
        assert {"gen_ai.request.stream", "gen_ai.response.time_to_first_chunk"}.isdisjoint(span.attributes or {})


def test_spans_last_from_the_first_event_to_the_last_by_the_ledgers_clock(received: Received) -> None:
    whole, first, second = received.tell(call(*failover()))
    times = [(span.start_time, span.end_time) for span in (whole, first, second)]
    assert times == [(1002 * 10**9, 1007 * 10**9), (1002 * 10**9, 1003 * 10**9), (1005 * 10**9, 1006 * 10**9)]


def test_a_call_that_fails_for_good_says_why_and_ends_there(received: Received) -> None:
    fault = Judged("a", "m", Trigger.bad_request, ("400: PLANTED",), action=Action.fail)
    spans = received.tell(
        call(AttemptStarted("a", "m"), AttemptEnded("a", "m", trigger=Trigger.bad_request, status=400), fault)
    )
    for span in spans:
        assert (span.attributes or {})["error.type"] == "bad_request"
        assert span.status.status_code is StatusCode.ERROR
        assert span.status.description is None, "what providers write is content"
    assert (spans[0].attributes or {})["gen_ai.response.finish_reasons"] == ("error",)
    assert (spans[0].attributes or {})["gen_ai.provider.name"] == "_OTHER", "nobody said whose model it is"


def test_the_duration_of_a_call_is_measured_once_with_its_last_error_only(received: Received) -> None:
    received.tell(call(*failover()))
    (point,) = received.metrics()["gen_ai.client.inference.duration"]
    assert (point.count, point.sum) == (1, 5.0)
    assert point.explicit_bounds[0] == 0.01
    assert point.explicit_bounds[-1] == 81.92
    assert dict(point.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-haiku-4-5",
        "gen_ai.response.model": "gemini-flash-001",
        "server.address": "api.anthropic.com",
        "server.port": 443,
    }


def test_a_failed_call_is_measured_with_its_error(received: Received) -> None:
    fault = Judged("a", "m", Trigger.quota, action=Action.fail)
    received.tell(call(AttemptStarted("a", "m"), AttemptEnded("a", "m", trigger=Trigger.quota), fault))
    (point,) = received.metrics()["gen_ai.client.inference.duration"]
    assert point.attributes["error.type"] == "quota"


def test_attempts_are_measured_each_with_its_own_error_tokens_and_money(received: Received) -> None:
    received.tell(call(*failover()))
    metrics = received.metrics()
    found = {
        (point.attributes["gen_ai.request.model"], point.attributes.get("error.type")): point.sum
        for point in metrics["orchestra.attempt.duration"]
    }
    assert found == {("claude-haiku-4-5", "overloaded"): 0.5, ("gemini-flash", None): 0.9}
    (spent,) = metrics["orchestra.cost"]
    assert (spent.value, spent.attributes["gen_ai.provider.name"]) == (0.25, "gcp.gemini")
    for kind, expected in {
        "input_tokens": 30,
        "output_tokens": 7,
        "cache_read.input_tokens": 5,
        "cache_write.input_tokens": 4,
        "reasoning.output_tokens": 2,
    }.items():
        points = {
            point.attributes["gen_ai.request.model"]: point
            for point in metrics[f"gen_ai.client.inference.usage.{kind}"]
        }
        assert points["gemini-flash"].value == expected
        assert points["gemini-flash"].attributes["gen_ai.operation.name"] == "generate_content"
        assert points["gemini-flash"].attributes["gen_ai.response.model"] == "gemini-flash-001"
        assert points["gemini-flash"].attributes["gen_ai.token.modality"] == "unknown"
        assert points["claude-haiku-4-5"].value == 0, "a call without usage is counted with none"
    assert "gen_ai.client.token.usage" not in metrics


def test_tokens_of_refused_replies_count_because_they_are_paid_for(received: Received) -> None:
    bad = Judged("a", "m", Trigger.empty, action=Action.repair, to_model="m")
    usage = Usage(10, 1)
    whole, *_ = received.tell(
        call(
            *attempt("a", "m", usage=usage, seconds=1),
            bad,
            *attempt("b", "m", usage=usage, seconds=1),
            Judged("b", "m"),
        )
    )
    assert (whole.attributes or {})["gen_ai.usage.input_tokens"] == 20
    (point,) = received.metrics()["gen_ai.client.inference.usage.input_tokens"]
    assert point.value == 20


@with_options(version="1.41")
def test_the_last_published_conventions_name_the_metrics_otherwise(received: Received) -> None:
    whole, *_ = received.tell(call(*failover()))
    assert (whole.attributes or {})["gen_ai.provider.name"] == "anthropic"
    assert (whole.attributes or {})["gen_ai.usage.cache_creation.input_tokens"] == 4
    metrics = received.metrics()
    assert metrics["gen_ai.client.operation.duration"][0].attributes["gen_ai.provider.name"] == "anthropic"
    tokens = {point.attributes["gen_ai.token.type"]: point for point in metrics["gen_ai.client.token.usage"]}
    assert {kind: point.sum for kind, point in tokens.items()} == {"input": 30, "output": 7}
    assert tokens["input"].explicit_bounds[:3] == (1, 4, 16)
    assert not [name for name in metrics if name.startswith("gen_ai.client.inference")]


@with_options(version="1.36")
def test_the_conventions_that_most_instrumentations_still_send_say_system_instead_of_provider(
    received: Received,
) -> None:
    for span in received.tell(call(*failover())):
        assert (span.attributes or {})["gen_ai.system"] in {"anthropic", "gcp.gemini"}
        assert "gen_ai.provider.name" not in (span.attributes or {})
    points = received.metrics()["gen_ai.client.operation.duration"]
    assert points[0].attributes["gen_ai.system"] == "anthropic"


def test_a_version_that_is_unknown_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ConfigError, match=r"'2\.0' of the conventions is unknown; known: latest, 1\.41, 1\.36"):
        OpenTelemetrySink(version="2.0")


def test_without_the_package_the_sink_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("opentelemetry", "orchestra.ledger.sinks."))]:
        if name not in {"orchestra.ledger.sinks.opentelemetry", "orchestra.ledger.sinks.semconv"}:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ConfigError, match=r"pip install 'orchestra-agents\[otel\]'"):
        OpenTelemetrySink()


SECRETS = (
    "how many rows?",
    "what people wrote",
    "raw of",
    "select ",
    "344",
    "Write sql",
    "no such table",
    "expected string",
)


def said(span: ReadableSpan) -> str:
    """All that a span says but for its ids, in whose digits any number may stand."""
    events = [(event.name, event.attributes) for event in span.events]
    return repr((span.name, span.attributes, events, span.status.description))


def test_content_stays_at_home_unless_it_is_asked_for(received: Received) -> None:
    told = "".join(map(said, received.tell(agent_story())))
    assert not [text for text in SECRETS if text in told]
    assert "gen_ai.input.messages" not in told


@with_options(content=True)
def test_content_that_is_asked_for_is_written_as_the_conventions_write_messages(received: Received) -> None:
    spans = received.tell(agent_story())
    agent = one(spans, "invoke_agent analyst").attributes or {}
    question = '[{"role": "user", "parts": [{"type": "text", "content": "how many rows?"}]}]'
    assert agent["gen_ai.input.messages"] == question
    assert "There are 344 rows." in str(agent["gen_ai.output.messages"])
    call_, tool, *_ = [
        dict(span.attributes or {}) for span in spans if span.name in {"chat small-1b", "execute_tool sqlite_query"}
    ]
    assert call_["gen_ai.output.messages"] == (
        '[{"role": "assistant", "parts": [{"type": "text", "content": "raw of a3"}], "finish_reason": "stop"}]'
    )
    assert tool["gen_ai.tool.call.arguments"] == '{"sql": "select 1 from t"}'
    assert tool["gen_ai.tool.call.result"] == '"no such table: t"'
    refused = next(span for span in spans if span.name == "attempt small")
    assert refused.status.description == "sqlite_query.sql: expected string, got 3"


def test_a_run_begins_below_the_span_that_is_current_there(received: Received) -> None:
    with received.tracers.get_tracer("mine").start_as_current_span("my request"):
        received.tell(call(*failover()))
        received.tell(agent_story(), "run-2")
    parents = dict(received.tree())
    assert parents["chat claude-haiku-4-5"] == "my request"
    assert parents["invoke_agent analyst"] == "my request"


def test_a_wait_belongs_to_the_call_that_it_held_up(received: Received) -> None:
    wait = Waited("fast", 0.75, "rate_limit", "anthropic", "KEY", "eu")
    spans = received.tell(call(weighed(HAIKU), wait, *attempt("a", "fast", usage=None, seconds=1), Judged("a", "fast")))
    assert received.tree() == [
        ("chat claude-haiku-4-5", None),
        ("wait", "chat claude-haiku-4-5"),
        ("attempt fast", "chat claude-haiku-4-5"),
    ]
    waited = spans[1]
    assert (waited.end_time or 0) - (waited.start_time or 0) == 750_000_000
    (point,) = received.metrics()["orchestra.wait.duration"]
    assert point.sum == 0.75
    assert dict(point.attributes) == {
        "gen_ai.provider.name": "anthropic",
        "orchestra.model": "fast",
        "orchestra.key": "KEY",
        "orchestra.place": "eu",
        "orchestra.why": "rate_limit",
    }


def test_changes_of_a_breaker_are_counted_by_target_and_state(received: Received) -> None:
    changes = [BreakerChanged("fast", state, provider="anthropic") for state in ("open", "half_open", "open")]
    received.tell(call(weighed(HAIKU), *changes))
    counted = {
        point.attributes["orchestra.state"]: point.value for point in received.metrics()["orchestra.breaker.changes"]
    }
    assert counted == {"open": 2, "half_open": 1}


@pytest.mark.parametrize("end", [("s", StepEnded("failed")), ("", RunEnded("cancelled"))], ids=["step", "run"])
def test_a_call_that_was_left_ends_as_cancelled_when_it_was_last_heard_of(received: Received, end: Any) -> None:
    left: list[Event] = [AttemptStarted("a", "m"), AttemptEnded("a", "m"), AttemptStarted("b", "m")]
    spans = received.tell([("", RunStarted("complete")), *(("s", event) for event in left), end])
    assert len(spans) == 4
    assert {(span.attributes or {})["error.type"] for span in spans} == {"cancelled"}
    assert [span.end_time for span in spans if span.name == "chat m"] == [1002 * 10**9, 1003 * 10**9]


def test_an_attempt_under_way_ends_with_its_call(received: Received) -> None:
    retry = Judged("a", "m", Trigger.empty, action=Action.retry, to_model="m")
    begun = [AttemptStarted("a", "m"), AttemptEnded("a", "m"), retry, AttemptStarted("b", "m")]
    left = received.tell(call(*begun, state="cancelled"))
    assert [span.end_time for span in left] == [1004 * 10**9, 1002 * 10**9, 1004 * 10**9]
    received.exporter.clear()
    two = [AttemptStarted("a", "m", call="c"), AttemptStarted("b", "m", call="c"), Judged("b", "m")]
    errors = {span.name: (span.attributes or {}).get("error.type") for span in received.tell(call(*two))[:2]}
    assert errors == {"chat m": None, "attempt m": "cancelled"}


def test_a_failed_step_and_a_failed_run_are_marked_and_an_interrupted_one_is_not(received: Received) -> None:
    story: Story = [
        ("", RunStarted("agent")),
        ("s", StepStarted("goal", "act")),
        ("s", StepEnded("failed", trigger=Trigger.empty, evidence=("PLANTED",))),
        ("t", StepStarted("goal", "act")),
        ("t", StepEnded("failed")),
        ("", RunEnded("failed", reason="PLANTED")),
        ("", RunResumed("agent", "host/1")),
        ("u", ToolStarted("c", "rows")),
        ("", RunEnded("interrupted")),
    ]
    spans = received.tell(story)
    errors = {span.name: (span.attributes or {}).get("error.type") for span in spans}
    assert errors == {"invoke_agent agent": None, "step s": "empty", "step t": "_OTHER", "execute_tool rows": None}
    assert [(span.attributes or {}).get("error.type") for span in spans if span.name == "invoke_agent agent"] == [
        "failed",
        None,
    ]
    assert "PLANTED" not in "".join(span.to_json() for span in spans)


def test_a_run_that_begins_anew_without_an_end_leaves_nothing_open(received: Received) -> None:
    story: Story = [("", RunStarted("agent")), ("s", StepStarted("g", "act")), ("", RunResumed("agent", "host/2"))]
    assert [span.name for span in received.tell(story)] == ["invoke_agent agent", "step s"]


def test_calls_at_once_in_one_step_are_kept_apart(received: Received) -> None:
    """With ids even where one goes on as the other does; without, as long as an attempt is under way."""
    retry = Judged("a", "m", Trigger.empty, action=Action.retry, to_model="m")
    ends = [AttemptEnded(name, "m", usage=Usage(1, 1)) for name in "abc"]
    received.tell(
        call(
            AttemptStarted("a", "m", call="1"), ends[0], retry,
            AttemptStarted("b", "m", call="2"), AttemptStarted("c", "m", call="1"),
            ends[1], ends[2], Judged("b", "m"), Judged("c", "m"),
            AttemptStarted("d", "m"), AttemptStarted("e", "m"), Judged("d", "m"), Judged("e", "m"),
        )
    )  # fmt: skip
    calls = [(span.attributes or {})["orchestra.attempts"] for span in received.spans() if span.name == "chat m"]
    assert calls == [2, 1, 1, 1]


def test_a_verdict_on_what_tools_showed_belongs_to_no_call_any_more(received: Received) -> None:
    later = Judged("a", "m", Trigger.tool_error, action=Action.repair, to_model="m")
    spans = received.tell(call(AttemptStarted("a", "m"), AttemptEnded("a", "m"), Judged("a", "m"), later))
    assert [span.status.is_unset for span in spans] == [True, True]


def test_what_comes_after_a_runs_end_is_not_held(received: Received) -> None:
    late: Story = [("s", AttemptEnded("a", "m")), ("s", Judged("a", "m")), ("s", StepEnded("done"))]
    received.tell([*call(AttemptStarted("a", "m")), *late])
    assert not received.sink._runs


def test_ends_of_what_was_not_seen_to_begin_say_nothing(received: Received) -> None:
    unseen: Story = [("s", AttemptEnded("a", "m")), ("s", Judged("a", "m")), ("s", ToolEnded("c", "rows"))]
    spans = received.tell([("", RunResumed("agent", "host/1")), *unseen, ("", RunEnded("done"))])
    assert [span.name for span in spans] == ["invoke_agent agent"]
