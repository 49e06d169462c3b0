"""Plan and Step: the typed DAG that the planner writes and the runtime executes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from orchestra.types.json import Json

Difficulty: TypeAlias = Literal["easy", "medium", "hard"]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a plan.

    `needs` are ids of steps whose results it sees, and it sees only those. `kind` is what routing
    matches first (`plan`, `act`, `answer`, or a word of yours). A critical step's failure ends the run.
    """

    id: str
    goal: str = ""
    kind: str = "act"
    name: str = ""
    needs: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    output_schema: Mapping[str, Json] | None = None
    difficulty: Difficulty | None = None
    critical: bool = True
    metadata: Mapping[str, Json] = field(default_factory=dict[str, Json])


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in plan order, a DAG over `needs`. `flags` say how it came about (`single_step`: planning failed)."""

    task: str
    steps: tuple[Step, ...]
    flags: tuple[str, ...] = ()
