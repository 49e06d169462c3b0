"""What a schema names: a form of it that instances can be made of, and what of a value it names."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

from orchestra.checks.subschemas import mapped
from orchestra.dialects.loose import is_object, mapping, sequence
from orchestra.dialects.tool_drafts import modern
from orchestra.dialects.tool_refs import with_plain_references

Judge: TypeAlias = Callable[[Any], "bool | None"]
RECURSION = 3
MOST = 5_000


class NoInstances(ValueError):
    """No arguments can be made for a schema; the text says why."""


def judge(schema: Any, draft: Any = None) -> Judge:
    """Whether a value fits, by the jsonschema library; None where the schema itself cannot be used.

    `draft` is a class of jsonschema; without it the schema is of the draft that it names, else of 2020-12.
    """
    from jsonschema.validators import Draft202012Validator, validator_for
    from referencing import Registry

    made: Any = draft or validator_for(schema, default=Draft202012Validator)
    validator = made(schema, registry=cast(Any, Registry)())  # the default registry fetches what it does not know

    def fits(value: Any) -> bool | None:
        try:
            return bool(validator.is_valid(value))
        except BaseException as error:  # strangers write schemas; referencing, re and the engine below have their own
            if isinstance(error, Exception) or type(error).__name__ == "PanicException":
                return None
            raise

    return fits


def outline(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema without references or `$schema`: each is written out, where it comes back to itself RECURSION deep.

    Raises NoInstances where that takes more than MOST schemas, or the root allows nothing.
    """
    plain, definitions = with_plain_references(modern(json.loads(json.dumps(schema))), [])
    plain.pop("$schema", None)
    written = _Written({"#": plain} | {f"#/$defs/{name}": each for name, each in definitions.items()}).of(plain, ())
    if written is False:
        raise NoInstances("its root allows nothing")
    return mapping(written)


def draft7(schema: Any, *, closed: bool = True) -> Any:
    """An outline as draft 7 spells it; an object that names properties takes no others where it stands by itself."""
    if not is_object(schema):
        return schema
    result = mapped(schema, lambda item, at: draft7(item, closed=at.split("/")[1] not in _TOGETHER))
    if "prefixItems" in result:
        result |= {"additionalItems": result["items"]} if "items" in result else {}
        result["items"] = result.pop("prefixItems")
    if needs := mapping(result.pop("dependentRequired", {})) | mapping(result.pop("dependentSchemas", {})):
        result["dependencies"] = needs
    if closed and _stands_alone(result):
        result["additionalProperties"] = False
    return result


def named(value: Any, schema: Any) -> Any:
    """The value without what the schema, an outline, does not name; objects of which it names nothing are maps.

    What any alternative names at a place is named there, whichever of them the value fits.
    """
    return _named(value, _together([schema]))


_TOGETHER = frozenset({"allOf", "dependencies", "dependentSchemas", "else", "if", "not", "then"})
_OPEN = frozenset({"additionalProperties", "patternProperties", "unevaluatedProperties"})
_WORDS = frozenset({"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment"})


def _stands_alone(schema: dict[str, Any]) -> bool:
    names = mapping(schema.get("properties")).keys()
    elsewhere = schema.keys() & (_TOGETHER | _OPEN | {"anyOf", "oneOf"})
    return bool(names) and not elsewhere and names >= set(sequence(schema.get("required")))


class _Written:
    """Schemas with their references written out."""

    def __init__(self, targets: Mapping[str, Any]) -> None:
        self._targets = targets
        self._count = 0

    def of(self, schema: Any, above: tuple[str, ...]) -> Any:
        if not is_object(schema):
            return schema
        self._count += 1
        if self._count > MOST:
            raise NoInstances(f"its references, written out, are more than {MOST:,} schemas")
        rest = mapped({k: v for k, v in schema.items() if k != "$ref"}, lambda item, _: self.of(item, above))
        if (reference := schema.get("$ref")) is None:
            return rest
        if above.count(reference) >= RECURSION:
            return False
        target = self.of(self._targets[reference], (*above, reference))
        return target if rest.keys() <= _WORDS else {**rest, "allOf": [*rest.get("allOf", []), target]}


def _together(schemas: list[Any]) -> list[dict[str, Any]]:
    """The schemas that say anything of what stands at one place: these, and those that hold for the same value."""
    found: list[dict[str, Any]] = []
    waiting = [*schemas]
    while waiting:
        schema = mapping(waiting.pop())
        found.append(schema)
        waiting += (each for key in ("allOf", "anyOf", "oneOf") for each in sequence(schema.get(key)))
        waiting += (schema[key] for key in ("if", "then", "else") if key in schema)
        waiting += mapping(schema.get("dependentSchemas")).values()
    return found


def _named(value: Any, parts: list[dict[str, Any]]) -> Any:
    if isinstance(value, list):
        items = enumerate(cast("list[Any]", value))
        return [_named(item, _together([_item(part, index) for part in parts])) for index, item in items]
    if not isinstance(value, dict):
        return value
    known = {name for part in parts for name in (*mapping(part.get("properties")), *sequence(part.get("required")))}
    is_map = not known or any(part.get(key, False) is not False for part in parts for key in _OPEN)
    return {
        name: _named(item, _together([_member(part, name) for part in parts]))
        for name, item in cast("dict[str, Any]", value).items()
        if is_map or name in known
    }


def _item(part: dict[str, Any], index: int) -> Any:
    first = sequence(part.get("prefixItems"))
    return first[index] if index < len(first) else part.get("items", True)


def _member(part: dict[str, Any], name: str) -> Any:
    return mapping(part.get("properties")).get(name, part.get("additionalProperties", True))
