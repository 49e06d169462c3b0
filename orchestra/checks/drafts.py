"""Which draft of JSON Schema a schema is of: one reading for local validation and for what providers are sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from orchestra.checks.subschemas import every, mapped
from orchestra.types import Json

DRAFTS = ("draft-04", "draft-06", "draft-07", "2019-09", "2020-12")
BOUNDS = (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum"))


def draft_name(schema: Json) -> str:
    """The one of DRAFTS that `$schema` names; without it 2020-12, unless the schema is built as only older ones are.

    That is a list of `items`, a boolean `exclusiveMinimum` or `exclusiveMaximum`, or an anchor as `$id` or `id`.
    """
    named = schema.get("$schema") if isinstance(schema, Mapping) else None
    if isinstance(named, str):
        found = _KNOWN.fullmatch(named)
        return (found and found[1]) or DRAFTS[-1]
    parts = list(every(schema))
    if any(isinstance(part.get(bound), bool) for part in parts for bound, _ in BOUNDS) or _anchored(parts, "id"):
        return "draft-04"
    if any(isinstance(part.get("items"), list) for part in parts) or _anchored(parts, "$id"):
        return "draft-07"
    return DRAFTS[-1]


def unsupported(schema: Json) -> str:
    """The draft that `$schema` names where it is none of DRAFTS; "" also for a dialect of somebody's own."""
    named = schema.get("$schema") if isinstance(schema, Mapping) else None
    if not isinstance(named, str) or _KNOWN.fullmatch(named):
        return ""
    found = _OFFICIAL.match(named)
    return found[1] if found else ""


def without(schema: Any, keys: frozenset[str]) -> Any:
    """The schema without these keywords, wherever a schema stands in it."""
    if not isinstance(schema, dict):
        return schema
    kept = {key: value for key, value in cast("dict[str, Any]", schema).items() if key not in keys}
    return mapped(kept, lambda item, _: without(item, keys))


_KNOWN = re.compile(r"https?://json-schema\.org/(?:(?:draft/)?(draft-0[467]|2019-09|2020-12)/)?schema#?")
_OFFICIAL = re.compile(r"https?://json-schema\.org/(?:draft/)?([^/#]*)")


def _anchored(parts: list[dict[str, Any]], key: str) -> bool:
    return any(isinstance(own := part.get(key), str) and own.startswith("#") and len(own) > 1 for part in parts)
