"""Keys planted in URLs, headers, bodies, exceptions and tracebacks reach no log line, span, metric, event or file."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from structlog.testing import capture_logs

from orchestra import Orchestra, OrchestraError, RecoveryPolicy, tool
from orchestra.errors import FleetError
from orchestra.fleet import Fleet
from orchestra.ledger import Ledger, OpenTelemetrySink, Row, StructlogSink
from orchestra.testing import CallTool, Error, FakeProvider, Say
from orchestra.transport import HttpxTransport, Transport, WireRequest, WireResponse, default_transport
from orchestra.types import ModelCard
from tests.app.doubles import KEY, LOW, fleet_file


class Observed:
    """A ledger that everybody listens to, and all that they were told."""

    def __init__(self, folder: Path) -> None:
        self.spans, self.reader, self.rows = InMemorySpanExporter(), InMemoryMetricReader(), list[Row]()
        tracers = TracerProvider(shutdown_on_exit=False)
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(self.spans))
        listening = OpenTelemetrySink(content=True, tracer_provider=tracers, meter_provider=self.meters)
        self.folder = folder
        self.ledger = Ledger(folder / "l.db", content=True, sinks=[StructlogSink(), listening, self.rows.append, leak])

    def said(self) -> str:
        spans = "".join(span.to_json() for span in self.spans.get_finished_spans())
        assert spans
        metrics = self.reader.get_metrics_data()
        files = b"".join(
            path.read_bytes() for path in self.folder.rglob("*") if path.suffix != ".toml" and path.is_file()
        )
        return spans + (metrics.to_json() if metrics else "") + repr(self.rows) + files.decode(errors="replace")


def places(text: str) -> list[str]:
    """Where the key stands in a text, with what is around it."""
    return [text[max(0, at.start() - 80) : at.end() + 20] for at in re.finditer(re.escape(KEY), text)]


def leak(row: Row) -> None:
    """A sink that fails with a key in its words, and in those of what caused it."""
    raise RuntimeError(f"cannot ship {KEY}") from ValueError(f"401 for https://ana:{KEY}@host/?key={KEY}")


class Leaking:
    """A stranger's transport, whose error tells the headers and whose cause tells the URL."""

    async def send(self, request: WireRequest) -> WireResponse:
        try:
            raise ValueError(f"POST {request.url}?key={KEY} as https://ana:{KEY}@host")
        except ValueError as error:
            raise RuntimeError(f"refused with {request.headers}") from error

    async def aclose(self) -> None:
        """Nothing is open."""


@pytest.fixture
def observed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Observed]:
    monkeypatch.setenv("FLEET_TEST_KEY", KEY)
    found = Observed(tmp_path)
    yield found
    found.meters.shutdown()


async def failing(observed: Observed, url: str, transport: Transport | None, caplog: Any) -> str:
    """Everything that anybody was told of a call that fails."""
    caplog.set_level(logging.DEBUG)
    plain = "http://127.0.0.1:9"
    card = ModelCard("small", "small", "mine", "openai-chat", "capable", base_url=plain, keys=("env:FLEET_TEST_KEY",))
    fleet = Fleet.from_cards([card])
    object.__setattr__(card, "base_url", url)  # past the fleet, which takes no password in a URL
    with capture_logs() as lines:
        at_once = RecoveryPolicy(retries=0)
        async with Orchestra(fleet, recovery=at_once, ledger=observed.ledger, transport=transport) as app:
            with pytest.raises(OrchestraError) as raised:
                await app.complete(f"my key is {KEY}")
    assert lines
    told = "".join(traceback.format_exception(raised.value)) + repr(raised.value.attempts)
    return observed.said() + repr(lines) + caplog.text + told


@pytest.mark.parametrize(
    "reply",
    [
        Error(401, {"error": {"message": f"Incorrect API key provided: {KEY}", "type": KEY, "code": KEY}}),
        Error(
            500, f"<html>upstream said Authorization: Bearer {KEY}</html>", {"x-debug": KEY, "set-cookie": f"k={KEY}"}
        ),
        Say(f'{{"url": "https://ana:{KEY}@host/?key={KEY}"', finish="content_filter"),
    ],
    ids=["body", "header", "reply"],
)
async def test_a_key_in_what_a_provider_answers_is_told_to_nobody(reply: Any, observed: Observed, caplog: Any) -> None:
    async with FakeProvider({"small": reply}) as provider:
        assert not places(await failing(observed, provider.base_url, None, caplog))
        assert provider.requests


@pytest.mark.parametrize("make", [default_transport, HttpxTransport])
@pytest.mark.parametrize("answers", [True, False], ids=["answers", "refuses"])
async def test_a_key_in_a_cards_url_is_told_to_nobody(
    make: Any, answers: bool, observed: Observed, caplog: Any
) -> None:
    caplog.set_level(logging.WARNING, "httpx")  # it tells whole URLs at level INFO, which is the user's to set
    async with FakeProvider({"small": Error(503, f"not https://ana:{KEY}@host")}) as provider:
        host = provider.base_url.removeprefix("http://") if answers else "127.0.0.1:9"
        assert not places(await failing(observed, f"http://ana:{KEY}@{host}", make(), caplog))


@pytest.mark.parametrize("url", [f"http://ana:{KEY}@host/v1", f"http://host/v1?key={KEY}", f"http://host/v1#{KEY}"])
def test_a_fleet_file_whose_url_holds_a_key_is_refused_without_saying_it(url: str) -> None:
    file = f'[models.m]\nmodel = "m"\ndialect = "openai-chat"\nbase_url = "{url}"\n'
    with pytest.raises(FleetError, match="must hold no user, password, query or fragment") as raised:
        Fleet.from_toml(file)
    assert not places("".join(traceback.format_exception(raised.value)))


async def test_a_key_in_an_exception_and_in_its_cause_is_told_to_nobody(observed: Observed, caplog: Any) -> None:
    assert not places(await failing(observed, "http://127.0.0.1:9/v1", Leaking(), caplog))


async def test_a_key_in_the_traceback_of_a_tool_is_told_to_nobody(observed: Observed, caplog: Any) -> None:
    @tool(read_only=True)
    def rows(sql: str) -> str:
        """Rows of a table.

        Args:
            sql: a SELECT
        """
        leak(None)
        return ""

    caplog.set_level(logging.DEBUG)

    def works(body: dict[str, Any]) -> Any:
        used = any(one["role"] == "tool" for one in body["messages"])
        return "It failed." if used or not body.get("tools") else CallTool("rows", sql="select 1")

    async with FakeProvider({"small": works, "strong": works}) as provider:
        file = fleet_file(observed.folder, provider)
        with capture_logs() as lines:
            async with Orchestra.from_file(file, ledger=observed.ledger, policies=[LOW]) as app:
                await app.planner_executor([rows]).ainvoke({"task": "count them"})
    assert any(line["event"] == "tool_ended" and line["trigger"] == "tool_error" for line in lines)
    assert not places(observed.said() + repr(lines) + caplog.text)
