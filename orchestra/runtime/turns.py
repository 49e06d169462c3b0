"""The model turns of an agent whose loop another framework runs: those of a thread are one run of one step."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Lock

from langgraph.errors import GraphInterrupt

from orchestra.errors import BudgetExceeded, NoCandidate, Refused
from orchestra.ledger import (
    AttemptStarted,
    Event,
    HumanAnswered,
    HumanAsked,
    Ledger,
    RunEnded,
    RunResumed,
    RunStarted,
    StepEnded,
    StepStarted,
    ToolEnded,
    ToolStarted,
    new_run_id,
    totals,
)
from orchestra.ledger.process import here
from orchestra.runtime.cap import budget_question
from orchestra.runtime.conversation import Stand
from orchestra.runtime.engine import Engine
from orchestra.runtime.node_run import Heard, NodeRun, enclosing, ending, within
from orchestra.runtime.options import NodeOptions, check_names, limits_of
from orchestra.runtime.person import ask_person
from orchestra.runtime.questions import Question, cap_of
from orchestra.runtime.scope import AtCap
from orchestra.types import Step, ToolCall, ToolSpec, Trigger, Verdict, from_json


@dataclass(frozen=True, slots=True)
class Carried:
    """What the agent's state carries from one turn to the next; plain JSON by `to_json`.

    `spent` in USD, `began` in Unix seconds. `budget` is the cap to which a person has raised it, if anybody has.
    """

    run: str
    began: float
    stand: Stand = Stand()
    spent: float = 0.0
    budget: float | None = None


class Turns:
    """The turns of one agent, over all of its threads.

    `options` are as for a node, but that `budget` is USD for the thread and `deadline` seconds for a turn. `at_cap`
    "pause" asks a person to raise the budget, where the graph has a checkpointer. Raises ConfigError.
    """

    def __init__(self, engine: Engine, agent: str, step: Step, options: NodeOptions, at_cap: AtCap = "fail") -> None:
        check_names(options, NodeOptions.__annotations__, agent)
        self.engine, self.agent, self.step, self.options = engine, agent, step, options
        self.limits = replace(limits_of(options), at_cap=at_cap)
        self._ending = Lock()

    def begin(self, task: str, carried: Carried | None = None) -> Carried:
        """The agent is given something to do: a run begins, or its thread's goes on."""
        if carried is not None:
            self._ask_anew(carried)
            self.record(carried, "", RunResumed(self.agent, str(here())))
            return replace(carried, began=time.time())
        carried = Carried(new_run_id(), time.time())
        mode = self.limits.mode or self.engine.router.mode
        self.record(carried, "", RunStarted(self.agent, task, self.engine.fleet.fingerprint, mode))
        self.record(carried, self.step.id, StepStarted(self.step.goal, self.step.kind, self.step.needs))
        return carried

    def open(self, carried: Carried, failed: Verdict, *, asks: bool, unsound: frozenset[str] = frozenset()) -> Turn:
        """The next turn, after `failed`, what the calls of the last one showed; `asks`: a person can be asked.

        `unsound`: the calls of the turns at the end in which every call failed without any effect; where a stronger
        model goes on, it is not shown them. Raises GraphInterrupt where a person was asked before and has not answered.
        """
        return Turn(self, carried, failed, asks=asks, unsound=unsound)

    def end(self, carried: Carried, answer: str) -> None:
        """The agent has done what it was given."""
        if self.engine.ledger.kept(carried.run, self.step.id):
            self.engine.ledger.forget(carried.run)
        self.record(carried, self.step.id, StepEnded("done", turns=carried.stand.turns, result=answer))
        self.record(carried, "", RunEnded("done", time.time() - carried.began, answer=answer))

    def hand_over(self, carried: Carried) -> None:
        """A call has left the agent for another one, which ends its run; others of the turn may too: it ends once."""
        with self._ending:
            rows = reversed(self.engine.ledger.events(carried.run))
            if not _is_done(row.event for row in rows):
                self.end(carried, "")

    def tool_started(self, carried: Carried, call: ToolCall, tool: ToolSpec) -> None:
        """A call of the last turn's reply is about to be made."""
        turn = carried.stand.turns - 1
        event = ToolStarted(call.id, call.name, turn, tool.read_only, tool.idempotent, call.arguments or {})
        self.record(carried, self.step.id, event)

    def tool_ended(self, carried: Carried, call: ToolCall, trigger: Trigger | None, seconds: float, text: str) -> None:
        """It has come to its end; `text` is what the model reads."""
        self.record(carried, self.step.id, ToolEnded(call.id, call.name, trigger, seconds, len(text), text))

    def left(self, carried: Carried, end: BaseException) -> None:
        """A call could not be brought to its end: a person is asked, or the caller stopped."""
        state, reason = ending(end)
        self.record(carried, "", RunEnded(state, time.time() - carried.began, reason))

    def _ask_anew(self, carried: Carried) -> None:
        """What a person was asked of a turn that was left holds for that turn, not for what is asked next."""
        if before := _before_of(self, carried):
            self.engine.ledger.keep(carried.run, self.step.id, _key(carried), replace(before, asked=(), answered=0))

    def record(self, carried: Carried, step: str, event: Event) -> None:
        """Record an event of the run. Raises LedgerError."""
        self.engine.ledger.append(carried.run, step, event)


class Turn:
    """One model turn: `with turn.tried():` is left without `after` where it is to be tried again with more money.

    `after` is what the state carries after it. What a turn spends before it fails or is killed counts when it is made
    once more.
    """

    def __init__(self, turns: Turns, carried: Carried, failed: Verdict, *, asks: bool, unsound: frozenset[str]) -> None:
        self.turns, self.carried, self.failed, self.asks, self.unsound = turns, carried, failed, asks, unsound
        self.after: Carried | None = None
        self.spent, self._raised = carried.spent, carried.budget
        self._asked: tuple[Question, ...] = ()
        self._answered = 0
        if before := _before_of(turns, carried):
            self._go_on(before)

    @property
    def budget(self) -> float | None:
        """The cap in USD: the turns' own, or what a person has raised it to where that is more."""
        own = self.turns.limits.budget
        return own if own is None or self._raised is None else max(own, self._raised)

    @contextmanager
    def tried(self) -> Generator[None]:
        """Calls in this block are the turn's. Raises GraphInterrupt where a person is asked to raise the budget."""
        node = self._node()
        if self.budget is not None:
            self._keep()  # whoever finds it where the state stands before this turn asks the ledger what it spent
        try:
            with within(node):
                yield
        except (BudgetExceeded, NoCandidate) as end:
            self.spent = node.scope.purse.spent
            self._pause(node, end)
        except BaseException as end:
            self.spent = node.scope.purse.spent
            self._left(end)
            raise
        else:
            spent = node.scope.purse.spent
            self.after = replace(self.carried, stand=node.stand or Stand(), spent=spent, budget=self._raised)

    def _go_on(self, before: _Before) -> None:
        """From where the turn was left. Raises GraphInterrupt, and BudgetExceeded where a person declined this cap."""
        self.spent, self._answered = max(self.spent, before.spent, self._recorded()), before.answered
        declined: Question | None = None
        for question in before.asked:  # in the order in which LangGraph gives back the answers
            try:
                declined = None if self._take(question) else question
            except GraphInterrupt:
                if self._capped(question):
                    raise
                self._asked = self._asked[:-1]  # there is more to spend by now, so that nobody has to answer
        if declined and self._capped(declined):
            self._ask_again(declined)
        self.turns.record(self.carried, "", RunResumed(self.turns.agent, str(here())))

    def _capped(self, question: Question) -> bool:
        return self.budget is not None and self.budget <= cap_of(question)

    def _ask_again(self, declined: Question) -> None:
        """A turn that was declined stays so, unless a person has come back with another answer."""
        asked = self._asked
        try:
            if self._take(declined):
                return
        except GraphInterrupt as unanswered:
            if "error" in unanswered.args[0][0].value:  # they have, but it cannot be read
                raise
            self._asked = asked
        self._refuse(declined)

    def _node(self) -> NodeRun:
        engine, limits = self.turns.engine, replace(self.turns.limits, budget=self.budget)
        outer = enclosing(engine)
        began = engine.scope(limits, run=self.carried.run)
        unknown = limits.allow_unknown_price
        purse = outer.scope.purse.part(self.budget, allow_unknown=unknown) if outer else began.purse
        scope = replace(
            began,
            purse=purse.anew(spent=self.spent, shared=began.purse.accounts[1:]),
            deadline=outer.scope.deadline if outer else math.inf,
            asks=self.asks,
        )
        options: NodeOptions = {**outer.options, **self.turns.options} if outer else {**self.turns.options}
        options.pop("budget", None)  # the purse has it: a call's own is what the call is given
        return NodeRun(
            engine,
            self.turns.step,
            options,
            scope,
            Heard(),
            stand=self.carried.stand,
            failed=self.failed,
            unsound=self.unsound,
        )

    def _pause(self, node: NodeRun, end: BudgetExceeded | NoCandidate) -> None:
        """Ask for more money where a person can be asked; else the turn ends here."""
        question = budget_question(node.scope, self.turns.step, end, {})
        if question is None:
            self._left(end)
            raise end
        asked = HumanAsked(question.id, question.kind, "", question.text)
        self.turns.record(self.carried, self.turns.step.id, asked)
        try:
            raised = self._take(question)
        except GraphInterrupt as interrupted:
            self._left(interrupted)
            raise
        if not raised:
            self._refuse(question)

    def _take(self, question: Question) -> bool:
        """Whether a person raises the cap. Raises GraphInterrupt until they have answered."""
        place = len(self._asked)
        self._asked = (*self._asked, question)
        answer = ask_person(question, lambda _: [])
        if place >= self._answered:
            told = HumanAnswered(question.id, answer.decision, answer.text)
            self.turns.record(self.carried, self.turns.step.id, told)
            self._answered = place + 1
            self._keep()
        if answer.usd is not None:
            self._raised = max(self._raised or 0.0, answer.usd)
        return answer.usd is not None

    def _refuse(self, question: Question) -> None:
        how = "by Command(resume=USD), a larger budget or a new message"
        refused = BudgetExceeded(f"a person did not raise the budget: {question.text}, {how}")
        self._left(refused)
        raise refused

    def _left(self, end: BaseException) -> None:
        """The run's last word, until the turn is tried again."""
        self._keep()
        state, reason = ending(end)
        trigger = end.trigger if isinstance(end, Refused) else None
        if state == "failed":
            turns = self.carried.stand.turns
            ended = StepEnded("failed", turns=turns, trigger=trigger, evidence=(reason,))
            self.turns.record(self.carried, self.turns.step.id, ended)
        self.turns.record(self.carried, "", RunEnded(state, time.time() - self.carried.began, reason))

    def _keep(self) -> None:
        before = _Before(self.spent, self._asked, self._answered)
        self._ledger.keep(self.carried.run, self.turns.step.id, _key(self.carried), before)

    def _recorded(self) -> float:
        """USD that the run has spent as the ledger knows it, also in turns whose end no checkpoint has."""
        return totals(self._ledger.events(self.carried.run)).cost.usd or 0.0

    @property
    def _ledger(self) -> Ledger:
        return self.turns.engine.ledger


@dataclass(frozen=True, slots=True)
class _Before:
    """A turn that was tried before: USD spent until then, what a person was asked, and how much they answered."""

    spent: float
    asked: tuple[Question, ...]
    answered: int


def _is_done(latest_first: Iterable[Event]) -> bool:
    """Whether the run has ended well since it was last begun, gone on with or asked a model."""
    for event in latest_first:
        if isinstance(event, RunStarted | RunResumed | AttemptStarted):
            break
        if isinstance(event, RunEnded) and event.state == "done":
            return True
    return False


def _key(carried: Carried) -> str:
    return f"turn.{carried.stand.turns}"


def _before_of(turns: Turns, carried: Carried) -> _Before | None:
    """What is known of the next turn where it was tried before."""
    kept = turns.engine.ledger.kept(carried.run, turns.step.id).get(_key(carried))
    return from_json(_Before, kept) if kept else None
