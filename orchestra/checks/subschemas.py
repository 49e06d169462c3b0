"""Where schemas stand inside a schema: the one place that knows which keywords of JSON Schema hold schemas."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeGuard

_ONE = frozenset(
    {
        "additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if", "items", "not",
        "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties",
    }
)  # fmt: skip
_LISTED = frozenset({"allOf", "anyOf", "items", "oneOf", "prefixItems"})
_NAMED = frozenset({"$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"})


def is_schema(value: object) -> TypeGuard[dict[str, Any] | bool]:
    """True for an object or a boolean, which is all a schema can be."""
    return isinstance(value, dict | bool)


def mapped(schema: dict[str, Any], each: Callable[[Any, str], Any], at: str = "#") -> dict[str, Any]:
    """The schema with `each(subschema, its pointer)` in the place of every schema directly inside it."""
    result: dict[str, Any] = {}
    for key, value in schema.items():
        here = f"{at}/{key}"
        if key in _NAMED and _is_object(value):
            result[key] = {
                name: each(item, f"{here}/{escaped(name)}") if is_schema(item) else item for name, item in value.items()
            }
        elif key in _LISTED and _is_array(value):
            items = enumerate(value)
            result[key] = [each(item, f"{here}/{index}") if is_schema(item) else item for index, item in items]
        elif key in _ONE and is_schema(value):
            result[key] = each(value, here)
        else:
            result[key] = value
    return result


def subschemas(schema: dict[str, Any]) -> Iterator[Any]:
    """The schemas directly inside a schema."""
    found: list[Any] = []
    mapped(schema, lambda item, _: found.append(item))
    return iter(found)


def every(schema: Any) -> Iterator[dict[str, Any]]:
    """The schema and all schemas inside it that are objects."""
    waiting = [schema]
    while waiting:
        item = waiting.pop()
        if _is_object(item):
            yield item
            waiting.extend(subschemas(item))


def required_names(schema: dict[str, Any]) -> list[str]:
    """The names of the properties that an object must have."""
    names: Any = schema.get("required")
    return [name for name in names if isinstance(name, str)] if _is_array(names) else []


def escaped(name: str) -> str:
    """A name as a step of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


def _is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _is_array(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)
