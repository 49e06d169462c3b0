"""The tool calls of an accepted reply: approved where they must be, each executed once, and kept."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count

from orchestra.errors import Exhausted, HumanNeeded
from orchestra.ledger import HumanAsked, ToolEnded, ToolStarted
from orchestra.ledger.redact import MARK
from orchestra.recovery import after_unknown
from orchestra.runtime.begun import Begun, begun
from orchestra.runtime.context import Results, read_result
from orchestra.runtime.context.results import MAX_TEXT
from orchestra.runtime.engine import Engine
from orchestra.runtime.journal import Journal
from orchestra.runtime.questions import Answer, Question, Waiting
from orchestra.runtime.scope import RunScope
from orchestra.runtime.tool_scope import a_tool_of
from orchestra.toolbox import Tool, ask_human, execute
from orchestra.types import Action, Json, Step, Text, ToolCall, ToolResult, Trigger, from_json, to_json
from orchestra.types.message import apart

DONE = "done, as a person confirmed"
_WRITTEN = json.JSONEncoder(ensure_ascii=False, sort_keys=True)  # json.dumps would build one for every call
CANNOT_WAIT = (
    "a person has to decide, and this run cannot wait for one: it keeps no checkpoints; give the app a ledger file, or "
    "the graph a checkpointer"
)
NOT_MADE = "not made: a call before this one showed that the plan no longer holds"


@dataclass(frozen=True, slots=True)
class Called:
    """How a call ended, as the journal keeps it.

    `whole` is the text behind a result that was cut, `replan` why the tool says that the plan no longer holds.
    """

    result: ToolResult
    trigger: Trigger | None = None
    whole: str | None = None
    replan: str | None = None

    @property
    def text(self) -> str:
        """What the model reads, its texts a line apart."""
        return apart(self.result.content)


class ToolCalls:
    """Executes the calls of one step's replies."""

    def __init__(
        self,
        engine: Engine,
        scope: RunScope,
        step: Step,
        tools: Mapping[str, Tool],
        journal: Journal,
        answers: Mapping[str, Answer],
    ) -> None:
        self.engine, self.scope, self.step = engine, scope, step
        self.tools, self.journal, self.answers = dict(tools), journal, answers
        self.results = Results()
        self._taken: defaultdict[str, set[int]] = defaultdict(set)  # ordinals of equal calls, but for those that failed

    @cached_property
    def reading(self) -> Tool:
        """The tool that reads on in results that were cut; from now on it can be called."""
        tool = read_result(self.results)
        self.tools.setdefault(tool.name, tool)
        return tool

    @property
    def cut(self) -> bool:
        """Whether there is something to read on in."""
        return len(self.results) > 0 and self.tools[self.reading.name] is self.reading

    async def run(self, calls: Sequence[ToolCall], turn: int, deadline: float) -> list[Called]:
        """The calls' ends, in order. Look-ups run at once, acts in the order in which the model wrote them.

        Raises Waiting where people have to answer first: then nothing of this reply has been executed, and HumanNeeded
        where nobody can be asked.
        """
        for call in calls:  # in their order, whichever of them has an end already
            self.results.handle(self.step.id, call.id)
        planned = self._planned(calls, turn)
        if len(calls) > 1 and all(self.tools[call.name].spec.read_only for call in calls):
            ends = await asyncio.gather(*(self._end(one, deadline) for one in planned))
        else:
            ends = await self._in_order(planned, deadline)
        for call, end in zip(calls, ends, strict=True):
            if end.whole is not None:
                self.results.put(self.results.handle(self.step.id, call.id), end.whole)
        return ends

    async def _in_order(self, planned: Sequence[_Planned], deadline: float) -> list[Called]:
        """One after the other, until a tool says that the plan no longer holds: what was planned after is not done."""
        ends: list[Called] = []
        for one in planned:
            if any(end.replan for end in ends) and not self.journal.get(f"{one.key}.end"):
                self.journal.keep(f"{one.key}.end", Called(_result(one.call, NOT_MADE, is_error=True)))
            ends.append(await self._end(one, deadline))
        return ends

    def _planned(self, calls: Sequence[ToolCall], turn: int) -> list[_Planned]:
        """The calls with what people have to say of them. Raises Waiting where they have not."""
        keys = [f"{turn}.{place}" for place in range(len(calls))]
        asked = [self._question(key, call) for key, call in zip(keys, calls, strict=True)]
        ask(self.scope, self.journal, [one for one in asked if one is not None and one.id not in self.answers])
        return list(map(_Planned, keys, calls, asked))

    def _question(self, key: str, call: ToolCall) -> Question | None:
        """What a person has to say before this call can be made; None where nothing."""
        if self.journal.get(f"{key}.end"):
            return None
        call = self._as_kept(call)  # the same is asked before a resume and after it
        spec = self.tools[call.name].spec
        if spec is ask_human.spec:
            text = str((call.arguments or {})["question"])
            return Question(self._name(key, call), "question", self.step.id, self.step.goal, text, read_only=True)
        if before := begun(self.journal, key):
            return self._question_again(key, call, before)
        lacks = self.scope.resumed and lacks_secret(call)
        return self._approval(self._name(key, call), call) if spec.needs_approval or lacks else None

    def _name(self, key: str, call: ToolCall) -> str:
        return _name(self.step, self.journal, key, call)

    def _question_again(self, key: str, call: ToolCall, before: Begun) -> Question | None:
        """What is asked about a call that was started and has no recorded end."""
        action = after_unknown(self.engine.recovery, self.tools[call.name].spec)
        asked = unknown(self.step, self.journal, key, call, before)
        if action is Action.retry:
            made = before.made(call)
            return self._approval(asked.id, made) if lacks_secret(made) else None
        if action is not Action.ask_human:
            raise Exhausted(asked.text, trigger=Trigger.tool_unknown, evidence=(asked.text,), action=action)
        return asked

    def _approval(self, name: str, call: ToolCall) -> Question:
        text = f"may {call.name} be called with these arguments?{_lacking(call)}"
        read_only = self.tools[call.name].spec.read_only
        step = self.step
        return Question(name, "approval", step.id, step.goal, text, call.name, call.arguments or {}, read_only)

    async def _end(self, planned: _Planned, deadline: float) -> Called:
        """How the call ended, now or before, as the model is told."""
        kept = self.journal.get(f"{planned.key}.end")
        end = from_json(Called, kept) if kept else await self._decided(planned, deadline)
        before = begun(self.journal, planned.key)
        if before is None:
            return end
        call = self._as_kept(planned.call)
        made = before.made(call)
        self._settle(made, before, succeeded=end.trigger is None)
        if made == call:
            return end
        note = Text(f"(a person changed the arguments to {written(made.arguments)})\n")
        return replace(end, result=replace(end.result, content=(note, *end.result.content)))

    async def _decided(self, planned: _Planned, deadline: float) -> Called:
        """The end of a call that has none, after what a person may have said of it."""
        key, call, question = planned.key, planned.call, planned.question
        before = begun(self.journal, key)
        answer = self.answers[question.id] if question else Answer("approve")
        match answer.decision:
            case "approve" | "repeat":
                return await self._execute(key, before.made(call) if before else call, deadline)
            case "edit":
                return await self._execute(key, replace(call, arguments=answer.arguments), deadline)
            case "reject":
                reason = f": {answer.text}" if answer.text else ""
                return Called(_result(call, f"a person refused this call{reason}; do not make it again", is_error=True))
            case "fail":
                text = f"{call.name}: what it did before the run was interrupted is not known; a person ended the step"
                raise HumanNeeded(text, trigger=Trigger.tool_unknown, evidence=(text,))
            case _:
                return Called(_result(call, answer.text or DONE))

    async def _execute(self, key: str, call: ToolCall, deadline: float) -> Called:
        tool = self.tools[call.name]
        ordinal = self._begin(key, call)
        with a_tool_of(self.engine.dispatcher, self.scope):
            outcome = await execute(
                tool,
                ToolCall(call.id, call.name, deepcopy(call.arguments)),  # a tool's changes are no part of the call
                timeout=max(0.0, deadline - self.engine.clock()),
                handle=self.results.handle(self.step.id, call.id),
                idempotency_key=self._idempotency_key(call, ordinal) if tool.wants_key else "",
            )
        called = Called(outcome.result, outcome.trigger, outcome.whole and outcome.whole[:MAX_TEXT], outcome.replan)
        ended = ToolEnded(call.id, call.name, outcome.trigger, outcome.seconds, outcome.size, called.text)
        self.journal.record(ended, f"{key}.end", called)
        return called

    def _begin(self, key: str, call: ToolCall) -> int:
        """Record that the call is made now; which of its equals it is."""
        spec, before, kept = self.tools[call.name].spec, begun(self.journal, key), self._as_kept(call)
        again = before is not None and before.made(kept) == kept
        taken = self._taken[_spelled(kept)]
        ordinal = _ordinal(taken, before.ordinal if before and again else None)
        taken.add(ordinal)
        turn = int(key.partition(".")[0])
        started = ToolStarted(call.id, call.name, turn, spec.read_only, spec.idempotent, call.arguments or {})
        value = Begun((before.times if before else 0) + 1, kept.arguments or {}, ordinal)
        self.journal.record(started, f"{key}.start", value)
        return ordinal

    def _settle(self, made: ToolCall, kept: Begun, *, succeeded: bool) -> None:
        """A call that succeeded is another one than its next equal; one that failed is repeated by that."""
        taken = self._taken[_spelled(made)]
        ordinal = _ordinal(taken, kept.ordinal)
        if succeeded:
            taken.add(ordinal)
        else:
            taken.discard(ordinal)

    def _idempotency_key(self, call: ToolCall, ordinal: int) -> str:
        """The same for a call and for its repetition after a failure or a crash, another for one more of the same."""
        made = _digest(self._as_kept(call))
        name = f"{self.scope.run}/{self.step.id}/{self.journal.key('')}/{made}/{ordinal}"
        return hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:32]

    def _as_kept(self, call: ToolCall) -> ToolCall:
        """The call as the journal gives it back: without known secrets."""
        arguments = self.engine.ledger.without_secrets(call.arguments)
        return call if arguments is call.arguments else replace(call, arguments=arguments)


@dataclass(frozen=True, slots=True)
class _Planned:
    """A call that is to be made: its place in the journal, and the question that people have answered about it."""

    key: str
    call: ToolCall
    question: Question | None


def _ordinal(taken: set[int], kept: int | None) -> int:
    return next(n for n in count() if n not in taken) if kept is None else kept


def ask(scope: RunScope, journal: Journal, questions: Sequence[Question]) -> None:
    """Raises Waiting where there are questions, each recorded once; HumanNeeded where nobody can be asked."""
    if not questions:
        return
    if not scope.asks:
        text = f"{'; '.join(one.text for one in questions)}: {CANNOT_WAIT}"
        raise HumanNeeded(text, trigger=Trigger.tool_rejected, evidence=(text,))
    for one in questions:
        record_question(journal, one)
    raise Waiting(*questions)


def record_question(journal: Journal, asked: Question) -> None:
    """In the ledger a question stands once, however often people are asked."""
    key = f"asked.{asked.id}"
    if journal.get(key) is None:
        event = HumanAsked(asked.id, asked.kind, asked.tool or "", asked.text, asked.arguments or {})
        journal.record(event, key, asked)


def unknown(step: Step, journal: Journal, key: str, call: ToolCall, before: Begun) -> Question:
    """What a person is asked of a call that was started, for the so many-th time, and whose end is not recorded."""
    name, made = f"{_name(step, journal, key, call)}.{before.times}", before.made(call)
    text = f"{call.name} was started and its end was never recorded; what it did is not known{_lacking(made)}"
    return Question(name, "unknown", step.id, step.goal, text, call.name, made.arguments or {})


def lacks_secret(call: ToolCall) -> bool:
    """Whether a secret was taken out of the arguments: its place holds a mark that no tool was meant to be given."""
    return MARK in written(call.arguments)


def _lacking(call: ToolCall) -> str:
    return (
        f" (a secret was taken out where {MARK} stands: the tool would be given that word)"
        if lacks_secret(call)
        else ""
    )


def written(arguments: Mapping[str, Json] | None) -> str:
    """A call's arguments, the same text for the same arguments."""
    return _WRITTEN.encode(to_json(arguments))


def _name(step: Step, journal: Journal, key: str, call: ToolCall) -> str:
    """A question's id: nobody has said yes to the same call of another definition of the step."""
    return f"{step.id}.{key}.{journal.mark(_digest(call))}"


def _result(call: ToolCall, text: str, *, is_error: bool = False) -> ToolResult:
    return ToolResult(call.id, call.name, (Text(text),), is_error=is_error)


def _spelled(call: ToolCall) -> str:
    return f"{call.name} {written(call.arguments)}"


def _digest(call: ToolCall) -> str:
    return hashlib.sha256(_spelled(call).encode(errors="surrogatepass")).hexdigest()
