"""Sinks: where rows go besides the file, one small file per backend; anything called with a Row is one."""

from __future__ import annotations

from typing import Protocol

from orchestra.ledger.events import Row
from orchestra.ledger.sinks.opentelemetry import OpenTelemetrySink
from orchestra.ledger.sinks.structlog import StructlogSink

__all__ = ["OpenTelemetrySink", "Sink", "StructlogSink"]


class Sink(Protocol):
    """Called with every row once it is stored, redacted, in the thread that appended it; must be quick."""

    def __call__(self, row: Row, /) -> None:
        """Take the row in."""
        ...
