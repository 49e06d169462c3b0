"""A tool as models see it: name, description, JSON Schema, and what may be done with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestra.types.json import Json


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool's declaration. `schema` is the original JSON Schema of its arguments, never rewritten.

    `terms` are the names by which its data goes (columns, values): a call that leaves out one its step's goal names is
    doubted.
    """

    name: str
    description: str
    schema: Mapping[str, Json]
    read_only: bool = False
    idempotent: bool = False
    needs_approval: bool = False
    terms: tuple[str, ...] = ()
