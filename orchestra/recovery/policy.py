"""RecoveryPolicy: how far recovery may go, and which rows of the table a user has written anew."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias, TypeVar, cast

from orchestra.errors import PolicyError
from orchestra.recovery.table import ROWS, Row, Standing
from orchestra.types import Action, Fault, Trigger

Way: TypeAlias = Action | str | Sequence[Action | str]
Word = TypeVar("Word", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class RecoveryPolicy:
    """How far a step's failures may lead.

    `max_rungs`: rungs up per step. `repairs`: feedbacks per model. `retries`: same requests again per model.
    `sideways`: moves to a sibling per step. `max_replans`: new plans per run after a step failed for good. `overrides`
    replaces rows of the table: a trigger's one action, done for as long as it can be, or up to three, tried in turn;
    what is not given keeps the default. For example
    `{"content_filter": "sibling", "tool_error": ["repair", "ask_human"]}`.
    Raises PolicyError for a name that is none and for a number that is no count.
    """

    max_rungs: int = 2
    repairs: int = 1
    retries: int = 1
    sideways: int = 1
    overrides: Mapping[Trigger | str, Way] = field(default_factory=dict["Trigger | str", Way])
    max_replans: int = 1
    rows: Mapping[Trigger, Row] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("max_rungs", "repairs", "retries", "sideways", "max_replans"):
            _count(name, getattr(self, name))
        overrides = dict(_mapping(self.overrides))
        written = {_word(Trigger, key, "trigger", "overrides"): way for key, way in overrides.items()}
        object.__setattr__(self, "overrides", overrides)
        object.__setattr__(self, "rows", {**ROWS, **{trigger: _row(trigger, way) for trigger, way in written.items()}})

    def action(self, trigger: Trigger, standing: Standing) -> Action:
        """What the table says, with this policy's overrides."""
        return self.rows[trigger][tuple(Standing).index(standing)]


def _count(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise PolicyError(f"RecoveryPolicy: {name}={value!r}; expected a whole number, 0 or more")


def _mapping(given: object) -> Mapping[Trigger | str, Way]:
    if not isinstance(given, Mapping):
        raise PolicyError(f"RecoveryPolicy: overrides: {given!r}; expected a mapping of triggers to actions")
    return cast("Mapping[Trigger | str, Way]", given)


def _row(trigger: Trigger, way: Way) -> Row:
    where = f"overrides[{trigger.value!r}]"
    actions = [_word(Action, word, "action", where) for word in _words(where, way)]
    if Action.repair in actions and trigger.fault is not Fault.model:
        raise PolicyError(
            f"RecoveryPolicy: {where}: 'repair' is feedback to the model, but this is a {trigger.fault.value} fault; "
            "say 'retry', 'sibling', 'escalate' or 'fail'"
        )
    repaired = actions[1] if len(actions) > 1 else actions[0]
    return (actions[0], repaired, actions[2] if len(actions) > 2 else ROWS[trigger][2])


def _words(where: str, way: object) -> Sequence[object]:
    if isinstance(way, str):
        return (way,)
    if not isinstance(way, Sequence):
        raise PolicyError(f"RecoveryPolicy: {where}: {way!r}; expected an action or a list of actions")
    words = cast("Sequence[object]", way)
    if not 1 <= len(words) <= len(Standing):
        standings = ", ".join(Standing)
        raise PolicyError(f"RecoveryPolicy: {where}: {len(words)} actions; expected one to three, for: {standings}")
    return words


def _word(words: type[Word], given: object, what: str, where: str) -> Word:
    known = [word.value for word in words]
    if given in known:
        return words(given)
    near = difflib.get_close_matches(str(given), known, n=1)
    nearest = f"nearest: {near[0]}; " if near else ""
    raise PolicyError(f"RecoveryPolicy: {where}: {given!r} is no {what}; {nearest}known: {', '.join(known)}")
