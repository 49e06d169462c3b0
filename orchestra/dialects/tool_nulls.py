"""Optional properties where every property must be sent: null says that one is absent, where it says nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any, TypeAlias, cast

from orchestra.checks.subschemas import required_names
from orchestra.dialects.loose import is_object, mapping, sequence, string
from orchestra.types import Json

Arguments: TypeAlias = Mapping[str, Json]
TYPES: frozenset[str] = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})


class Nulls:
    """One schema with plain references, and what values of it look like with nulls for what is absent."""

    def __init__(self, schema: dict[str, Any], definitions: Mapping[str, Any]) -> None:
        self._schema = schema
        self.targets = {"#": schema} | {f"#/$defs/{name}": each for name, each in definitions.items()}
        self._kinds: dict[str, frozenset[str]] = {}
        self._ends: dict[str, dict[str, Any]] = {}
        for reference in self._in_order():
            self._kinds[reference] = self.kinds(self.targets.get(reference))

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
            found &= self._kinds.get(reference, TYPES)
        for key in ("anyOf", "oneOf"):
            if key in schema:
                found &= frozenset[str]().union(*map(self.kinds, sequence(schema[key])))
        for each in sequence(schema.get("allOf")):
            found &= self.kinds(each)
        return found

    def resolved(self, schema: Any) -> dict[str, Any]:
        """The schema that a reference, or an `allOf` of one, stands for."""
        met: set[str] = set()
        while is_object(schema):
            reference = schema.get("$ref")
            if isinstance(reference, str):
                if reference in met or reference in self._ends:
                    schema = self._ends.get(reference)  # None where it comes back to itself
                    break
                met.add(reference)
                schema = self.targets.get(reference)
            elif len(only := sequence(schema.get("allOf"))) == 1 and not alternatives(schema):
                schema = only[0]
            else:
                break
        found = mapping(schema)
        self._ends.update(dict.fromkeys(met, found))  # whole, since threads share a compiled tool
        return found

    def marked(self, schema: dict[str, Any]) -> dict[str, frozenset[str]]:
        """The required properties that can only have certain texts: they say which alternative an object is."""
        properties = mapping(schema.get("properties"))
        found = {name: choices(self.resolved(properties.get(name))) for name in required_names(schema)}
        return {name: texts for name, texts in found.items() if texts}

    def _in_order(self) -> Iterable[str]:
        """The references, each after those that its own kinds depend on; none where one leads back to itself."""
        graph = {reference: references_here(each) for reference, each in self.targets.items()}
        try:
            return tuple(TopologicalSorter(graph).static_order())
        except CycleError:
            return ()

    def _walked(self, value: Any, schema: Any, change: Callable[[dict[str, Any], Iterable[str]], Any]) -> Any:
        schema = self.resolved(schema)
        while branches := alternatives(schema):  # no schema comes back to itself here: such a one is not strict
            fitting = (each for each in map(self.resolved, branches) if self._may_be(value, each))
            schema = next(fitting, dict[str, Any]())
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
        marked = self.marked(schema).items()
        return all(isinstance(text := given.get(name), str) and text in texts for name, texts in marked)


def _filled(value: dict[str, Any], optional: Iterable[str]) -> dict[str, Any]:
    return value | {name: None for name in optional if name not in value}


def _dropped(value: dict[str, Any], optional: Iterable[str]) -> dict[str, Any]:
    absent = {name for name in optional if value.get(name, ...) is None}
    return {name: item for name, item in value.items() if name not in absent}


def alternatives(schema: dict[str, Any]) -> list[Any]:
    """The schemas of which a value is to fit one."""
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


def choices(schema: dict[str, Any]) -> frozenset[str]:
    """The texts that a schema of nothing but certain texts allows; empty for any other schema."""
    values = [schema["const"]] if "const" in schema else sequence(schema.get("enum"))
    return frozenset(values) if all(isinstance(value, str) for value in values) else frozenset()


def references_here(schema: Any) -> set[str]:
    """The references that the very same value is held to."""
    if not is_object(schema):
        return set()
    inner = [each for key in ("allOf", "anyOf", "oneOf") for each in sequence(schema.get(key))]
    return {string(schema.get("$ref"))}.union(*map(references_here, inner)) - {""}
