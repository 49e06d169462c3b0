"""A step's journal: what it has done so far, so that after a crash or a question it goes on and repeats nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from orchestra.ledger import Event, Recorder
from orchestra.types import Json, Step, to_json

END = "end"
DROPPED = False  # the value of an entry that no longer counts
ANEW = "anew"  # the value of a move by which a step starts at its own tier again
AGAIN = "again"  # the entry of a turn before which a step that had failed was resumed


class Journal:
    """The entries of one step: accepted replies, calls begun and ended, moves, questions, and its result.

    An entry is written in one transaction with the ledger's row for the same fact, so there is never one without the
    other. Entries belong to one definition of the step and one set of upstream results (`digest`): where a person has
    edited the plan, what was done for the old step is not taken for the new one's.
    """

    def __init__(self, recorder: Recorder, step: str, digest: str, entries: Mapping[str, Json]) -> None:
        self.recorder, self.step, self._prefix = recorder, step, f"{digest}."
        size = len(self._prefix)
        own = {key[size:]: value for key, value in entries.items() if key.startswith(self._prefix)}
        self._entries: dict[str, object] = {key: value for key, value in own.items() if value is not DROPPED}

    @property
    def begun(self) -> bool:
        """Whether this step has done anything before."""
        return bool(self._entries)

    def get(self, key: str) -> Any:
        """The entry's value as plain JSON; None where there is none."""
        return to_json(self._entries.get(key))

    def value(self, key: str) -> object:
        """The entry as this process kept it, plain JSON where another did; None where there is none."""
        return self._entries.get(key)

    def key(self, key: str) -> str:
        """The key under which the ledger keeps this entry."""
        return self._prefix + key

    def mark(self, text: str) -> str:
        """Six letters that stand for this text in this definition of the step and nowhere else."""
        return hashlib.sha256(self.key(text).encode(errors="surrogatepass")).hexdigest()[:6]

    def record(self, event: Event, key: str, value: object) -> None:
        """An event and its entry, any value of ours: both are kept, or neither. Raises LedgerError."""
        self.recorder.record(self.step, event, keep=(self.key(key), value))
        self._entries[key] = value

    def keep(self, key: str, value: object) -> None:
        """An entry without an event. Raises LedgerError."""
        self.recorder.ledger.keep(self.recorder.run, self.step, self.key(key), value)
        self._entries[key] = value


def digest(step: Step, upstream: Mapping[str, str]) -> str:
    """Twelve letters that stand for a step and the results it was given."""
    text = json.dumps([to_json(step), dict(upstream)], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:12]


def unended(entries: Mapping[str, Json]) -> list[str]:
    """Where the end of a step with these entries is kept, each time that it was begun and has not come to one."""
    own = {tuple(key.split(".", 1)): value for key, value in entries.items()}
    return [f"{made}.{END}" for made, key in own if key == "begun" and own.get((made, END), DROPPED) is DROPPED]
