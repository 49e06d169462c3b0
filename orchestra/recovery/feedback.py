"""Feedback: the exact words a model gets to read about its own failed reply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from orchestra.types import Trigger
from orchestra.types.verdict import FAILED_EACH_TIME

MOST_LINES = 12
LONGEST_LINE = 600

_AGAIN = "Make the call again with this corrected and everything else unchanged."
_WORDS: Mapping[Trigger, tuple[str, str]] = MappingProxyType(
    {
        Trigger.unknown_tool: (
            "Your last reply called a tool that does not exist; nothing was executed.",
            "Call only the tools you were given, with their exact names.",
        ),
        Trigger.malformed_args: (
            "The arguments of your last tool call could not be read; nothing was executed.",
            "Make the call again with exactly one valid JSON object as its arguments.",
        ),
        Trigger.schema_violation: (
            "The arguments of your last tool call do not fit the tool; nothing was executed.",
            _AGAIN,
        ),
        Trigger.tool_rejected: ("The tool refused the arguments of your last call.", "Call it with other arguments."),
        Trigger.tool_error: (
            "The tool you called failed.",
            "Correct the cause if it lies in your arguments, or reach the goal another way.",
        ),
        Trigger.tool_timeout: (
            "The tool you called did not finish in time.",
            "Ask it for less at once, or reach the goal another way.",
        ),
        Trigger.repeated_call: (
            "You repeated a tool call whose result you already have; it was not executed again.",
            "Use the result you have, or call with other arguments.",
        ),
        Trigger.no_progress: (
            "Your last tool calls led nowhere.",
            "Do not repeat them; try another way, or answer with what you know.",
        ),
        Trigger.no_call: ("Your last reply made no tool call.", "Reply with a tool call."),
        Trigger.empty: ("Your last reply was empty.", "Reply with the answer or with a tool call."),
        Trigger.refusal: (
            "Your last reply declined the task.",
            "If any part of it can be done, do that part; if not, say precisely what stands against it.",
        ),
        Trigger.truncated: (
            "Your last reply was too long and was cut off; none of it was used.",
            "Reply again, complete and much shorter.",
        ),
        Trigger.bad_output: (
            "Your last answer does not have the form that was asked for.",
            "Reply again with exactly one JSON value of that form and nothing else.",
        ),
        Trigger.low_confidence: (
            "Your last reply was uncertain.",
            "Check it against what you were given and reply again.",
        ),
        Trigger.judged_bad: ("Your last reply was judged not good enough.", "Reply again and mend what is named."),
    }
)

_WITHOUT_RESULT = (
    "You repeated a tool call that has failed each time; it was not executed again.",
    "Call with other arguments, or reach the goal another way.",
)


def feedback(trigger: Trigger, evidence: Sequence[str]) -> str:
    """What to tell the model: what happened, each fault on a line of its own, what to do.

    Empty for a trigger that is not the model's fault: there is nothing it could do better. At most twelve lines of
    evidence of 600 characters each.
    """
    if trigger not in _WORDS:
        return ""
    happened, remedy = _WORDS[trigger]
    if trigger is Trigger.repeated_call and evidence and all(line.endswith(FAILED_EACH_TIME) for line in evidence):
        happened, remedy = _WITHOUT_RESULT
    lines = [f"- {_short(line)}" for line in evidence[:MOST_LINES]]
    if (more := len(evidence) - MOST_LINES) > 0:
        lines.append(f"- … and {more} more")
    return "\n".join([happened, *lines, remedy])


def _short(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…"
