"""ledger: (every event) append-only rows in SQLite, and what they tell: attempts, totals, traces, comparisons."""

from orchestra.ledger.compare import Comparison, Estimate, compare
from orchestra.ledger.events import (
    AttemptEnded,
    AttemptStarted,
    Decided,
    Event,
    Judged,
    Planned,
    Row,
    RunEnded,
    RunStarted,
    RunState,
    StepEnded,
    StepStarted,
    StepState,
    ToolEnded,
    ToolStarted,
)
from orchestra.ledger.ledger import Ledger, Recorder
from orchestra.ledger.redact import redact
from orchestra.ledger.runs import RunSummary, new_run_id
from orchestra.ledger.sinks import Sink, StructlogSink
from orchestra.ledger.totals import Totals, totals
from orchestra.ledger.trace import TraceNode, mermaid, trace_json, trace_lines, tree
from orchestra.ledger.views import AttemptView, StepView, ToolView, attempts, steps, tools

__all__ = [
    "AttemptEnded",
    "AttemptStarted",
    "AttemptView",
    "Comparison",
    "Decided",
    "Estimate",
    "Event",
    "Judged",
    "Ledger",
    "Planned",
    "Recorder",
    "Row",
    "RunEnded",
    "RunStarted",
    "RunState",
    "RunSummary",
    "Sink",
    "StepEnded",
    "StepStarted",
    "StepState",
    "StepView",
    "StructlogSink",
    "ToolEnded",
    "ToolStarted",
    "ToolView",
    "Totals",
    "TraceNode",
    "attempts",
    "compare",
    "mermaid",
    "new_run_id",
    "redact",
    "steps",
    "tools",
    "totals",
    "trace_json",
    "trace_lines",
    "tree",
]
