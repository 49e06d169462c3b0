"""Traces: one run told as a tree with reasons, as plain lines, as JSON with stable keys, and as a mermaid diagram."""

from orchestra.ledger.trace.mermaid import mermaid
from orchestra.ledger.trace.record import trace_json
from orchestra.ledger.trace.tree import TraceNode, trace_lines, tree

__all__ = ["TraceNode", "mermaid", "trace_json", "trace_lines", "tree"]
