"""Keeps a step's history within the window of the model that serves it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from orchestra.fleet import message_tokens
from orchestra.ledger import ContextShrunk
from orchestra.runtime.ask import Ask, Writing
from orchestra.runtime.context import fit, summary_messages
from orchestra.runtime.journal import Journal
from orchestra.types import Message, Step, ToolResult, from_json

if TYPE_CHECKING:
    from orchestra.runtime.conversation import Conversation

SUMMARY_MAX = 800  # tokens of a summary of old turns, at most


class Shrinking:
    """Makes a step's messages smaller where they have to be, and the same again after a resume.

    It is handed its conversation and does not hold it: a cycle for every call would keep the garbage collector busy.
    """

    def __init__(self) -> None:
        self._summariser = ""

    async def fit(self, talk: Conversation, *, force: bool) -> int:
        """Make the messages fit the window; with `force` smaller than they are in any case.

        Returns the tokens that the conversation's next request should have.
        """
        done = self.recall(talk)
        card, estimated = talk.engine.fleet.models.get(talk.ladder.model), self._estimate(talk)
        if card is None or (done and not force):
            return estimated
        fitted = await fit(
            talk.messages,
            card=card,
            tools=talk.tools,
            max_output=talk.ask.writing.max_tokens or talk.decision.settings.max_tokens or card.max_output,
            counter=talk.engine.counter,
            summarise=partial(self._summarise, talk),
            keep=talk.ask.in_plan.keep,
            whole=talk.ask.in_plan.whole,
            force=force,
            estimated=estimated,
        )
        if fitted is None:
            return estimated
        _shrunk(talk, fitted.messages)
        event = ContextShrunk(
            talk.turns, fitted.before, fitted.after, fitted.pruned, fitted.summarised, fitted.exact, self._summariser
        )
        _journal(talk).record(event, f"{talk.turns}.fit{done}", fitted.messages)
        return self._estimate(talk)

    def recall(self, talk: Conversation) -> int:
        """Shrink as was shrunk before this turn; how often that was."""
        done = 0
        while kept := _journal(talk).get(f"{talk.turns}.fit{done}"):
            for result in (part for one in talk.messages for part in one.parts if isinstance(part, ToolResult)):
                talk.ask.in_plan.keep(result)
            _shrunk(talk, from_json(tuple[Message, ...], kept))
            done += 1
        return done

    def _estimate(self, talk: Conversation) -> int:
        return message_tokens(talk.messages, talk.tools)

    async def _summarise(self, talk: Conversation, old: Sequence[Message]) -> str:
        """Old turns in a few words, by whichever model is cheapest."""
        step = Step(f"{talk.ask.step.id}/summary", "Shorten what was said so far", "summarise", difficulty="easy")
        scope = replace(talk.scope, limits=replace(talk.scope.limits, mode="cost"))
        window = talk.engine.fleet.models[talk.ladder.model].window
        asked = Ask(step, summary_messages(old, window // 2), writing=Writing(max_tokens=SUMMARY_MAX))
        reply = await type(talk)(talk.engine, scope, asked).turn()
        self._summariser = reply.model
        return reply.text


def _journal(talk: Conversation) -> Journal:
    assert talk.journal is not None, "only a step's history is made smaller, and a step has a journal"
    return talk.journal


def _shrunk(talk: Conversation, messages: Sequence[Message]) -> None:
    talk.messages = list(messages)
    talk.sound = (len(talk.messages), len(talk.calls))
