"""toolbox: calls that passed their checks are executed here, validated and timed, their end a value."""

from orchestra.toolbox.adopt import as_tools
from orchestra.toolbox.ask import ask_human
from orchestra.toolbox.execute import ToolOutcome, execute
from orchestra.toolbox.faults import Replan, ToolFailed, ToolRejected, ToolTimeout
from orchestra.toolbox.files import load_tools
from orchestra.toolbox.tool import Tool, tool

__all__ = [
    "Replan",
    "Tool",
    "ToolFailed",
    "ToolOutcome",
    "ToolRejected",
    "ToolTimeout",
    "as_tools",
    "ask_human",
    "execute",
    "load_tools",
    "tool",
]
