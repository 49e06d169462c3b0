"""Executes one judged call: whatever happens inside a tool comes back as a value."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from orchestra.toolbox.faults import ToolRejected, ToolTimeout
from orchestra.toolbox.result import Shown, cut, one_line, show
from orchestra.toolbox.tool import Tool
from orchestra.types import Json, Text, ToolCall, ToolResult, Trigger


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """How a tool call ended. `trigger` is None, or tool_error, tool_timeout, tool_rejected.

    `result` is what the model reads. `value` is the whole JSON value (None for an error), `size` its characters
    before any cut, `seconds` how long it took.
    """

    result: ToolResult
    trigger: Trigger | None
    seconds: float
    size: int
    value: Json = None


async def execute(tool: Tool, call: ToolCall, *, timeout: float | None = None) -> ToolOutcome:  # noqa: ASYNC109
    """Validate the call again and run it; only cancellation from outside leaves this function as an exception.

    `timeout` in seconds; the tool's own holds where it is shorter. An error is one readable line, without traceback.
    """
    started = time.perf_counter()
    trigger: Trigger | None = None
    try:
        shown = show(await tool.call(call.arguments, timeout=timeout), tool.max_result)
    except asyncio.CancelledError as error:
        if _cancelled_from_outside():
            raise
        trigger, shown = Trigger.tool_error, _failed(tool, one_line(error))
    except ToolRejected as error:
        trigger, shown = Trigger.tool_rejected, _failed(tool, str(error) or "the arguments were rejected")
    except ToolTimeout as error:
        trigger, shown = Trigger.tool_timeout, _failed(tool, f"{tool.name} {error}")
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a tool's failure is a value, whatever it is
        trigger, shown = Trigger.tool_error, _failed(tool, one_line(error))
    result = ToolResult(call.id, call.name, shown.content, is_error=trigger is not None)
    return ToolOutcome(result, trigger, time.perf_counter() - started, shown.size, shown.value)


def _failed(tool: Tool, text: str) -> Shown:
    return Shown((Text(cut(text, tool.max_result)),), None, len(text))


def _cancelled_from_outside() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
