"""Defaults: a schema in which some framework has written every parameter as required, read as the tool means it."""

from __future__ import annotations

from typing import Any, cast


def defaults_optional(schema: Any) -> Any:
    """The schema with nothing required that has a default, wherever it stands: a call without it is a good one."""
    if isinstance(schema, list):
        return [defaults_optional(one) for one in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    own = {name: defaults_optional(one) for name, one in cast("dict[str, Any]", schema).items()}
    known, required = own.get("properties"), own.get("required")
    if isinstance(known, dict) and isinstance(required, list):
        own["required"] = [
            name for name in cast("list[str]", required) if not _has_default(cast("dict[str, Any]", known).get(name))
        ]
    return own


def null_by_default(schema: Any) -> Any:
    """The schema with null as the default of every property that may be null, which OpenAI's strict form leaves out.

    Once all is written as required, only the type itself can tell such a property from one that must be said.
    """
    if isinstance(schema, list):
        return [null_by_default(one) for one in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    own = {name: null_by_default(one) for name, one in cast("dict[str, Any]", schema).items()}
    if isinstance(known := own.get("properties"), dict):
        told = cast("dict[str, Any]", known)
        own["properties"] = {name: {"default": None} | one if _nullable(one) else one for name, one in told.items()}
    return own


def _nullable(schema: Any) -> bool:
    return isinstance(schema, dict) and {"type": "null"} in cast("dict[str, Any]", schema).get("anyOf", ())


def _has_default(schema: Any) -> bool:
    return isinstance(schema, dict) and "default" in schema
