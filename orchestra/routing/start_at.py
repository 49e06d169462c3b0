"""StartAt: a call that names its model starts there; the others stay as its ladder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from orchestra.errors import ConfigError
from orchestra.fleet import Fleet, revise
from orchestra.routing.policy import ASKED
from orchestra.types import Candidate, Reason, StepContext


@dataclass(frozen=True)
class StartAt:
    """Puts `model`, by the fleet's name, before whatever rules, mode and context say; gates and recovery stay."""

    name: ClassVar[str] = "call"
    model: str

    @property
    def fingerprint(self) -> str:
        """The model."""
        return self.model

    def __call__(
        self,
        context: StepContext,  # noqa: ARG002  # a policy's signature
        candidates: Sequence[Candidate],
    ) -> Sequence[Candidate]:
        """The candidates, the model's with a preference that none other has."""
        reason = Reason("call", f"the call names {self.model}")
        return [
            revise(one, reason, preference=one.preference + ASKED) if one.card.name == self.model else one
            for one in candidates
        ]

    def bind(self, fleet: Fleet) -> StartAt:
        """This policy; ConfigError where the fleet has no such model."""
        if self.model not in fleet.models:
            raise ConfigError(f"model {self.model!r} is not in the fleet; known: {', '.join(sorted(fleet.models))}")
        return self
