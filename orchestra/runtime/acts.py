"""Acts: what a step has done to the world, or may have done, as its journal tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestra.ledger import Recorder
from orchestra.runtime.ask import KeptReply
from orchestra.runtime.begun import Begun, begun
from orchestra.runtime.context import Results, read_result
from orchestra.runtime.journal import Journal
from orchestra.runtime.questions import Answer, Question
from orchestra.runtime.toolcalls import DONE, Called, unknown, written
from orchestra.toolbox import Tool
from orchestra.types import Step, ToolCall, ToolSpec, Trigger, from_json

UNKNOWN = "it was started and its end was never recorded: it may have been done, nobody knows"


@dataclass(frozen=True, slots=True)
class Act:
    """A call that was begun of a tool that is not read-only.

    `place` is its turn and its place in the turn. `spec` is None where the agent has the tool no more, `end` where none
    is recorded.
    """

    journal: Journal
    step: Step
    place: str
    call: ToolCall
    spec: ToolSpec | None
    end: Called | None

    @property
    def begun(self) -> Begun:
        """The call as it was really made."""
        before = begun(self.journal, self.place)
        assert before, "only what was begun is an act"
        return before

    @property
    def question(self) -> Question:
        """What a person is asked where there is no end."""
        return unknown(self.step, self.journal, self.place, self.call, self.begun)

    def told(self, answers: Mapping[str, Answer]) -> str | None:
        """The call and what came of it, in words; None where it is known to have had no effect."""
        text = self.end.text if self.end is not None else self._said(answers.get(self.question.id))
        if text is None:
            return None
        return f"{self.call.name}({written(self.begun.made(self.call).arguments)}): {text[:200]}"

    def _said(self, answer: Answer | None) -> str | None:
        """What a person says of a call without an end; to `repeat` it they must know that it was not done."""
        match answer:
            case Answer("done", text=text):
                return text or DONE
            case Answer("repeat"):
                return None
            case _:
                return UNKNOWN


def acts(recorder: Recorder, step: Step, tools: Mapping[str, Tool]) -> list[Act]:
    """The step's acts, in the order in which they were begun; a call that was rejected is none. Raises LedgerError."""
    entries = recorder.ledger.kept(recorder.run, step.id)
    specs = {one.name: one.spec for one in (read_result(Results()), *tools.values())}
    found: list[Act] = []
    for digest, _, key in (name.partition(".") for name in entries if name.endswith(".start")):
        journal, place = Journal(recorder, step.id, digest, entries), key.removesuffix(".start")
        turn, _, at = place.partition(".")
        parts = from_json(KeptReply, journal.get(f"{turn}.reply")).parts
        call = [part for part in parts if isinstance(part, ToolCall)][int(at)]
        kept = journal.get(f"{place}.end")
        end, spec = from_json(Called, kept) if kept else None, specs.get(call.name)
        if (spec is None or not spec.read_only) and (end is None or end.trigger is not Trigger.tool_rejected):
            found.append(Act(journal, step, place, call, spec, end))
    return found
