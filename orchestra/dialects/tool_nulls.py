"""Optional properties where every property must be sent: null says that one is absent, where it says nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import combinations
from typing import Any, TypeAlias, cast

from orchestra.dialects.loose import is_object, mapping, sequence
from orchestra.dialects.subschemas import every, required_names
from orchestra.types import Json

Arguments: TypeAlias = Mapping[str, Json]
_Signs: TypeAlias = tuple[frozenset[str], frozenset[str], dict[str, frozenset[str]]]
TYPES: frozenset[str] = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})


class Nulls:
    """One schema with plain references, and what values of it look like with nulls for what is absent."""

    def __init__(self, schema: dict[str, Any], definitions: Mapping[str, Any]) -> None:
        self._schema, self._definitions = schema, definitions
        self._kinds: dict[str, frozenset[str]] = {}

    def encode(self, arguments: Arguments) -> Arguments:
        """The arguments with null for every optional property that they leave out."""
        return self._walked(arguments, self._schema, _filled)

    def decode(self, arguments: Arguments) -> Arguments:
        """The arguments without the nulls of optional properties."""
        return self._walked(arguments, self._schema, _dropped)

    def kinds(self, schema: Any) -> frozenset[str]:
        """The JSON types that a value of the schema may have; all where the schema does not say."""
        if not is_object(schema):
            return frozenset() if schema is False else TYPES
        found = _stated(schema)
        if isinstance(reference := schema.get("$ref"), str):
            if reference not in self._kinds:
                self._kinds[reference] = TYPES  # where it comes back to itself
                self._kinds[reference] = self.kinds(self._at(reference))
            found &= self._kinds[reference]
        for key in ("anyOf", "oneOf"):
            if key in schema:
                found &= frozenset[str]().union(*map(self.kinds, sequence(schema[key])))
        for each in sequence(schema.get("allOf")):
            found &= self.kinds(each)
        return found

    def told_apart(self, schemas: Iterable[Any]) -> bool:
        """Whether no value can fit two of the schemas, and a look at its type and markers says which it may fit."""
        signs = [self._signs(self.resolved(each)) for each in schemas]
        return all(_apart(one, other) for one, other in combinations(signs, 2))

    def has_optional(self, schema: Any) -> bool:
        """Whether a value of the schema may hold an object that has optional properties."""
        met: set[str] = set()
        waiting = [schema]
        while waiting:
            for part in every(waiting.pop()):
                if mapping(part.get("properties")).keys() - required_names(part):
                    return True
                reference = part.get("$ref")
                if isinstance(reference, str) and reference not in met:
                    met.add(reference)
                    waiting.append(self._at(reference))
        return False

    def resolved(self, schema: Any) -> dict[str, Any]:
        """The schema that a reference, or an `allOf` of one, stands for."""
        met: set[str] = set()
        while is_object(schema):
            reference = schema.get("$ref")
            if isinstance(reference, str) and reference not in met:
                met.add(reference)
                schema = self._at(reference)
            elif len(only := sequence(schema.get("allOf"))) == 1 and not _branches(schema):
                schema = only[0]
            else:
                return schema
        return {}

    def _at(self, reference: str) -> Any:
        return self._schema if reference == "#" else self._definitions.get(reference.removeprefix("#/$defs/"))

    def _signs(self, schema: dict[str, Any]) -> _Signs:
        return self.kinds(schema), _choices(schema), self._marked(schema)

    def _marked(self, schema: dict[str, Any]) -> dict[str, frozenset[str]]:
        """The required properties that can only have certain texts: they say which alternative an object is."""
        properties = mapping(schema.get("properties"))
        found = {name: _choices(self.resolved(properties.get(name))) for name in required_names(schema)}
        return {name: choices for name, choices in found.items() if choices}

    def _walked(self, value: Any, schema: Any, change: Callable[[dict[str, Any], Iterable[str]], Any]) -> Any:
        schema = self.resolved(schema)
        if branches := _branches(schema):
            fitting = next((each for each in map(self.resolved, branches) if self._may_be(value, each)), None)
            return value if fitting is None else self._walked(value, fitting, change)
        if isinstance(value, list):
            return [self._walked(item, schema.get("items"), change) for item in cast("list[Any]", value)]
        if not isinstance(value, Mapping):
            return value
        properties = mapping(schema.get("properties"))
        inner = {
            name: self._walked(item, properties[name], change) if name in properties else item
            for name, item in cast("Mapping[str, Any]", value).items()
        }
        wanted = set(required_names(schema))
        return change(inner, [name for name in properties if name not in wanted])

    def _may_be(self, value: Any, schema: dict[str, Any]) -> bool:
        if not kinds_of(value) & self.kinds(schema):
            return False
        if not isinstance(value, Mapping):
            return True
        given = cast("Mapping[str, Any]", value)
        marked = self._marked(schema).items()
        return all(isinstance(text := given.get(name), str) and text in choices for name, choices in marked)


def _filled(value: dict[str, Any], optional: Iterable[str]) -> dict[str, Any]:
    return value | {name: None for name in optional if name not in value}


def _dropped(value: dict[str, Any], optional: Iterable[str]) -> dict[str, Any]:
    absent = {name for name in optional if value.get(name, ...) is None}
    return {name: item for name, item in value.items() if name not in absent}


def _branches(schema: dict[str, Any]) -> list[Any]:
    return sequence(schema.get("anyOf")) or sequence(schema.get("oneOf"))


def _stated(schema: Mapping[str, Any]) -> frozenset[str]:
    stated = schema.get("type", list(TYPES))
    found = frozenset([stated] if isinstance(stated, str) else map(str, sequence(stated)))
    if "number" in found:
        found |= {"integer"}
    if "enum" in schema:
        found &= frozenset[str]().union(*map(kinds_of, sequence(schema["enum"])))
    return found & kinds_of(schema["const"]) if "const" in schema else found


def kinds_of(value: Any) -> frozenset[str]:
    """The JSON types that a value has: a whole number is an integer and a number."""
    if isinstance(value, bool):
        return frozenset({"boolean"})
    if isinstance(value, int | float):
        return frozenset({"number", "integer"} if value == value // 1 else {"number"})
    if isinstance(value, str):
        return frozenset({"string"})
    return frozenset({"null" if value is None else "object" if isinstance(value, Mapping) else "array"})


def _choices(schema: dict[str, Any]) -> frozenset[str]:
    """The texts that a schema of nothing but certain texts allows; empty for any other schema."""
    values = [schema["const"]] if "const" in schema else sequence(schema.get("enum"))
    return frozenset(values) if all(isinstance(value, str) for value in values) else frozenset()


def _apart(one: _Signs, other: _Signs) -> bool:
    common = one[0] & other[0]
    if not common or _differ(one[1], other[1]):
        return True
    return common == frozenset({"object"}) and any(
        _differ(one[2].get(name), choices) for name, choices in other[2].items()
    )


def _differ(one: frozenset[str] | None, other: frozenset[str]) -> bool:
    return one is not None and bool(one and other) and one.isdisjoint(other)
