"""Structured answers: text → JSON that fits a schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestra.checks.mend import mend
from orchestra.checks.schema import violations
from orchestra.checks.strict import NotJson, read_json
from orchestra.types import Json


def parse_output(text: str, schema: Mapping[str, Json]) -> tuple[Json, tuple[str, ...]]:
    """The structured answer of an accepted reply's text, and what had to be mended to read it.

    (None, ()) where the text holds no JSON that fits the schema; `judge` says why. Never for a truncated reply.
    """
    read = read_output(text, schema, whole=True)
    return (None, ()) if read.faults else (read.value, read.mended)


@dataclass(frozen=True, slots=True)
class ReadOutput:
    """A structured answer as read: the value holds only where there are no `faults`."""

    value: Json = None
    mended: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


def read_output(text: str, schema: Mapping[str, Json], *, whole: bool) -> ReadOutput:
    """The structured answer in `text` with all its faults; `whole` says that the reply ended by itself."""
    mended = mend(text) if whole else None
    if mended is not None:
        value, notes = mended
        return ReadOutput(value, notes, violations(schema, value))
    try:
        value = read_json(text)
    except NotJson as error:
        return ReadOutput(faults=(f"the answer is not JSON: {error}",))
    return ReadOutput(value, (), violations(schema, value))
