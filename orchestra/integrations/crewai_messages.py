"""CrewAI's messages, tools and usage, and ours: what a model of ours wrote keeps its state beside the calls."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, cast

from crewai.tools.tool_failure import ToolFailure, ToolFailureReason, ToolFailureRecord
from pydantic import BaseModel

from orchestra import types as t
from orchestra.errors import ConfigError
from orchestra.runtime.messages import canonical
from orchestra.toolbox import Tool
from orchestra.toolbox.declared import Declaration, declared
from orchestra.types.json import JsonMismatch


class Function(BaseModel):
    """Name and arguments of a call, as CrewAI looks for them."""

    name: str
    arguments: str


class Part(BaseModel):
    """A call as CrewAI's executor takes it.

    The executor keeps objects of a class of this name with the message in which it reports the calls, under
    "raw_tool_call_parts"; so the reply travels with its history, through checkpoints too. Its first call has it whole.
    """

    id: str
    type: Literal["function"] = "function"
    function: Function
    orchestra: Any = None


def parts_of(reply: t.Reply) -> list[Part]:
    """The reply's calls for CrewAI; `from_crewai` reads the very same message back."""
    parts = [Part(id=call.id, function=Function(name=call.name, arguments=written(call))) for call in reply.tool_calls]
    parts[0].orchestra = t.to_json(reply.message)
    return parts


def from_crewai(messages: Sequence[Mapping[str, Any]], failed: Iterable[ToolFailureRecord]) -> tuple[t.Message, ...]:
    """CrewAI's messages as canonical ones; results of the calls that `failed` say so.

    A record of CrewAI's names no call. The result it speaks of has the tool's name and the very words that CrewAI tells
    the model of this failure; words that the tool chose itself count for a call with the same arguments alone.

    Raises ConfigError for a message or a part of one that not every model of a fleet can be shown, and for a kept reply
    that is none any more.
    """
    read = [_kept(message, at) or message for at, message in enumerate(messages)]
    found, faults = canonical(read), list(failed)
    if not faults:
        return found
    calls = {part.id: part for message in found for part in message.parts if isinstance(part, t.ToolCall)}
    return tuple(_marked(message, calls, faults) for message in found)


def tools_of(offered: Iterable[Any]) -> list[Tool]:
    """CrewAI's declarations as tools of ours. Raises ConfigError for what is none."""
    return declared(_declaration(one, at) for at, one in enumerate(offered))


def metered(attempts: Iterable[t.Attempt]) -> dict[str, int] | None:
    """What a call took in tokens, refused attempts included, as CrewAI counts it; None where nobody counted."""
    counted = [one.usage for one in attempts if one.usage]
    if not counted:
        return None
    usage = sum(counted, t.Usage())
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "cached_prompt_tokens": usage.cached_input,
        "reasoning_tokens": usage.reasoning,
        "cache_creation_tokens": usage.cache_write,
    }


def streamed(call: t.ToolCall) -> dict[str, Any]:
    """A call as CrewAI tells it in messages and streams."""
    return _call(call.id, call.name, written(call))


def written(call: t.ToolCall) -> str:
    """The arguments as CrewAI reads them."""
    return json.dumps(call.arguments, ensure_ascii=False)


def _call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _kept(message: Mapping[str, Any], at: int) -> t.Message | None:
    """The reply that led to these calls; None where it is not ours, or someone has changed its calls since."""
    parts: Any = message.get("raw_tool_call_parts")
    first: Any = parts[0] if parts else None
    kept = cast("Any", first).get("orchestra") if isinstance(first, dict) else getattr(first, "orchestra", None)
    if kept is None:
        return None
    try:
        found = t.from_json(t.Message, kept)
    except JsonMismatch as error:
        raise ConfigError(
            f"messages[{at}]: raw_tool_call_parts[0].orchestra is no reply of a model: {error}; "
            "put it back as it was, or leave raw_tool_call_parts out"
        ) from None
    calls = [streamed(part) for part in found.parts if isinstance(part, t.ToolCall)]
    return found if calls == _told(message) else None


def _told(message: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The calls that the message reports; None where they cannot be read so."""
    try:
        return [
            _call(one["id"], one["function"]["name"], one["function"]["arguments"]) for one in message["tool_calls"]
        ]
    except (KeyError, TypeError):
        return None


def _marked(message: t.Message, calls: Mapping[str, t.ToolCall], faults: Sequence[ToolFailureRecord]) -> t.Message:
    if message.role != "tool":
        return message
    (result,) = cast("tuple[t.ToolResult]", message.parts)
    failed = any(_tells(result, calls.get(result.call_id), one) for one in faults)
    return t.Message("tool", (t.ToolResult(result.call_id, result.name, result.content, is_error=failed),))


def _tells(result: t.ToolResult, call: t.ToolCall | None, fault: ToolFailureRecord) -> bool:
    """Whether this result is that failure."""
    said, failure = _text(result), fault.failure
    if fault.tool_name != result.name:
        return False
    if failure.reason is ToolFailureReason.EXCEPTION and said in _raised(failure):
        return True
    return said == failure.as_agent_message() and call is not None and call.arguments == (fault.tool_args or {})


def _raised(failure: ToolFailure) -> tuple[str, ...]:
    """What CrewAI tells the model of an exception; of one without a text it has recorded the class as message."""
    told = ("", failure.message) if failure.message == failure.code else (failure.message,)
    return tuple(f"Error executing tool: {text}" for text in told)


def _text(result: t.ToolResult) -> str:
    return "".join(part.text for part in result.content if isinstance(part, t.Text))


def _declaration(offered: Any, at: int) -> Declaration:
    try:
        function = offered["function"]
        return Declaration(function["name"], function.get("description"), function.get("parameters"), all_required=True)
    except (KeyError, TypeError, AttributeError):
        raise ConfigError(
            f"tools[{at}]: expected {{'type': 'function', 'function': {{'name': …}}}}, got {offered!r}"
        ) from None
