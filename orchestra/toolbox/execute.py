"""Executes one judged call: whatever happens inside a tool comes back as a value."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import cast

from orchestra.toolbox.faults import Replan, ToolFailed, ToolRejected, ToolTimeout
from orchestra.toolbox.result import Shown, cut, message, one_line, scalars, show
from orchestra.toolbox.tool import Tool
from orchestra.types import Json, Text, ToolCall, ToolResult, Trigger

REASON = 1000
"""Characters of a reason to plan anew: it stands in the planner's prompt and in every later state of the run."""


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """How a tool call ended. `trigger` is None, or tool_error, tool_timeout, tool_rejected.

    `result` is what the model reads. `value` is the whole JSON value (None for an error), `size` its characters
    before any cut, `seconds` how long it took. `whole` is all of the text where `result` was cut.
    `replan` is the reason where the tool says that the plan no longer fits the world, at most `REASON` characters of it
    and how many are left out.
    """

    result: ToolResult
    trigger: Trigger | None
    seconds: float
    size: int
    value: Json = None
    whole: str | None = None
    replan: str | None = None


async def execute(
    tool: Tool,
    call: ToolCall,
    *,
    timeout: float | None = None,  # noqa: ASYNC109  # enforced below
    handle: str = "",
    idempotency_key: str = "",
) -> ToolOutcome:
    """Validate the call again and run it; nothing but Ctrl-C and cancellation from outside leaves this as an exception.

    `timeout` in seconds; the tool's own holds where it is shorter. An error is one readable line, without traceback;
    a ToolFailed is quoted as it is. A `handle` is named in the note of a result that is cut; its text is then `whole`.
    `idempotency_key` goes to a tool that wants one.
    """
    started = time.perf_counter()
    trigger: Trigger | None = None
    replan: str | None = None
    try:
        value = await tool.call(call.arguments, timeout=timeout, idempotency_key=idempotency_key)
        shown = show(value, tool.max_result, handle)
    except BaseException as error:
        if _passes(error):
            raise
        trigger, text = _end(tool, error)  # a tool's failure is a value, whatever it is
        shown = _failed(tool, text)
        replan = _reason(text) if isinstance(error, Replan) else None
    result = ToolResult(call.id, call.name, shown.content, is_error=trigger is not None)
    seconds = time.perf_counter() - started
    return ToolOutcome(result, trigger, seconds, shown.size, shown.value, shown.whole, replan)


def _end(tool: Tool, error: BaseException) -> tuple[Trigger, str]:
    match error:
        case ToolRejected():
            return Trigger.tool_rejected, message(error) or "the arguments were rejected"
        case ToolTimeout():
            return Trigger.tool_timeout, f"{tool.name} {message(error)}"
        case Replan():
            return Trigger.tool_error, message(error) or "the world is no longer what the plan assumed"
        case ToolFailed():
            return Trigger.tool_error, message(error) or f"{tool.name} failed and did not say why"
        case _:
            return Trigger.tool_error, one_line(error)


def _failed(tool: Tool, text: str) -> Shown:
    return Shown((Text(cut(text, tool.max_result)),), None, len(text))


def _reason(text: str) -> str:
    text = scalars(text)
    left = len(text) - REASON
    return f"{text[:REASON]} [cut: {left:,} of {len(text):,} characters left out]" if left > 0 else text


def _passes(error: BaseException) -> bool:
    """Whether it is none of the tool's: Ctrl-C, the end of a generator or a test, cancellation from outside."""
    if isinstance(error, BaseExceptionGroup):
        return any(map(_passes, cast("BaseExceptionGroup[BaseException]", error).exceptions))
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return isinstance(error, KeyboardInterrupt | GeneratorExit) or getattr(error, "ends_the_test", False)
