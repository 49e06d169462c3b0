"""The tool calls of an accepted reply: approved where they must be, each executed once, and kept."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from orchestra.errors import Exhausted, HumanNeeded
from orchestra.ledger import HumanAsked, ToolEnded, ToolStarted
from orchestra.recovery import after_unknown
from orchestra.runtime.context import Results, read_result
from orchestra.runtime.context.results import MAX_TEXT
from orchestra.runtime.engine import Engine
from orchestra.runtime.journal import Journal
from orchestra.runtime.questions import Answer, Question, Waiting
from orchestra.runtime.scope import RunScope
from orchestra.toolbox import Tool, ask_human, execute
from orchestra.types import Action, Json, Step, Text, ToolCall, ToolResult, Trigger, from_json, to_json


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
        """What the model reads."""
        return "".join(part.text for part in self.result.content if isinstance(part, Text))


class ToolCalls:
    """Executes the calls of one step's replies. `acts` says in words what changed something."""

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
        self.acts: list[str] = []
        self._succeeded: Counter[str] = Counter()

    @cached_property
    def reading(self) -> Tool:
        """The tool that reads on in results that were cut; from now on it can be called."""
        tool = read_result(self.results)
        self.tools.setdefault(tool.name, tool)
        return tool

    async def run(self, calls: Sequence[ToolCall], turn: int, deadline: float) -> list[Called]:
        """The calls' ends, in order. Look-ups run at once, acts in the order in which the model wrote them.

        Raises Waiting where people have to answer first: then nothing of this reply has been executed, and HumanNeeded
        where nobody can be asked.
        """
        for call in calls:  # in their order, whichever of them has an end already
            self.results.handle(self.step.id, call.id)
        self._ask(calls, turn)
        keys = [f"{turn}.{place}" for place in range(len(calls))]
        if all(self.tools[call.name].spec.read_only for call in calls):
            work = (self._end(key, call, deadline) for key, call in zip(keys, calls, strict=True))
            ends = await asyncio.gather(*work)
        else:
            ends = [await self._end(key, call, deadline) for key, call in zip(keys, calls, strict=True)]
        for call, end in zip(calls, ends, strict=True):
            self._note(call, end)
        return ends

    def _ask(self, calls: Sequence[ToolCall], turn: int) -> None:
        asked = [self._question(f"{turn}.{place}", call) for place, call in enumerate(calls)]
        ask(self.scope, self.journal, [one for one in asked if one is not None and one.id not in self.answers])

    def _question(self, key: str, call: ToolCall) -> Question | None:
        """What a person has to say before this call can be made; None where nothing."""
        spec = self.tools[call.name].spec
        if self.journal.get(f"{key}.end"):
            return None
        given = call.arguments or {}
        name = f"{self.step.id}.{key}.{_digest(call)[:6]}"
        if spec is ask_human.spec:
            return Question(name, "question", self.step.id, self.step.goal, str(given["question"]), read_only=True)
        if starts := self.journal.get(f"{key}.start"):
            if (action := after_unknown(self.engine.recovery, spec)) is Action.retry:
                return None
            text = f"{call.name} was started and its end was never recorded; what it did is not known"
            if action is not Action.ask_human:
                raise Exhausted(text, trigger=Trigger.tool_unknown, evidence=(text,), action=action)
            step = self.step
            return Question(f"{name}.{starts}", "unknown", step.id, step.goal, text, call.name, given, spec.read_only)
        if not spec.needs_approval:
            return None
        text = f"may {call.name} be called with these arguments?"
        return Question(name, "approval", self.step.id, self.step.goal, text, call.name, given, spec.read_only)

    async def _end(self, key: str, call: ToolCall, deadline: float) -> Called:
        if kept := self.journal.get(f"{key}.end"):
            return from_json(Called, kept)
        question = self._question(key, call)
        answer = self.answers[question.id] if question else Answer("approve")
        match answer.decision:
            case "approve" | "repeat":
                return await self._execute(key, call, deadline)
            case "edit":
                done = await self._execute(key, replace(call, arguments=answer.arguments), deadline)
                note = f"(a person changed the arguments to {_written(answer.arguments)})\n"
                return replace(done, result=_result(call, note + done.text, is_error=done.result.is_error))
            case "reject":
                reason = f": {answer.text}" if answer.text else ""
                return Called(_result(call, f"a person refused this call{reason}; do not make it again", is_error=True))
            case "fail":
                text = f"{call.name}: what it did before the run was interrupted is not known; a person ended the step"
                raise HumanNeeded(text, trigger=Trigger.tool_unknown, evidence=(text,))
            case _:
                return Called(_result(call, answer.text or "done, as a person confirmed"))

    async def _execute(self, key: str, call: ToolCall, deadline: float) -> Called:
        tool, arguments = self.tools[call.name], call.arguments or {}
        spec = tool.spec
        turn = int(key.partition(".")[0])
        started = ToolStarted(call.id, call.name, turn, spec.read_only, spec.idempotent, arguments)
        self.journal.record(started, f"{key}.start", (self.journal.get(f"{key}.start") or 0) + 1)
        outcome = await execute(
            tool,
            call,
            timeout=max(0.0, deadline - self.engine.clock()),
            handle=self.results.handle(self.step.id, call.id),
            idempotency_key=self._idempotency_key(call) if tool.wants_key else "",
        )
        called = Called(outcome.result, outcome.trigger, outcome.whole and outcome.whole[:MAX_TEXT], outcome.replan)
        ended = ToolEnded(call.id, call.name, outcome.trigger, outcome.seconds, outcome.size, called.text)
        self.journal.record(ended, f"{key}.end", called)
        return called

    def _idempotency_key(self, call: ToolCall) -> str:
        """The same for a call and for its repetition after a failure or a crash, another for one more of the same."""
        made = _digest(call)
        name = f"{self.scope.run}/{self.step.id}/{self.journal.key('')}/{made}/{self._succeeded[made]}"
        return hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:32]

    @property
    def cut(self) -> bool:
        """Whether there is something to read on in."""
        return len(self.results) > 0 and self.tools[self.reading.name] is self.reading

    def _note(self, call: ToolCall, end: Called) -> None:
        if end.whole is not None:
            self.results.put(self.results.handle(self.step.id, call.id), end.whole)
        if end.trigger is None:
            self._succeeded[_digest(call)] += 1
        if not self.tools[call.name].spec.read_only:
            self.acts.append(f"{call.name}({_written(call.arguments)}): {end.text[:200]}")


def ask(scope: RunScope, journal: Journal, questions: Sequence[Question]) -> None:
    """Raises Waiting where there are questions, each recorded once; HumanNeeded where nobody can be asked."""
    if not questions:
        return
    if not scope.asks:
        text = (
            f"{'; '.join(one.text for one in questions)}: a person has to decide, and this run cannot wait for one: "
            "it keeps no checkpoints; give the app a ledger file, or the graph a checkpointer"
        )
        raise HumanNeeded(text, trigger=Trigger.tool_rejected, evidence=(text,))
    for one in questions:
        key = f"asked.{one.id}"
        if journal.get(key) is None:
            event = HumanAsked(one.id, one.kind, one.tool or "", one.text, one.arguments or {})
            journal.record(event, key, one)
    raise Waiting(*questions)


def _result(call: ToolCall, text: str, *, is_error: bool = False) -> ToolResult:
    return ToolResult(call.id, call.name, (Text(text),), is_error=is_error)


def _written(arguments: Mapping[str, Json] | None) -> str:
    return json.dumps(to_json(arguments), ensure_ascii=False, sort_keys=True)


def _digest(call: ToolCall) -> str:
    return hashlib.sha256(f"{call.name} {_written(call.arguments)}".encode(errors="surrogatepass")).hexdigest()
