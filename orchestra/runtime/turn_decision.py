"""What a conversation's turns are decided by: the step as policies see it now, and who chose the model for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestra.dialects import inexpressible
from orchestra.errors import NoCandidate
from orchestra.fleet.estimates import EXPECTED_OUTPUT
from orchestra.ledger import Decided
from orchestra.routing import features, prompt_cache
from orchestra.types import Decision, Json, StepContext

if TYPE_CHECKING:
    from orchestra.runtime.conversation import Conversation


def decided(talk: Conversation) -> Decision:
    """The step's decision, recorded. Raises NoCandidate, which names the caps in the way where money was short."""
    context = _context(talk)
    try:
        decision = talk.engine.decide(context)
    except NoCandidate as end:
        if any(one.gate == "money" for one in end.rejections):
            end.caps = talk.scope.purse.too_low(lambda usd: _serves(talk, replace(context, money_left=usd)))
        raise
    talk.scope.recorder.record(context.step.id, Decided(context, decision, talk.engine.router.fingerprint))
    return decision


def _serves(talk: Conversation, context: StepContext) -> bool:
    try:
        talk.engine.decide(context)
    except NoCandidate:
        return False
    return True


def _context(talk: Conversation) -> StepContext:
    ask, engine, limits = talk.ask, talk.engine, talk.scope.limits
    return StepContext(
        step=ask.step,
        output_tokens=_output_tokens(talk),
        structured=ask.output_schema is not None,
        upstream=ask.in_plan.upstream,
        history=tuple(talk.scope.history),
        tenant=limits.tenant,
        feature=limits.feature,
        priority=limits.priority,
        deadline=talk.seconds,
        money_left=talk.scope.purse.unspent,
        allow_unknown_price=limits.allow_unknown_price,
        data_tags=limits.data_tags,
        mode=limits.mode,
        draw=engine.draw(),
        signals={"today": engine.today(), **_unsaid(talk), **ask.in_plan.signals},
        **features(talk.messages, talk.tools),
        **prompt_cache(talk.messages, engine.fleet.models),
    )


def _output_tokens(talk: Conversation) -> int | None:
    """As asked for; where a person can raise the cap, a usual answer: no money goes into one that is cut short."""
    most, asks = talk.ask.writing.max_tokens, talk.scope.asks and talk.scope.limits.at_cap == "pause"
    return EXPECTED_OUTPUT if most is None and asks else most


def _unsaid(talk: Conversation) -> dict[str, Json]:
    """The dialects in which the step's tools cannot be declared; nothing where all can."""
    if not talk.tools:
        return {}
    found = inexpressible(talk.tools, talk.engine.fleet.tool_dialects)
    return {"inexpressible": found} if found else {}
