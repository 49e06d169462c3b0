"""Alternatives in a schema: whether they can be told apart, and whether their objects can be closed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from orchestra.checks.subschemas import every, required_names
from orchestra.dialects.loose import mapping, string
from orchestra.dialects.tool_nulls import Nulls, alternatives, choices

MOST = 20_000
"""Properties looked at in one schema's unions; what takes more is not taken for closable."""


class Unions:
    """The unions of one schema with plain references."""

    def __init__(self, nulls: Nulls) -> None:
        self._nulls = nulls
        self._met: set[frozenset[int]] = set()
        self._looked = 0

    def told_apart(self, schemas: Sequence[Any]) -> bool:
        """Whether no value can fit two of the schemas, and a look at its type and markers says which it may fit.

        Of one type there may be one alternative; of texts many, each with texts of its own, and of objects many, where
        one and the same required property has texts of its own in each.
        """
        parts = [(part, self._nulls.kinds(part)) for part in map(self._nulls.resolved, schemas)]
        counts = Counter(kind for _, kinds in parts for kind in kinds)
        texts = [found for part, kinds in parts if "string" in kinds and (found := choices(part))]
        marks = [found for part, kinds in parts if "object" in kinds and (found := self._nulls.marked(part))]
        counts["string"] -= len(texts[1:]) if _disjoint(texts) else 0
        counts["object"] -= len(marks[1:]) if _marked_apart(marks) else 0
        return all(number <= 1 for number in counts.values())

    def has_optional(self, schema: Any) -> bool:
        """Whether a value of the schema may hold an object that has optional properties."""
        return any(_optional(part) or part.get("$ref") in self._with_optional for part in every(schema))

    def closable(self, schemas: Sequence[Any]) -> bool:
        """Whether closing the objects in these alternatives refuses only what none of them names at that place."""
        waiting: list[Iterable[Any]] = [schemas]
        while waiting and self._looked < MOST:
            parts = self._parts(waiting.pop())
            place = frozenset(map(id, parts))
            if len(parts) < 2 or place in self._met:  # one that did not hold has kept the schema from being strict
                continue
            self._met.add(place)
            inside: dict[str, list[Any]] = defaultdict(list)
            for part in parts:
                for name, each in mapping(part.get("properties")).items():
                    inside[name].append(each)
            if not all(_closes(part, len(inside)) for part in parts):
                return False
            self._looked += sum(map(len, inside.values()))
            waiting += [each for each in inside.values() if len(each) > 1]
            waiting.append([part.get("items") for part in parts])
        return not waiting

    def _parts(self, schemas: Iterable[Any]) -> list[dict[str, Any]]:
        """The schemas of objects and arrays at one place, those among alternatives too; none twice."""
        found: dict[int, dict[str, Any]] = {}
        waiting = [*schemas]
        while waiting:
            part = self._nulls.resolved(waiting.pop())
            if part and id(part) not in found:
                found[id(part)] = part
                waiting += alternatives(part)
        return [part for part in found.values() if {"items", "properties"} & part.keys()]

    @cached_property
    def _with_optional(self) -> set[str]:
        """The references to what may hold an object that has optional properties."""
        users: defaultdict[str, set[str]] = defaultdict(set)
        waiting: list[str] = []
        for reference, each in self._nulls.targets.items():
            for part in every(each):
                users[string(part.get("$ref"))].add(reference)
                waiting += [reference] if _optional(part) else []
        found: set[str] = set()
        while waiting:
            if (reference := waiting.pop()) not in found:
                found.add(reference)
                waiting += users[reference]
        return found


def _optional(schema: dict[str, Any]) -> bool:
    return bool(mapping(schema.get("properties")).keys() - required_names(schema))


def _closes(schema: dict[str, Any], named: int) -> bool:
    """Whether the schema is closed, or names all that anything at its place does."""
    return (
        "properties" not in schema
        or schema.get("additionalProperties") is False
        or len(mapping(schema["properties"])) == named
    )


def _disjoint(sets: Sequence[frozenset[str]]) -> bool:
    return sum(map(len, sets)) == len(frozenset[str]().union(*sets))


def _marked_apart(marks: Sequence[dict[str, frozenset[str]]]) -> bool:
    names = set(marks[0]).intersection(*marks) if marks else ()
    return any(_disjoint([each[name] for each in marks]) for name in names)
