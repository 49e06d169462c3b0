"""A step that failed, opened again: what it did stays in its journal, what ended it no longer counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from orchestra.ledger import Recorder
from orchestra.runtime.journal import AGAIN, ANEW, DROPPED, END


def reopen(recorder: Recorder, step: str) -> None:
    """Let a step that failed go on where it failed, as if nothing had been tried yet. Raises LedgerError."""
    entries: dict[str, Any] = dict(recorder.ledger.kept(recorder.run, step))
    for made in [key.partition(".")[0] for key in entries if key.partition(".")[2] == END]:
        own = {key.removeprefix(f"{made}."): value for key, value in entries.items() if key.startswith(f"{made}.")}
        for key, value in _opened(own):
            recorder.ledger.keep(recorder.run, step, f"{made}.{key}", value)


def _opened(entries: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """The entries of one definition of a step that have to be written anew."""
    yield END, DROPPED
    if turns := sum(key.endswith(".reply") for key in entries):
        yield f"{turns}.{AGAIN}", True
    for key, value in entries.items():
        turn, _, what = key.partition(".")
        if what == "move" and _ended(value) and f"{int(turn) - 1}.tools.stuck" not in entries:
            yield key, ANEW  # what people were asked about they answer: nothing of what they said is lost
        elif what.endswith(".end") and (replan := cast("Mapping[str, Any]", value)).get("replan"):
            yield key, {**replan, "replan": None}
            yield f"{int(turn) + 1}.move", ANEW


def _ended(move: Any) -> bool:
    return isinstance(move, Mapping) and cast("Mapping[str, Any]", move).get("ladder") is None
