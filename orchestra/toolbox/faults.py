"""What ends a tool's work early, apart from its own exceptions."""

from __future__ import annotations


class ToolRejected(Exception):
    """Raised by a tool to say that these arguments make no sense; the text goes to the model as it is."""


class ToolTimeout(Exception):
    """A tool did not finish in its time; the text names the seconds."""
