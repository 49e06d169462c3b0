"""Schemas of older drafts, said in draft 2020-12: the one that the providers read every schema by."""

from __future__ import annotations

from typing import Any

from orchestra.checks.drafts import BOUNDS, DRAFTS, draft_name
from orchestra.checks.subschemas import is_schema, mapped
from orchestra.dialects.loose import is_object


def modern(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema in draft 2020-12, without `$schema`; the schema itself where that means the same.

    Which draft it is in, `draft_name` says.
    """
    draft = DRAFTS.index(draft_name(schema))
    if draft > _D2019:
        return schema
    result = _modern(schema, draft)
    result.pop("$schema", None)
    return schema if result == {key: value for key, value in schema.items() if key != "$schema"} else result


_D4, _D6, _D7, _D2019 = range(4)
# What a draft's successors added: for the draft itself it says nothing, so it must not begin to.
_ADDED = (
    frozenset({"const", "contains", "propertyNames", "examples"}),
    frozenset({"if", "then", "else"}),
    frozenset(
        {
            "$anchor", "dependentRequired", "dependentSchemas", "maxContains", "minContains", "unevaluatedItems",
            "unevaluatedProperties",
        }
    ),
    frozenset({"$dynamicAnchor", "$dynamicRef", "prefixItems"}),
)  # fmt: skip
_BESIDE_REF = frozenset({"$ref", "$defs", "definitions", "title", "description", "default", "examples"})


def _modern(schema: Any, draft: int) -> Any:
    if not is_object(schema):
        return schema
    added = frozenset[str]().union(*_ADDED[draft:])
    known = {key: value for key, value in schema.items() if key not in added}
    if draft <= _D7 and "$ref" in known:  # there its siblings are not read
        known = {key: value for key, value in known.items() if key in _BESIDE_REF}
    for step in (_named, _bounded, _depending, _listed, _recursive):
        step(known, draft)
    return mapped(known, lambda item, _: _modern(item, draft))


def _named(schema: dict[str, Any], draft: int) -> None:
    if draft == _D4 and isinstance(schema.get("id"), str):
        schema["$id"] = schema.pop("id")
    own = schema.get("$id")
    if draft <= _D7 and isinstance(own, str) and own.startswith("#"):
        del schema["$id"]
        schema["$anchor"] = own[1:]


def _bounded(schema: dict[str, Any], draft: int) -> None:
    for exclusive, inclusive in BOUNDS:
        if draft == _D4 and isinstance(schema.get(exclusive), bool) and schema.pop(exclusive) and inclusive in schema:
            schema[exclusive] = schema.pop(inclusive)


def _depending(schema: dict[str, Any], draft: int) -> None:
    wanted = schema.get("dependencies")
    if draft > _D7 or not is_object(wanted):
        return
    del schema["dependencies"]
    schemas = {key: value for key, value in wanted.items() if is_schema(value)}
    names = {key: value for key, value in wanted.items() if key not in schemas}
    schema |= ({"dependentRequired": names} if names else {}) | ({"dependentSchemas": schemas} if schemas else {})


def _listed(schema: dict[str, Any], _: int) -> None:
    rest = schema.pop("additionalItems", None)
    if isinstance(first := schema.get("items"), list):
        del schema["items"]
        schema |= ({"prefixItems": first} if first else {}) | ({} if rest is None else {"items": rest})


def _recursive(schema: dict[str, Any], draft: int) -> None:
    if draft == _D2019:
        schema.pop("$recursiveAnchor", None)  # where nothing extends the schema, it changes nothing
        if "$recursiveRef" in schema:
            schema["$ref"] = schema.pop("$recursiveRef")
