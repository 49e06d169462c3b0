"""ledger: (every event) append-only rows in SQLite, and what they tell: attempts, totals, traces, comparisons."""

from orchestra.ledger.compare import Comparison, Estimate, compare
from orchestra.ledger.events import (
    AttemptEnded,
    AttemptStarted,
    ContextShrunk,
    Decided,
    Event,
    HumanAnswered,
    HumanAsked,
    Invoked,
    Judged,
    Planned,
    QuestionKind,
    Row,
    RunEnded,
    RunResumed,
    RunStarted,
    RunState,
    StepEnded,
    StepStarted,
    StepState,
    ToolEnded,
    ToolStarted,
)
from orchestra.ledger.lease import Lease
from orchestra.ledger.ledger import Ledger, Recorder
from orchestra.ledger.redact import redact
from orchestra.ledger.runs import RunSummary, new_run_id
from orchestra.ledger.sessions import active_seconds
from orchestra.ledger.sinks import Sink, StructlogSink
from orchestra.ledger.totals import Totals, totals
from orchestra.ledger.trace import TraceNode, mermaid, trace_json, trace_lines, tree
from orchestra.ledger.views import AttemptView, QuestionView, StepView, ToolView, attempts, questions, steps, tools

__all__ = [
    "AttemptEnded",
    "AttemptStarted",
    "AttemptView",
    "Comparison",
    "ContextShrunk",
    "Decided",
    "Estimate",
    "Event",
    "HumanAnswered",
    "HumanAsked",
    "Invoked",
    "Judged",
    "Lease",
    "Ledger",
    "Planned",
    "QuestionKind",
    "QuestionView",
    "Recorder",
    "Row",
    "RunEnded",
    "RunResumed",
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
    "active_seconds",
    "attempts",
    "compare",
    "mermaid",
    "new_run_id",
    "questions",
    "redact",
    "steps",
    "tools",
    "totals",
    "trace_json",
    "trace_lines",
    "tree",
]
