"""Tool calls: which faults they have, and the lossless mending of their arguments."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import cast

from orchestra.checks.expect import Expect
from orchestra.checks.mend import mend
from orchestra.checks.schema import violations
from orchestra.checks.strict import ONCE, GivenTwice, NotJson, object_fault, read_json, value_fault
from orchestra.checks.wording import cut, known, shown
from orchestra.types import Finish, Json, ModelReply, Part, ToolCall, ToolSpec, Trigger
from orchestra.types.verdict import FAILED_EACH_TIME

_CANONICAL = json.JSONEncoder(sort_keys=True, default=dict)  # json.dumps would build one for every call
WHOLE: frozenset[Finish] = frozenset({"stop", "tool_calls"})
_ORDER = (Trigger.unknown_tool, Trigger.malformed_args, Trigger.schema_violation, Trigger.repeated_call)


def mend_calls(reply: ModelReply, expect: Expect) -> ModelReply:
    """The reply with the arguments of its calls mended where that is lossless; notes are added to `mended`.

    Only a reply that ended by itself is mended. No arguments at all become `{}` only if `{}` fits the tool's schema.
    Mending twice changes nothing more; `raw` stays as the model wrote it.
    """
    if reply.finish not in WHOLE or None not in [one.arguments for one in reply.parts if isinstance(one, ToolCall)]:
        return reply
    schemas = {tool.name: tool.schema for tool in expect.tools}
    notes: list[str] = []
    parts: list[Part] = []
    for part in reply.parts:
        if isinstance(part, ToolCall) and part.arguments is None:
            arguments, mended = _arguments(part, schemas.get(part.name))
            notes.extend(f"{cut(part.name)}: {note}" for note in mended)
            parts.append(replace(part, arguments=arguments))
        else:
            parts.append(part)
    return replace(reply, parts=tuple(parts), mended=(*reply.mended, *notes))


def _arguments(call: ToolCall, schema: Mapping[str, Json] | None) -> tuple[Mapping[str, Json] | None, tuple[str, ...]]:
    if _absent(call):
        fits = schema is not None and not violations(schema, {})
        return ({}, ("wrote {} for no arguments",)) if fits else (None, ())
    value, notes = mend(call.raw) or (None, ())
    if isinstance(value, str):
        value, more = mend(value) or (None, ())
        notes = (*notes, "unwrapped the JSON from a JSON string", *more)
    return (value, notes) if isinstance(value, Mapping) else (None, ())


def _absent(call: ToolCall) -> bool:
    return call.raw.strip() in ("", "null", "None")


def judge_calls(reply: ModelReply, expect: Expect) -> tuple[Trigger, tuple[str, ...]] | None:
    """The most specific trigger among all calls of the reply, and every fault of every call; None without faults."""
    calls = reply.tool_calls
    tools = {tool.name: tool for tool in expect.tools}
    triggers: set[Trigger] = set()
    evidence: list[str] = []
    for number, call in enumerate(calls, 1):
        trigger, lines = _faults(call, tools, (*expect.earlier_calls, *calls[: number - 1]), expect)
        if trigger is not None:
            triggers.add(trigger)
            named = cut(call.name) if len(calls) == 1 else f"call {number} ({cut(call.name)})"
            evidence.extend(f"{named}: {line}" for line in lines)
    return (min(triggers, key=_ORDER.index), tuple(evidence)) if triggers else None


def _faults(
    call: ToolCall, tools: Mapping[str, ToolSpec], earlier: Iterable[ToolCall], expect: Expect
) -> tuple[Trigger | None, Sequence[str]]:
    tool = tools.get(call.name)
    if tool is None:
        return Trigger.unknown_tool, [f"no tool has this name; {known(call.name, list(tools))}"]
    lines: Sequence[str]
    if lines := list(_malformed(call, tool)):
        return Trigger.malformed_args, lines
    if lines := violations(tool.schema, cast(Json, call.arguments)):
        return Trigger.schema_violation, lines
    if expect.check_call is not None and (lines := expect.check_call(call)):
        return Trigger.schema_violation, lines
    if len(same := [one for one in earlier if _same(call, one)]) > expect.repeats:
        text = f"this call was made {len(same)} times already with the arguments {shown(call.arguments)}"
        failed = all(one.id in expect.failed_calls for one in same)
        return Trigger.repeated_call, [f"{text} {FAILED_EACH_TIME}" if failed else text]
    return None, ()


def _malformed(call: ToolCall, tool: ToolSpec) -> Iterable[str]:
    if call.arguments is not None:
        fault = value_fault(call.arguments) or _given_twice(call.raw)
        return [fault] if fault else []
    if _absent(call):
        return ["no arguments were given", *violations(tool.schema, {})]
    try:
        return [object_fault(read_json(call.raw))]
    except NotJson as error:
        return [f"the arguments are not JSON: {error}"]


def _given_twice(raw: str) -> str | None:
    # A codec's parser silently keeps the last of two equal keys, so the text decides; any other fault of the text
    # was either mended or belongs to a dialect whose arguments are no text.
    try:
        ONCE.decode(raw)
    except GivenTwice as error:
        return str(error)
    except (ValueError, RecursionError):
        return None
    return None


def _same(call: ToolCall, other: ToolCall) -> bool:
    # most calls differ at a glance; of those that are equal to Python, 1 and true are not the same to a tool
    return call.name == other.name and call.arguments == other.arguments and identity(call) == identity(other)


def identity(call: ToolCall) -> tuple[str, str]:
    """What makes two calls the same call: the name and the arguments, in whatever order they were written."""
    if call.arguments is None:
        return call.name, call.raw
    return call.name, _CANONICAL.encode(call.arguments)
