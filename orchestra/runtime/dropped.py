"""The steps that a new plan drops: what they did, what nobody knows of, and their last word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestra.ledger import StepEnded
from orchestra.recovery import after_unknown
from orchestra.runtime.acts import Act, acts
from orchestra.runtime.engine import Engine
from orchestra.runtime.journal import unended
from orchestra.runtime.questions import Answer, Question
from orchestra.runtime.scope import RunScope
from orchestra.runtime.step_result import StepResult
from orchestra.runtime.toolcalls import record_question
from orchestra.toolbox import Tool
from orchestra.types import Action, Step


class Dropped:
    """Steps, finished or not, whose work is planned anew; `ended` are the results of those that have any."""

    def __init__(
        self,
        engine: Engine,
        scope: RunScope,
        tools: Mapping[str, Tool],
        steps: Iterable[Step],
        ended: Mapping[str, StepResult],
    ) -> None:
        self.engine, self.scope = engine, scope
        self._steps, self._ended = tuple(steps), ended
        self._acts = {step.id: acts(scope.recorder, step, tools) for step in self._steps}

    def acts(self, answers: Mapping[str, Answer]) -> tuple[str, ...]:
        """What they did that must not be done again, in words."""
        told = [act.told(answers) for step in self._steps for act in self._acts[step.id]]
        # the journal of a run that was done is gone; what its failed steps did stands in their results
        gone = [sid for sid, found in self._acts.items() if not found and sid in self._ended]
        return (*filter(None, told), *(act for sid in gone for act in self._ended[sid].acts))

    def questions(self, answers: Mapping[str, Answer]) -> list[Question]:
        """What a person has to say first, each recorded once; none where nobody can be asked: then planners are told.

        What may simply be repeated is not asked about.
        """
        open_ = [act for found in self._acts.values() for act in found if self.scope.asks and self._is_asked(act)]
        for act in open_:
            record_question(act.journal, act.question)
        return [act.question for act in open_ if act.question.id not in answers]

    def end(self) -> None:
        """The last word on those that were begun and have none, in the ledger and in their journals."""
        recorder, result = self.scope.recorder, StepResult("skipped", evidence=("planned anew",))
        for step in self._steps:
            for key in unended(recorder.ledger.kept(recorder.run, step.id)):
                recorder.record(step.id, StepEnded(result.state, evidence=result.evidence), keep=(key, result))

    def _is_asked(self, act: Act) -> bool:
        if act.end is not None:
            return False
        return act.spec is None or after_unknown(self.engine.recovery, act.spec) is Action.ask_human
