"""Tools that another framework declares anew with every call: those that say the same are the same tools."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from orchestra.toolbox.defaults import defaults_optional
from orchestra.toolbox.tool import Tool


class Declaration(NamedTuple):
    """A tool as a framework tells it; `all_required`: it writes every parameter so, even one that has a default."""

    name: str
    description: str | None
    schema: Any
    all_required: bool = False


def declared(declarations: Iterable[Declaration]) -> list[Tool]:
    """The declared tools, in order; each is made when it is first seen. Raises ToolError as `Tool.from_schema`."""
    told = list(declarations)
    try:
        return list(_several(json.dumps(told)))
    except (TypeError, ValueError, RecursionError):  # no JSON, and from_schema knows where
        return [_made(*one) for one in told]


@lru_cache(maxsize=256)
def _several(told: str) -> tuple[Tool, ...]:
    return tuple(_one(json.dumps(one)) for one in json.loads(told))


@lru_cache(maxsize=512)
def _one(told: str) -> Tool:
    return _made(*json.loads(told))


def _made(name: str, description: str | None, schema: Any, all_required: bool) -> Tool:  # noqa: FBT001  # a field
    own = defaults_optional(schema) if all_required else schema
    return Tool.from_schema(name, description or "", own or {"type": "object", "properties": {}})
