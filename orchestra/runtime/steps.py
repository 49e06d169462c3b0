"""The outer loop: a step's turns with its model and its tools until it has a result."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from orchestra.errors import BudgetExceeded, CallError, HumanNeeded, NoCandidate, Refused
from orchestra.ledger import StepEnded, StepStarted
from orchestra.planning import answer_step, step_messages
from orchestra.runtime.acts import acts
from orchestra.runtime.ask import Ask, InPlan, Place, Writing
from orchestra.runtime.cap import budget_question
from orchestra.runtime.conversation import Conversation
from orchestra.runtime.engine import Engine
from orchestra.runtime.journal import AGAIN, END, Journal, digest
from orchestra.runtime.made import Made
from orchestra.runtime.questions import Answer, Question, Waiting
from orchestra.runtime.scope import RunScope
from orchestra.runtime.step_result import Settle, Signals, StepResult, settled
from orchestra.runtime.toolcalls import CANNOT_WAIT, Called, ToolCalls, ask
from orchestra.toolbox import Tool
from orchestra.types import (
    Action,
    Json,
    Message,
    Plan,
    Reply,
    Step,
    ToolChoice,
    Trigger,
    Upstream,
    Verdict,
    from_json,
    to_json,
)

__all__ = ["Job", "Settle", "Signals", "StepResult", "StepRun", "Work", "run_step", "told"]


@dataclass(frozen=True, slots=True)
class Work:
    """How steps are worked on: the tools at hand, turns at most, seconds per step.

    `step_output` is the JSON Schema of what steps of kind `act` answer with, but for the plan's last one. `signals`
    computes what policies are told about a step from its upstream results. `settle` has the last word on a step's
    result: it gives the result to take, completed where needed, or its faults, one a text; none: the result stands.
    """

    tools: Mapping[str, Tool]
    max_turns: int = 6
    step_deadline: float = 300.0
    temperature: float | None = None
    step_output: Mapping[str, Json] | None = None
    signals: Signals | None = None
    settle: Settle | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A step with all it needs: its plan, the results it sees, people's answers, and where it stands."""

    plan: Plan
    step: Step
    upstream: Mapping[str, StepResult]
    work: Work
    answers: Mapping[str, Answer] = field(default_factory=dict[str, Answer])
    place: Place = Place()


async def run_step(engine: Engine, scope: RunScope, job: Job) -> StepResult:
    """Run one step to its end, or go on with one that was left; a failed step is a value.

    Raises Waiting where people have to answer first, configuration errors, and cancellation.
    """
    run = StepRun(engine, scope, job)
    if kept := run.journal.get(END):
        return from_json(StepResult, kept)
    if not run.journal.begun:
        run.journal.record(StepStarted(job.step.goal, job.step.kind, job.step.needs), "begun", True)  # noqa: FBT003  # the flag is the entry's value
    return run.end(_blocked(job) or await run.result())


def told(upstream: Mapping[str, StepResult]) -> dict[str, str]:
    """What a step is told of the results it needs."""
    return {sid: one.text or f"(no result: {'; '.join(one.evidence)})" for sid, one in upstream.items()}


class StepRun:
    """One step being run in this process."""

    def __init__(self, engine: Engine, scope: RunScope, job: Job) -> None:
        self.engine, self.scope, self.job = engine, scope, job
        self.texts = told(job.upstream)
        kept = engine.ledger.kept(scope.run, job.step.id) if scope.resumed else {}
        self.journal = Journal(scope.recorder, job.step.id, digest(job.step, self.texts), kept)
        self.calls = ToolCalls(engine, self.scope, job.step, job.work.tools, self.journal, job.answers)
        self.talk: Conversation | None = None
        self._faults: tuple[str, ...] = ()  # of its last answer
        self._turns = job.work.max_turns  # until it has to have a result: so many from each resume

    async def result(self) -> StepResult:
        """The step's turns until there is an answer, or nothing is left to try."""
        try:
            self.talk = Conversation(self.engine, self.scope, self._asked(), self.journal)
            return await self._converse(self.talk)
        except _Given as given:
            return StepResult("done", text=given.text, turns=self.talk.turns if self.talk else 0)
        except CallError as error:
            return self._failed(error)
        except Waiting:
            raise
        except Exception as error:
            broken = StepEnded("failed", evidence=(f"{type(error).__name__}: {error}",))
            self.scope.recorder.record(self.job.step.id, broken)  # not kept: who resumes the run tries again
            raise

    def end(self, result: StepResult) -> StepResult:
        """The step's last word, in the ledger and in its journal."""
        event = StepEnded(
            state=result.state,
            model=result.model,
            turns=result.turns,
            degraded=result.degraded,
            trigger=result.trigger,
            evidence=result.evidence,
            result=result.text,
        )
        self.journal.record(event, END, result)
        return result

    def _asked(self) -> Ask:
        job, work = self.job, self.job.work
        plain = job.step.kind == "act" and job.step.output_schema is None and job.step != answer_step(job.plan)
        return Ask(
            step=job.step,
            messages=step_messages(job.plan, job.step, self.texts),
            tools=tuple(one.spec for name, one in work.tools.items() if name in job.step.tools),  # one order for all
            output_schema=work.step_output if plain else job.step.output_schema,
            writing=Writing(temperature=work.temperature),
            in_plan=self._in_plan(),
        )

    def _in_plan(self) -> InPlan:
        job, work = self.job, self.job.work
        return InPlan(
            upstream=tuple(_outcome(job.plan, sid, result) for sid, result in job.upstream.items()),
            signals=work.signals(job.step, job.upstream) if work.signals else {},
            seconds=work.step_deadline,
            place=job.place,
            shrinks=1,
            grounded=_from_sources(job),
            keep=self.calls.results.keeper(job.step.id),
            whole=self.calls.results.giver(job.step.id),
        )

    async def _converse(self, talk: Conversation) -> StepResult:
        made = Made()
        for turn in count():
            if self.journal.get(f"{turn}.{AGAIN}"):
                self._turns = turn + self.job.work.max_turns
                made.anew()
                talk.restart()
            if self._is_over(talk, made, turn):
                break
            if self.calls.cut:
                talk.offer(self.calls.reading.spec)
            reply = await self._reply(talk, turn)
            if not reply.tool_calls:
                result = self._settled(talk, _done(reply, talk), made)
                if isinstance(result, StepResult):
                    return result
                self._faults = result.evidence
                if self._recovered(talk, result, turn) != reply.model:
                    made.anew()
                continue
            ends = await self.calls.run(reply.tool_calls, turn, talk.deadline)
            if replan := [end.replan for end in ends if end.replan]:
                return self._stale(replan[0])
            talk.add(Message("tool", tuple(end.result for end in ends)), sound=self._sound(ends))
            verdict = made.add(reply.tool_calls, ends)
            if not verdict.accepted and self._recovered(talk, verdict, turn) != reply.model:
                made.anew()
        last = f"; at last: {'; '.join(self._faults)}" if self._faults else ""
        text = f"{self.job.work.max_turns} turns without a result{last}"
        return self._ended_badly(Trigger.no_progress, (text,), replan=self.job.place.replans > 0)

    def _is_over(self, talk: Conversation, made: Made, turn: int) -> bool:
        """Whether no turn is left, or the last, in which a model without a tool could only explain its mistakes."""
        left = self._turns - turn
        return not left or (left == 1 and made.rejected and self._looks_up(talk))

    def _settled(self, talk: Conversation, result: StepResult, made: Made) -> StepResult | Verdict:
        """The result to take, or why it is none.

        Where every call was rejected for its arguments, an answer tells of its own mistakes: it is refused in a step
        that has to look things up, and elsewhere doubted, as it may well rest on what the step was given. A tool that
        finds nothing says so in a result, or fails.
        """
        if made.rejected:
            if self._looks_up(talk):
                return Verdict(Trigger.judged_bad, (_NOTHING_FOUND,))
            if talk.doubted(_NOTHING_FOUND):
                return Verdict(Trigger.low_confidence, (_NOTHING_FOUND,))
        settle = self.job.work.settle
        return settled(settle(self.job.step, result, made.good, self.job.upstream), result) if settle else result

    async def _reply(self, talk: Conversation, turn: int) -> Reply:
        """The turn's reply: the one that was kept, else a new one, after what people said to do when it got stuck."""
        for n in count():
            if self.journal.get(f"{turn}.{n}.stuck"):
                self._guided(talk, f"{turn}.{n}")
            elif kept := self.journal.get(f"{turn}.reply"):
                return talk.recall(kept)
            else:
                try:
                    return await self._ask_model(talk, turn)
                except (BudgetExceeded, NoCandidate) as end:
                    self._pause(end)
                except HumanNeeded as end:
                    self._stuck(end, f"{turn}.{n}")
        raise AssertionError("count() has no end")

    async def _ask_model(self, talk: Conversation, turn: int) -> Reply:
        choice = self._tool_choice(talk, turn)
        try:
            return await talk.turn(tool_choice=choice)
        except Refused as end:
            if choice != "required" or end.trigger is not Trigger.no_call:
                raise
            return await talk.turn()  # no rung would call: the plan may be wrong about the tool

    def _tool_choice(self, talk: Conversation, turn: int) -> ToolChoice:
        """A planned look-up is made, not guessed, by whichever model serves the step; the last turn must answer.

        A call is required only where every tool of the step is read-only, for a needless act is not harmless, and
        where the step starts afresh or joins results: with one there is often nothing left to do, and a model that has
        to call invents arguments.
        """
        if not talk.ask.tools or turn == self._turns - 1:
            return "none"
        return "required" if self._looks_up(talk) and not talk.calls else "auto"

    def _looks_up(self, talk: Conversation) -> bool:
        step, tools = talk.ask.step, talk.ask.tools
        free = "single_step" in step.tags or len(step.needs) == 1
        return bool(tools) and not free and all(tool.read_only for tool in tools)

    def _recovered(self, talk: Conversation, verdict: Verdict, turn: int) -> str | None:
        """Who goes on after a failure that a tool showed."""
        try:
            talk.recover(verdict)
        except HumanNeeded as end:
            self._stuck(end, f"{turn}.tools")
            self._guided(talk, f"{turn}.tools")
        return talk.model

    def _stuck(self, end: HumanNeeded, key: str) -> None:
        """Recovery asks a person. Raises Waiting until they have answered; HumanNeeded where nobody can be asked."""
        if not self.scope.asks:
            told = (*end.evidence, CANNOT_WAIT)
            text = f"{end}; {CANNOT_WAIT}"
            raise HumanNeeded(text, trigger=end.trigger, evidence=told, attempts=end.attempts) from end
        if self.journal.get(f"{key}.stuck") is None:
            name = f"{self.job.step.id}.{key}.{self.journal.mark(key)}"
            asked = Question(name, "stuck", self.job.step.id, self.job.step.goal, str(end))
            self.journal.keep(f"{key}.stuck", {"question": to_json(asked), "trigger": end.trigger})
        self._open(key)

    def _guided(self, talk: Conversation, key: str) -> None:
        """What a person said to do about a step that got stuck."""
        kept, answer = self.journal.get(f"{key}.stuck"), self._open(key)
        if answer.decision == "answer":
            raise _Given(answer.text)
        if answer.decision == "fail":
            text = f"a person ended the step: {answer.text or kept['question']['text']}"
            raise HumanNeeded(text, trigger=Trigger(kept["trigger"]), evidence=(text,))
        talk.tell(answer.text, Verdict(Trigger(kept["trigger"]), (kept["question"]["text"],)))

    def _open(self, key: str) -> Answer:
        question = from_json(Question, self.journal.get(f"{key}.stuck")["question"])
        if question.id not in self.job.answers:
            ask(self.scope, self.journal, [question])
        return self.job.answers[question.id]

    def _pause(self, end: BudgetExceeded | NoCandidate) -> None:
        """At the money cap: ask for more where the run is to pause. Raises Waiting, or what ended the call."""
        question = budget_question(self.scope, self.job.step, end, self.job.answers)
        if question is None:
            raise end
        ask(self.scope, self.journal, [question])

    def _stale(self, reason: str) -> StepResult:
        left = self.job.place.replans > 0
        return self._ended_badly(Trigger.tool_error, (f"the plan no longer holds: {reason}",), replan=left)

    def _failed(self, error: CallError) -> StepResult:
        if not isinstance(error, Refused):
            return self._ended_badly(None, (str(error),))
        return self._ended_badly(error.trigger, error.evidence or (str(error),), replan=error.action is Action.replan)

    def _ended_badly(self, trigger: Trigger | None, evidence: tuple[str, ...], *, replan: bool = False) -> StepResult:
        found = acts(self.scope.recorder, self.job.step, self.job.work.tools)
        return StepResult(
            "failed",
            model=self.talk.model if self.talk else None,
            turns=self.talk.turns if self.talk else 0,
            trigger=trigger,
            evidence=evidence,
            replan=replan,
            acts=tuple(told for act in found if (told := act.told(self.job.answers)) is not None),
        )

    def _sound(self, ends: Sequence[Called]) -> bool:
        """Whether a turn has to stay in history: something succeeded, or a failed act may have had an effect."""
        return any(
            end.trigger is None
            or not (end.trigger is Trigger.tool_rejected or self.calls.tools[end.result.name].spec.read_only)
            for end in ends
        )


_NOTHING_FOUND = "every call of this step was rejected, so nothing was found or done; make a call that works"


class _Given(Exception):  # a person gave the step's result
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def _blocked(job: Job) -> StepResult | None:
    critical = {one.id for one in job.plan.steps if one.critical}
    missing = [sid for sid in job.step.needs if job.upstream[sid].state != "done" and sid in critical]
    if not missing:
        return None
    return StepResult("skipped", evidence=(f"needs {', '.join(missing)}, which did not succeed",))


def _from_sources(job: Job) -> bool:
    """Whether all that a step tells must come from what it was given or looks up: not where it acts, or only thinks."""
    step, tools = job.step, job.work.tools
    return all(tools[name].spec.read_only for name in step.tools) if step.tools else step.kind == "answer"


def _done(reply: Reply, talk: Conversation) -> StepResult:
    return StepResult(
        "done",
        text=reply.text,
        output=reply.output,
        model=reply.model,
        turns=talk.turns,
        tokens=reply.usage.output if reply.usage else 0,
        degraded=reply.degraded,
    )


def _outcome(plan: Plan, sid: str, result: StepResult) -> Upstream:
    name = next(step.name or step.goal for step in plan.steps if step.id == sid)
    digested = hashlib.sha256(" ".join(result.text.split()).casefold().encode()).hexdigest()[:16]
    return Upstream(sid, result.state, name, result.model, result.tokens, digested, result.degraded)
