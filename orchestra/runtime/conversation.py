"""One step's exchange with models: decided once, moved only by recovery."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import cached_property, partial

from orchestra.checks import parse_output
from orchestra.dispatch import Accepted
from orchestra.errors import CallError, Exhausted, HumanNeeded, Refused
from orchestra.ledger import Judged
from orchestra.recovery import Ladder, Move, feedback, next_move, tolerated
from orchestra.runtime.ask import Ask, KeptMove, KeptReply, calls_in, calls_since_asked, unmistakable
from orchestra.runtime.engine import Engine
from orchestra.runtime.journal import ANEW, Journal
from orchestra.runtime.scope import RunScope
from orchestra.runtime.shrinking import Shrinking
from orchestra.runtime.turn_call import call_of
from orchestra.runtime.turn_decision import decided
from orchestra.types import (
    Action,
    Attempt,
    Cost,
    Decision,
    Earlier,
    End,
    Json,
    Message,
    ModelReply,
    Reply,
    StreamEvent,
    ToolCallReady,
    ToolChoice,
    ToolSpec,
    Trigger,
    UsageReported,
    Verdict,
    from_json,
)


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a step stands between two turns: how many it has had, its last attempt, and its ladder."""

    turns: int = 0
    attempt: str = ""
    ladder: Ladder | None = None


class Conversation:
    """A step's messages, who serves it and how far up the ladder it stands; one turn after the other.

    With a journal every accepted reply and every move is kept, and `recall` brings a kept one back without a call.
    """

    turns = 0
    attempts: tuple[Attempt, ...] = ()
    degraded = False
    _before = ""  # the attempt that an earlier conversation of this step ended with
    _estimated = 0
    _decision: Decision | None = None
    _ladder: Ladder | None = None

    def __init__(self, engine: Engine, scope: RunScope, ask: Ask, journal: Journal | None = None) -> None:
        self.engine, self.scope, self.ask, self.journal = engine, scope, ask, journal
        self.messages = list(ask.messages)
        self.tools = ask.tools
        self.calls = calls_since_asked(ask.messages)
        self.sound = (len(self.messages), len(self.calls))  # messages and calls up to which nothing has failed
        self._began = engine.clock()
        self._latest = min(scope.deadline, self._began + ask.in_plan.seconds)

    @property
    def decision(self) -> Decision:
        """The step's decision, made when the first model is about to be asked. Raises NoCandidate."""
        if self._decision is None:
            self._decision = decision = decided(self)
            if self._ladder and all(self._ladder.model != one.card.name for one in decision.candidates):
                self._ladder = None  # it served the step before a resume, and may not now
        return self._decision

    @property
    def ladder(self) -> Ladder:
        """Where the step stands. Raises NoCandidate where no model may serve it, HumanNeeded where a person decides."""
        if self._ladder is None:
            plan = self.ask.in_plan
            self._ladder = Ladder.start(self.decision, shrinks=plan.shrinks, replans=plan.place.replans)
            self._climb(self.ask.failures)
        return self._ladder

    @property
    def model(self) -> str | None:
        """The model that serves the step now; None where none was chosen yet."""
        return self._ladder.model if self._ladder else None

    @property
    def stand(self) -> Stand:
        """Where the step stands now, for another conversation to go on from."""
        return Stand(self.turns, self._attempt, self._ladder)

    def go_on(self, stand: Stand, verdict: Verdict, unsound: int = 0) -> None:
        """Be the step's next turn: at its own tier again, or where `verdict` on the calls of the last one leads.

        `unsound`: so many messages at the end are turns in which every call failed without any effect. Raises Exhausted
        or HumanNeeded where the table says that no model is left to try.
        """
        self.turns, self._before = stand.turns, stand.attempt
        if verdict.accepted:
            return
        self._ladder = stand.ladder
        kept = len(self.messages) - unsound
        self.sound = (kept, max(0, len(self.calls) - len(calls_in(self.messages[kept:]))))
        self.recover(verdict)

    @property
    def deadline(self) -> float:
        """When this step has to be done, on the engine's clock, leaving to the steps behind it what they should need.

        It has at least its share of the time that was left when it began.
        """
        behind = self.ask.in_plan.place.behind * self.decision.latency
        return min(self._latest, max(self._share, self.scope.deadline - behind)) if behind else self._latest

    @property
    def _share(self) -> float:
        place, end = self.ask.in_plan.place, self.scope.deadline
        return self._began + (end - self._began) * place.turns / (place.turns + place.behind)

    @property
    def seconds(self) -> float:
        """What its models may take from now on, in seconds: what is left of its share, or of its own limit."""
        return min(self._latest, self._share) - self.engine.clock()

    @cached_property
    def _shrinking(self) -> Shrinking:
        return Shrinking()

    async def turn(self, *, tool_choice: ToolChoice = "auto") -> Reply:
        """One accepted reply, appended to the messages. Raises the CallError that ended it.

        A step's history is kept within the window of the model that serves it (`fit`), and made smaller once more where
        the provider says that it does not fit.
        """
        assert self.decision, "made before the ladder is looked at: it may have to begin anew"
        self._estimated = await self._shrinking.fit(self, force=False) if self.ask.in_plan.shrinks else 0
        try:
            return await self.reply(tool_choice=tool_choice)
        except Refused as end:
            if end.action is not Action.shrink_context:
                raise
        self._ladder = replace(self.ladder, shrinks=self.ladder.shrinks - 1)
        self._estimated = await self._shrinking.fit(self, force=True)
        return await self.reply(tool_choice=tool_choice)

    async def reply(self, *, tool_choice: ToolChoice = "auto") -> Reply:
        """One accepted reply to the messages as they are, appended to them. Raises the CallError that ended it."""
        try:
            return self._accept(await self.engine.dispatcher.complete(call_of(self, tool_choice, commit=False)))
        except CallError as end:
            self._remember(end.attempts)
            raise

    async def stream(self, *, tool_choice: ToolChoice = "auto") -> AsyncGenerator[StreamEvent]:
        """As `reply`, as events: text is handed on as it arrives and is then final."""
        try:
            async with aclosing(self.engine.dispatcher.stream(call_of(self, tool_choice, commit=True))) as events:
                async for event in events:
                    if not isinstance(event, Accepted):
                        yield event
                        continue
                    for last in self._closing(self._accept(event)):
                        yield last
        except CallError as end:
            self._remember(end.attempts)
            raise

    def _closing(self, reply: Reply) -> Iterator[StreamEvent]:
        yield from (ToolCallReady(call) for call in reply.tool_calls)
        if reply.usage:
            yield UsageReported(reply.usage)
        yield End(reply)

    def recall(self, kept: Mapping[str, Json]) -> Reply:
        """A reply that was accepted before, as the journal kept it: nobody is asked again."""
        self._shrinking.recall(self)
        turn = from_json(KeptReply, kept)
        self._ladder, self.degraded = turn.ladder, turn.degraded
        self.turns += 1
        return self._append(ModelReply(turn.parts, turn.finish, turn.usage, turn.wire_model), turn.ladder, Cost(0.0))

    def add(self, results: Message, *, sound: bool) -> None:
        """A turn's tool results. A turn is `sound` unless every call in it failed, and failed without any effect."""
        self.messages.append(results)
        if sound:
            self.sound = (len(self.messages), len(self.calls))

    def recover(self, verdict: Verdict) -> None:
        """What to do about a failure that a tool showed; the ladder moves accordingly.

        A stronger model starts after the last sound turn: shown what the weaker one got wrong, models repeat it.
        Raises Exhausted or HumanNeeded where the table says that no model is left to try.
        """
        kept = self.journal and self.journal.get(f"{self.turns}.move")
        if kept == ANEW:  # it had failed, and the run was resumed
            self.restart()
            self.calls.clear()  # to make a call again is no circle now
            self.tell("", verdict)
            self.sound = (len(self.messages), 0)
            return
        move = from_json(KeptMove, kept) if kept else self._next(verdict)
        if move.ladder is None:
            raise self._ended(verdict, move)
        if move.ladder.model != self.ladder.model:
            messages, calls = self.sound
            del self.messages[messages:], self.calls[calls:]
        else:
            self.tell("", verdict)
        self._ladder = move.ladder

    def _climb(self, failures: Iterable[Verdict]) -> None:
        """Stand where these failures of turns elsewhere lead; the history tells the model of them already.

        At the ladder's end the model that was reached goes on: whoever runs the tools says when to stop.
        """
        for verdict in failures:
            move = next_move(self.engine.recovery, self.decision, self.ladder, verdict)
            if move.action is Action.ask_human:
                raise self._ended(verdict, self._record(verdict, move))
            if move.to_model is None:
                return
            self._ladder = self._record(verdict, move).ladder

    def restart(self) -> None:
        """The step had failed, and its run was resumed: it begins at its own tier again, with what it knows."""
        self._ladder = None

    def tell(self, text: str, verdict: Verdict) -> None:
        """Say `text` to the model or, where no result speaks of what went wrong, what it was."""
        assert verdict.trigger is not None
        silent = self.messages[-1].role == "assistant" or verdict.trigger is Trigger.no_progress
        if said := text or (feedback(verdict.trigger, verdict.evidence) if silent else ""):
            self.messages.append(Message.user(said))

    def doubted(self, reason: str) -> bool:
        """Whether to ask a stronger model for the answer; where none is left it is kept, and the ledger says so."""
        doubt = Verdict(Trigger.low_confidence, (reason,))
        judged = tolerated(self.engine.recovery, self.decision, self.ladder, doubt, acts=False)
        if judged.accepted:
            event = Judged(self._attempt, self.ladder.model, mended=judged.mended)
            self.scope.recorder.record(self.ask.step.id, event)
        return not judged.accepted

    def _ended(self, verdict: Verdict, move: KeptMove) -> Refused:
        assert verdict.trigger is not None
        text = f"step {self.ask.step.id!r}: {verdict.trigger}: {'; '.join(verdict.evidence)}; {move.reason}"
        kind = HumanNeeded if move.action is Action.ask_human else Exhausted
        return kind(
            text,
            trigger=verdict.trigger,
            evidence=verdict.evidence,
            attempts=self.attempts,
            action=move.action,
        )

    def _next(self, verdict: Verdict) -> KeptMove:
        """The move after a failure that a tool showed, for which a smaller history is no way out."""
        here = self.ladder
        move = next_move(self.engine.recovery, self.decision, replace(here, shrinks=0), verdict)
        return self._record(verdict, replace(move, ladder=replace(move.ladder, shrinks=here.shrinks)))

    def _record(self, verdict: Verdict, move: Move) -> KeptMove:
        kept = KeptMove(move.action, move.ladder if move.to_model else None, move.reason, move.feedback)
        event = Judged(
            attempt=self._attempt,
            model=self.ladder.model,
            trigger=verdict.trigger,
            evidence=verdict.evidence,
            action=move.action,
            to_model=move.to_model,
            reason=move.reason,
            feedback=move.feedback,
        )
        assert verdict.trigger is not None
        self.scope.history.append(Earlier(self.ask.step.id, self.ladder.model, verdict.trigger))
        if self.journal:
            self.journal.record(event, f"{self.turns}.move", kept)
        else:
            self.scope.recorder.record(self.ask.step.id, event)
        return kept

    @property
    def _attempt(self) -> str:
        return self.attempts[-1].id if self.attempts else self._before

    def offer(self, tool: ToolSpec) -> None:
        """One more tool for the turns that follow."""
        if tool not in self.tools:
            self.tools = (*self.tools, tool)

    @property
    def keep(self) -> Callable[[Accepted], tuple[str, object]] | None:
        """What makes the journal's entry of an accepted reply; None without a journal."""
        return partial(self._kept, self.journal) if self.journal else None

    def _kept(self, journal: Journal, accepted: Accepted) -> tuple[str, object]:
        reply = accepted.reply
        degraded = self.degraded or accepted.degraded
        turn = KeptReply(reply.parts, reply.finish, reply.usage, reply.wire_model, accepted.ladder, degraded)
        return journal.key(f"{self.turns}.reply"), turn

    def _accept(self, accepted: Accepted) -> Reply:
        self._remember(accepted.attempts)
        self.turns += 1
        self._ladder = accepted.ladder
        if self._estimated:
            self._learn(accepted)
        self.degraded |= accepted.degraded
        return self._append(accepted.reply, accepted.ladder, accepted.cost)

    def _learn(self, accepted: Accepted) -> None:
        """What the provider counted makes the next count of ours better."""
        card, usage = self.engine.fleet.models.get(accepted.ladder.model), accepted.reply.usage
        if card is not None and usage is not None:
            self.engine.counter.learn(card, self._estimated, usage.input)

    def _append(self, reply: ModelReply, ladder: Ladder, cost: Cost) -> Reply:
        calls = reply.tool_calls
        if calls and (parts := unmistakable(reply.parts, (*self.calls, *calls_in(self.messages)), self.turns)):
            reply = replace(reply, parts=parts)
            calls = reply.tool_calls
        message = Message("assistant", reply.parts)
        self.messages.append(message)
        self.calls.extend(calls)
        text, schema = reply.text, self.ask.output_schema
        return Reply(
            text=text,
            model=ladder.model,
            message=message,
            wire_model=reply.wire_model,
            tool_calls=calls,
            output=self.ask.read(parse_output(text, schema)[0]) if schema is not None and not calls else None,
            finish=reply.finish,
            usage=reply.usage,
            cost=cost,
            decisions=(self._decision,) if self._decision else (),
            attempts=self.attempts,
            degraded=self.degraded,
            run=self.scope.run,
        )

    def _remember(self, attempts: tuple[Attempt, ...]) -> None:
        self.attempts += attempts
        for one in attempts:
            if one.trigger:
                self.scope.history.append(Earlier(self.ask.step.id, one.model, one.trigger))
