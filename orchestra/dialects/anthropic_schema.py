"""A schema for the answer as `output_config.format` takes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from orchestra.dialects.loose import is_object, mapping, sequence, string
from orchestra.types import Json


def answer_schema(schema: Mapping[str, Json]) -> tuple[dict[str, Any] | None, str]:
    """The schema that the provider can enforce, and what of the original it cannot; None: why there is no such schema.

    Objects are closed; bounds and other keywords that are not enforced go into descriptions, as the provider's own SDK
    does it (`anthropic.lib._parse._transform`). An answer that could no longer be given is never the price: open
    objects, recursion, `allOf` and the like have no such schema.
    """
    written = _Written(schema)
    try:
        return written.of(schema), ", ".join(sorted(written.unenforced))
    except _Unsayable as reason:
        return None, str(reason)


class _Unsayable(Exception):
    """A part of the schema without which answers would be lost."""


class _Written:
    """One schema while it is rewritten. The limits are the API's for one request."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._optional, self._unions, self._size, self._depth = 24, 16, 2_000, 0
        self._within: list[str] = []
        self.unenforced: set[str] = set()

    def of(self, schema: object) -> dict[str, Any]:
        """A schema somewhere in it."""
        self._size -= 1
        self._depth += 1
        if self._size < 0 or self._depth > _DEEPEST:
            raise _Unsayable("a schema too large")
        result = self._written(schema)
        self._depth -= 1
        return result

    def _written(self, schema: object) -> dict[str, Any]:
        if not is_object(schema):
            raise _Unsayable("a boolean schema")
        if isinstance(reference := schema.get("$ref"), str):
            return self._with_beside(self._referred(reference), schema)
        left = {key: value for key, value in schema.items() if key not in _NOWHERE}
        result = {key: left.pop(key) for key in ("title", "description", "enum", "const") if key in left}
        if "enum" in result or "const" in result:
            _check_plain([*sequence(result.get("enum")), result.get("const")])
            left.pop("type", None)
        elif "anyOf" in left or "oneOf" in left:
            result |= self._union(left)
        else:
            result |= self._typed(left)
        return self._described(result, left)

    def _referred(self, reference: str) -> dict[str, Any]:
        """What it refers to, in its place: the schema goes out whole, and recursion comes to light."""
        target: object = self._root
        for step in reference.removeprefix("#").strip("/").split("/"):
            target = target.get(step.replace("~1", "/").replace("~0", "~")) if is_object(target) else None
        if target is None or not reference.startswith("#/"):
            raise _Unsayable(f"the reference {reference}")
        if reference in self._within:
            raise _Unsayable("recursion")
        self._within.append(reference)
        result = self.of(target)
        self._within.pop()
        return result

    def _with_beside(self, result: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
        """What is referred to, with what is said beside the reference: it narrows, or it is about this place."""
        left = {key: value for key, value in schema.items() if key not in (*_NOWHERE, "$ref")}
        if more := sorted(_PARTS & left.keys()):
            raise _Unsayable(f"{', '.join(more)} beside a reference")
        if left.get("type") == result.get("type"):
            left.pop("type", None)
        result |= {"title": left.pop("title")} if "title" in left else {}
        told = (string(left.pop("description", None)), string(result.get("description")))
        result |= {"description": "\n\n".join(filter(None, told))} if any(told) else {}
        return self._described(result, left)

    def _union(self, left: dict[str, Any]) -> dict[str, Any]:
        branches = sequence(left.pop("anyOf", None) or left.pop("oneOf", None))
        self._unions -= 1
        if self._unions < 0 or {"properties", "items", "allOf", "oneOf"} & left.keys():
            raise _Unsayable("unions beyond what can be enforced")
        left.pop("type", None)
        return {"anyOf": [self.of(branch) for branch in branches]}

    def _typed(self, left: dict[str, Any]) -> dict[str, Any]:
        kind = left.pop("type", None)
        kinds = [kind] if isinstance(kind, str) else sequence(kind)
        if not kinds or _LOOSE & left.keys():
            raise _Unsayable(", ".join(sorted(_LOOSE & left.keys())) or "a schema without a type")
        if len(kinds) > 1:
            return self._one_of(kinds, left)
        result: dict[str, Any] = {"type": kinds[0]}
        if kinds == ["object"]:
            result |= self._object(left)
        elif kinds == ["array"]:
            result |= self._array(left)
        elif kinds == ["string"] and left.get("format") in _FORMATS:
            result["format"] = left.pop("format")
        return result

    def _one_of(self, kinds: list[Any], left: dict[str, Any]) -> dict[str, Any]:
        """Several types are so many branches, each with the keywords that speak of it."""
        branches = [{"type": kind, **{key: left[key] for key in left if kind in _OF.get(key, ())}} for kind in kinds]
        for key in [key for key in left if key in _OF]:
            del left[key]
        return self._union({"anyOf": branches})

    def _object(self, left: dict[str, Any]) -> dict[str, Any]:
        properties = mapping(left.pop("properties", None))
        if left.pop("additionalProperties", None) not in (None, False) or not properties:
            raise _Unsayable("an open object")
        required = sequence(left.pop("required", None))
        if any(name not in properties for name in required):
            raise _Unsayable("an open object")
        self._optional -= len(properties) - len(set(required))
        if self._optional < 0:
            raise _Unsayable("more than 24 optional properties")
        return {
            "properties": {name: self.of(value) for name, value in properties.items()},
            "required": required,
            "additionalProperties": False,
        }

    def _array(self, left: dict[str, Any]) -> dict[str, Any]:
        if "items" not in left:
            raise _Unsayable("an array of anything")
        result = {"items": self.of(left.pop("items"))}
        if left.get("minItems") in (0, 1):
            result["minItems"] = left.pop("minItems")
        return result

    def _described(self, result: dict[str, Any], left: dict[str, Any]) -> dict[str, Any]:
        if not left:
            return result
        self.unenforced |= left.keys() - _REMARKS
        said = "{" + ", ".join(f"{key}: {json.dumps(value)}" for key, value in left.items()) + "}"
        return result | {"description": f"{string(result.get('description'))}\n\n{said}".strip()}


def _check_plain(values: list[Any]) -> None:
    if any(isinstance(value, dict | list) for value in values):
        raise _Unsayable("an enumeration of objects or arrays")


_NOWHERE = ("$schema", "$id", "$defs", "definitions")  # what need not be said at a place
_PARTS = frozenset(
    {"allOf", "anyOf", "oneOf", "properties", "patternProperties", "additionalProperties", "unevaluatedProperties"}
    | {"items", "prefixItems"}
)
_DEEPEST = 64  # schemas in one another, through references too
_LOOSE = frozenset({"allOf", "patternProperties", "prefixItems", "$dynamicRef", "unevaluatedProperties"})
_REMARKS = frozenset({"default", "examples", "deprecated", "readOnly", "writeOnly", "$comment", "$anchor"})
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"})
_OF: dict[str, tuple[str, ...]] = {
    "properties": ("object",),
    "required": ("object",),
    "additionalProperties": ("object",),
    "items": ("array",),
    "minItems": ("array",),
    "maxItems": ("array",),
    "uniqueItems": ("array",),
    "format": ("string",),
    "pattern": ("string",),
    "minLength": ("string",),
    "maxLength": ("string",),
    "minimum": ("number", "integer"),
    "maximum": ("number", "integer"),
    "exclusiveMinimum": ("number", "integer"),
    "exclusiveMaximum": ("number", "integer"),
    "multipleOf": ("number", "integer"),
}
