"""The verdict on a reply: its checks, most specific first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias, cast

from orchestra.checks.calls import WHOLE, judge_calls
from orchestra.checks.expect import Expect
from orchestra.checks.grounding import ungrounded
from orchestra.checks.mend import mend
from orchestra.checks.naming import overlooked
from orchestra.checks.output import read_output
from orchestra.checks.refusal import is_refusal
from orchestra.checks.wording import cut, listing
from orchestra.types import Document, Finish, Image, Json, ModelReply, ToolCall, Trigger, Verdict

Finding: TypeAlias = tuple[Trigger, tuple[str, ...]]


def judge(reply: ModelReply, expect: Expect) -> Verdict:
    """Whether the reply may be used; the first check that objects gives the trigger, with all its evidence.

    In order: how the reply ended (content_filter, context_overflow or truncated, refusal), its calls (unknown_tool,
    malformed_args, schema_violation, repeated_call: of all calls together), then empty, refusal in words, no_call,
    bad_output, low_confidence (improbable words, calls that leave out what the goal names, numbers without a
    source). `mend_calls` is expected to have run
    before.
    """
    mended = reply.mended
    if (how := _HOW_IT_ENDED.get(reply.finish)) is not None:
        return Verdict(*how(reply, expect), mended=mended)
    calls = ToolCall in map(type, reply.parts)
    for check in _OF_CALLS if calls else _OF_AN_ANSWER:
        if (finding := check(reply, expect)) is not None:
            return Verdict(*finding, mended=mended)
    if calls or expect.output_schema is None:
        return Verdict(mended=mended) if mended else _ACCEPTED
    return _judge_output(reply, expect, expect.output_schema)


def _judge_output(reply: ModelReply, expect: Expect, schema: Mapping[str, Json]) -> Verdict:
    read = read_output(reply.text, schema, whole=reply.finish in WHOLE)
    faults = read.faults or (tuple(expect.check(read.value)) if expect.check is not None else ())
    finding = (Trigger.bad_output, faults) if faults else _unsure(reply, expect)
    return Verdict(*finding, mended=reply.mended) if finding else Verdict(mended=reply.mended + read.mended)


def _filtered(_: ModelReply, __: Expect) -> Finding:
    return Trigger.content_filter, ("the provider's content filter stopped the reply",)


def _cut(reply: ModelReply, expect: Expect) -> Finding:
    used = 0 if reply.usage is None else reply.usage.input + reply.usage.output
    if expect.window is not None and used >= expect.window:
        return Trigger.context_overflow, (f"{used} tokens filled the window of {expect.window} tokens",)
    wrote = f" after {reply.usage.output} tokens" if reply.usage is not None else ""
    return Trigger.truncated, (f"the reply was cut at the output limit{wrote}",)


def _declined(reply: ModelReply, _: Expect) -> Finding:
    return Trigger.refusal, (f"the model refused: {cut(reply.text, 200) or 'no words given'}",)


def _no_answer(reply: ModelReply, expect: Expect) -> Finding | None:
    """Nothing, or a refusal in words."""
    text = reply.text
    if is_refusal(text):
        return Trigger.refusal, (f"the model refused: {cut(text, 200)}",)
    if expect.allow_empty or text.strip() or not _MEDIA.isdisjoint(map(type, reply.parts)):
        return None
    only = "only reasoning, no answer" if reply.reasoning.strip() else "nothing"
    return Trigger.empty, (f"the reply holds {only}",)


def _no_call(reply: ModelReply, expect: Expect) -> Finding | None:
    if (written := _call_in_text(reply, expect)) is not None:
        return Trigger.no_call, (f"the call of {written} was written as text, so it was not made",)
    if not expect.require_call and reply.finish != "tool_calls":
        return None
    names = listing([tool.name for tool in expect.tools])
    return Trigger.no_call, (f"a tool call was required and none was made; known: {names}",)


def _call_in_text(reply: ModelReply, expect: Expect) -> str | None:
    """The name of a known tool whose call is the whole text: what models without native calls do."""
    if not expect.tools or expect.output_schema is not None or not reply.text.strip().endswith(("}", "```")):
        return None
    value = (mend(reply.text) or (None,))[0]
    if not isinstance(value, Mapping) or not ({"arguments", "parameters"} & value.keys()):
        return None
    name = cast("Mapping[str, Json]", value).get("name", value.get("tool"))
    return name if isinstance(name, str) and any(tool.name == name for tool in expect.tools) else None


def _unsure(reply: ModelReply, expect: Expect) -> Finding | None:
    """Only calls and structured answers: there it was measured to tell; prose has many right next words."""
    if expect.min_logprob is None or reply.logprob is None or reply.logprob >= expect.min_logprob:
        return None
    text = f"mean token log-probability {reply.logprob:.2f} is below {expect.min_logprob:.2f}"
    return Trigger.low_confidence, (text,)


def _overlooked(reply: ModelReply, expect: Expect) -> Finding | None:
    calls = (*expect.earlier_calls, *reply.tool_calls)
    names = {call.name for call in reply.tool_calls}
    lines = [
        f"{tool.name}: the call leaves out {listing(missing)}, which the step's goal names"
        for tool in expect.tools
        if tool.name in names and (missing := overlooked(expect.goal, tool, calls))
    ]
    return (Trigger.low_confidence, tuple(lines)) if lines else None


def _invented(reply: ModelReply, expect: Expect) -> Finding | None:
    """Doubt, not a fault: a number may be known, or be computed in a way that `ungrounded` does not see."""
    if not expect.grounds or expect.output_schema is not None:
        return None
    missing = ungrounded(reply.text, expect.grounds)
    if not missing:
        return None
    stands = "stand" if len(missing) > 1 else "stands"
    return Trigger.low_confidence, (f"{listing(missing)} {stands} neither in what was given nor in a tool's result",)


_ACCEPTED = Verdict()
_MEDIA = frozenset((Image, Document))
_Check: TypeAlias = Callable[[ModelReply, Expect], Finding | None]
_HOW_IT_ENDED: Mapping[Finish, Callable[[ModelReply, Expect], Finding]] = MappingProxyType(
    {"content_filter": _filtered, "length": _cut, "refusal": _declined}
)
_OF_CALLS: tuple[_Check, ...] = (judge_calls, _unsure, _overlooked)
_OF_AN_ANSWER: tuple[_Check, ...] = (_no_answer, _no_call, _invented)
