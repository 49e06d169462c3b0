"""The table: what a failure leads to, for every trigger and standing."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias

from orchestra.types import Action, Trigger

Row: TypeAlias = tuple[Action, Action, Action]


class Standing(StrEnum):
    """How much has been tried where the step stands now.

    `fresh`: nothing yet. `repaired`: the same model was already given its second chance (feedback, or the request
    again). `top`: that too, and nothing else of the row can be done. An action that cannot be done, because its
    target does not exist or its allowance is used up, falls through to the next standing's; after `top`, to fail.
    """

    fresh = "fresh"
    repaired = "repaired"
    top = "top"


_A = Action
_AGAIN: Row = (_A.retry, _A.sibling, _A.escalate)
_SIDEWAYS_OR_AGAIN: Row = (_A.sibling, _A.retry, _A.escalate)
_SIDEWAYS: Row = (_A.sibling, _A.sibling, _A.escalate)
_FEEDBACK_THEN_UP: Row = (_A.repair, _A.escalate, _A.replan)

ROWS: Mapping[Trigger, Row] = MappingProxyType(
    {
        # The provider's fault: sideways; up only where nothing else is left, for a dearer answer beats none.
        # Waiting out a limit or a silence costs more than moving at once.
        Trigger.rate_limited: _SIDEWAYS_OR_AGAIN,
        Trigger.timeout: _SIDEWAYS_OR_AGAIN,
        Trigger.overloaded: _AGAIN,
        Trigger.connection: _AGAIN,
        Trigger.server_error: _AGAIN,
        Trigger.stream_cut: _AGAIN,
        Trigger.bad_reply: _AGAIN,
        Trigger.auth: _SIDEWAYS,
        Trigger.quota: _SIDEWAYS,
        # The request's fault: another model would say the same, unless it reads more or has less to read.
        Trigger.bad_request: (_A.fail, _A.fail, _A.fail),
        Trigger.context_overflow: (_A.wider_window, _A.shrink_context, _A.fail),
        Trigger.content_filter: (_A.fail, _A.fail, _A.fail),
        # The model's fault: told exactly what was wrong, then a stronger one, then other steps.
        Trigger.unknown_tool: _FEEDBACK_THEN_UP,
        Trigger.malformed_args: _FEEDBACK_THEN_UP,
        Trigger.schema_violation: _FEEDBACK_THEN_UP,
        Trigger.tool_rejected: _FEEDBACK_THEN_UP,
        Trigger.tool_error: _FEEDBACK_THEN_UP,
        Trigger.tool_timeout: _FEEDBACK_THEN_UP,
        Trigger.repeated_call: _FEEDBACK_THEN_UP,
        Trigger.no_progress: _FEEDBACK_THEN_UP,
        Trigger.no_call: _FEEDBACK_THEN_UP,
        Trigger.empty: _FEEDBACK_THEN_UP,
        Trigger.refusal: _FEEDBACK_THEN_UP,
        Trigger.truncated: _FEEDBACK_THEN_UP,
        Trigger.bad_output: _FEEDBACK_THEN_UP,
        Trigger.judged_bad: _FEEDBACK_THEN_UP,
        # Telling a model that it was unsure makes it no surer.
        Trigger.low_confidence: (_A.escalate, _A.escalate, _A.ask_human),
        # Nobody knows whether the tool did its work.
        Trigger.tool_unknown: (_A.ask_human, _A.ask_human, _A.ask_human),
    }
)

TABLE: Mapping[tuple[Trigger, Standing], Action] = MappingProxyType(
    {
        (trigger, standing): action
        for trigger, row in ROWS.items()
        for standing, action in zip(Standing, row, strict=True)
    }
)
