"""Sinks: rows as structured log lines."""

from __future__ import annotations

import subprocess
import sys

import structlog
from structlog.testing import CapturingLogger, capture_logs

from orchestra.ledger import Ledger, StructlogSink
from tests.ledger.stories import agent_story, write


def test_each_row_is_a_line_named_by_its_type_with_its_fields_as_keys() -> None:
    with capture_logs() as lines:
        write(Ledger(None, sinks=[StructlogSink()]), "run-1", agent_story())
    assert [line["event"] for line in lines] == [event.type for _, event in agent_story()]
    assert {line["run"] for line in lines} == {"run-1"}
    bad = next(line for line in lines if line["event"] == "verdict" and line["trigger"])
    assert (bad["log_level"], bad["step"], bad["action"], bad["to_model"]) == ("warning", "count", "escalate", "strong")
    assert lines[0]["log_level"] == "info"
    assert lines[-1]["seconds"] == 17.5


def test_content_and_the_bulk_of_decisions_stay_out_of_the_log() -> None:
    logger = CapturingLogger()
    write(Ledger(None, sinks=[StructlogSink(structlog.wrap_logger(logger, processors=[]))]), "run-1", agent_story())
    for text in ("how many rows?", "what people wrote", "raw of a2", "select count", "344 rows", "Write sql"):
        assert text not in repr(logger.calls)
    decided = next(call.kwargs for call in logger.calls if call.kwargs["event"] == "decided")
    assert (decided["model"], decided["ladder"]) == ("strong", [])
    assert "candidates" not in decided
    planned = next(call.kwargs for call in logger.calls if call.kwargs["event"] == "planned")
    assert planned["steps"] == ["count", "tell"]


def test_the_ledger_loads_nothing_heavy() -> None:
    heavy = "structlog rich langgraph langchain_core httpx mcp pydantic numpy jsonschema asyncio"
    code = f"import sys, orchestra.ledger; print([name for name in {heavy.split()} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
