"""What a turn of a conversation asks of dispatch: the request, what its reply is judged by, and who pays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from orchestra.checks import Expect
from orchestra.dispatch import Call
from orchestra.types import Labels, Message, Request, Settings, ToolChoice, ToolResult
from orchestra.types.message import apart

if TYPE_CHECKING:
    from orchestra.runtime.conversation import Conversation


def call_of(talk: Conversation, tool_choice: ToolChoice, *, commit: bool) -> Call:
    """The conversation's next turn as a Call. Raises NoCandidate where no model may serve it, HumanNeeded."""
    ask, scope, place, decision = talk.ask, talk.scope, talk.ask.in_plan.place, talk.decision
    return Call(
        request=_request(talk, decision.settings, tool_choice),
        decision=decision,
        expect=_expected(talk, tool_choice),
        ladder=talk.ladder,
        deadline=talk.deadline,
        purse=scope.purse,
        recorder=scope.recorder,
        step=ask.step.id,
        turn=talk.turns,
        commit=commit,
        hold=ask.hold,
        rank=place.turns + place.behind,
        priority=scope.limits.priority,
        labels=_labels(talk),
        data_tags=scope.limits.data_tags,
        keep=talk.keep,
    )


def _request(talk: Conversation, chosen: Settings, tool_choice: ToolChoice) -> Request:
    ask, writing = talk.ask, talk.ask.writing
    return Request(
        messages=tuple(talk.messages),
        tools=talk.tools,
        tool_choice=tool_choice,
        parallel_tools=writing.parallel_tools,
        output_schema=ask.output_schema,
        grammar=ask.grammar,
        settings=chosen if writing.max_tokens is None else Settings(writing.max_tokens, chosen.reasoning_effort),
        temperature=writing.temperature,
        seed=writing.seed,
        stop=writing.stop,
        logprobs=talk.engine.judges_logprobs and (bool(talk.tools) or ask.output_schema is not None),
        extra=writing.extra,
    )


def _expected(talk: Conversation, tool_choice: ToolChoice) -> Expect:
    ask = talk.ask
    return Expect(
        # a step that calls again where it was told to answer makes no progress; elsewhere "none" means none
        tools=talk.tools if tool_choice != "none" or talk.turns else (),
        output_schema=ask.output_schema,
        require_call=tool_choice == "required",
        earlier_calls=tuple(talk.calls),
        failed_calls=_failed(talk.messages) if talk.calls else (),
        min_logprob=talk.engine.min_logprob,
        check=ask.check,
        check_call=ask.check_call,
        grounds=tuple(_grounds(talk.messages)) if ask.in_plan.grounded else (),
        goal=ask.step.goal if ask.in_plan.grounded else "",
    )


def _labels(talk: Conversation) -> Labels:
    """What turns are taken by, and what the fleet's budgets look at where it has any."""
    limits, step = talk.scope.limits, talk.ask.step
    if not talk.engine.fleet.budgets:
        return Labels(tenant=limits.tenant) if limits.tenant else _UNLABELLED
    return Labels(talk.scope.run, limits.tenant or "", limits.feature or "", step.name or step.id)


_UNLABELLED = Labels()


def _failed(messages: Sequence[Message]) -> frozenset[str]:
    """The ids of calls that every result of is an error: in a history from elsewhere one id may have several."""
    parts = [part for message in messages if message.role == "tool" for part in message.parts]
    ended = {(part.call_id, part.is_error) for part in parts if isinstance(part, ToolResult)}
    return frozenset([name for name, failed in ended if failed and (name, False) not in ended])


def _grounds(messages: Sequence[Message]) -> Iterator[str]:
    """What an answer may be made of: what was given and what tools said; not rules, nor what a model said before."""
    for message in messages:
        if message.role == "user":
            yield message.text
        for part in message.parts:
            if isinstance(part, ToolResult):
                yield apart(part.content)
