"""The course of one call so far: where the ladder stands, what was tried, what it cost."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Self

from orchestra.dispatch.call import Accepted, Call
from orchestra.dispatch.target import Target
from orchestra.errors import OrchestraError
from orchestra.ledger import Judged
from orchestra.recovery import Ladder, Move
from orchestra.types import Action, Attempt, AttemptChanged, CallFault, ModelReply, Verdict


class Course:
    """Grows by one attempt at a time. `feedback` is what the next attempt's model is told, "" for nothing.

    `avoid` are the targets of the model that have failed, `stay` is where the same request goes once more. `spent` are
    all targets of the call of which nothing more is hoped. `forced` is the model that is asked although it is closed.
    `asked` are the providers asked so far.
    """

    def __init__(self, call: Call, ladder: Ladder) -> None:
        self.call, self.ladder = call, ladder
        self.feedback = self.forced = ""
        self.attempts: list[Attempt] = []
        self.avoid: frozenset[Target] = frozenset()
        self.spent: frozenset[Target] = frozenset()
        self.stay: Target | None = None
        self.asked: set[str] = set()
        self.id = os.urandom(6).hex()

    def __enter__(self) -> Self:
        """Whatever ends the call early says which attempts it took."""
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OrchestraError):
            error.attempts = tuple(self.attempts)

    def accept(self, attempt: Attempt, reply: ModelReply, verdict: Verdict) -> Accepted:
        """The call is over, well."""
        self.attempts.append(attempt)
        cost = sum([one.cost for one in self.attempts[1:]], self.attempts[0].cost)
        accepted = Accepted(reply, verdict, self.ladder, tuple(self.attempts), cost)
        call, event = self.call, Judged(attempt.id, attempt.model, mended=verdict.mended)
        call.recorder.record(call.step, event, keep=call.keep(accepted) if call.keep else None)
        return accepted

    def without_secrets(self, failure: Verdict | CallFault) -> Verdict | CallFault:
        """The failure as errors, events and the next attempt may tell of it.

        A server may quote another one's key, and a model may have read any.
        """
        hidden = self.call.recorder.without_secrets
        if isinstance(failure, CallFault):
            return replace(failure, text=hidden(failure.text))
        return replace(failure, evidence=tuple(map(hidden, failure.evidence)))

    def refuse(self, attempt: Attempt, failure: Verdict | CallFault, move: Move) -> None:
        """The attempt came to nothing, and `move` follows."""
        evidence = failure.evidence if isinstance(failure, Verdict) else (failure.text,)
        named = attempt.wire_model and self.call.recorder.without_secrets(attempt.wire_model)
        self.attempts.append(
            replace(attempt, trigger=failure.trigger, evidence=evidence, action=move.action, wire_model=named)
        )
        self._write(
            Judged(
                attempt=attempt.id,
                model=attempt.model,
                trigger=failure.trigger,
                evidence=evidence,
                mended=failure.mended if isinstance(failure, Verdict) else (),
                action=move.action,
                to_model=move.to_model,
                reason=move.reason,
                feedback=move.feedback,
            )
        )

    def change(self, move: Move) -> AttemptChanged:
        """The announcement of a move."""
        trigger, to_model = self.attempts[-1].trigger, move.to_model
        assert trigger is not None
        assert to_model is not None
        return AttemptChanged(move.action, self.ladder.model, to_model, trigger, move.reason, move.ladder.degraded)

    def go_on(self, move: Move) -> None:
        """Make the move. What a model was told is kept for the same request again, not for another model."""
        same = move.ladder.model == self.ladder.model
        if not same:
            self.avoid, self.stay = self.spent, None
        self.ladder = move.ladder
        self.feedback = self.feedback if move.action is Action.retry and same else move.feedback

    def stop(self, reason: str) -> Move:
        """The move that ends the call here."""
        return Move(Action.fail, self.ladder, None, reason)

    def _write(self, event: Judged) -> None:
        self.call.recorder.record(self.call.step, event)
