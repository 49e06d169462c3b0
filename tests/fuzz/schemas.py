"""Schemas that no dialect may change the meaning of: real tools, and ones made up of all that JSON Schema has.

The real ones are read from the folder that ORCHESTRA_DATA names; where it is missing all are made up, and it is said.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from orchestra.cli.tool_check import Checked, check
from orchestra.cli.tool_files import read_tools
from orchestra.cli.tool_instances import ready
from orchestra.dialects.tool_schema import DIALECTS
from orchestra.types import ToolSpec

DATA = Path(os.environ.get("ORCHESTRA_DATA", Path(__file__).parents[3] / "shared" / "data"))
REAL = DATA / "tools" / "tool_schemas.jsonl.gz"
DEEPEST = 3


def tools(number: int, seed: object) -> list[ToolSpec]:
    """So many tools, half of them real as far as there are, the others made up; where there are none it is said."""
    draw = random.Random(f"{seed}/schemas")
    real = [*read_tools(REAL).values()] if REAL.exists() else []
    if not real:
        print(f"no real tools: there is no {REAL}; set ORCHESTRA_DATA", file=sys.stderr)
    some = draw.sample(real, min(number // 2, len(real)))
    return [*some, *(made_up(draw, index) for index in range(number - len(some)))]


def bent(tools: Sequence[ToolSpec]) -> tuple[Checked, list[str]]:
    """What became of the tools in every dialect, and each kind of loss as a line with an example."""
    ready()
    checked = check(tools, DIALECTS, 0)
    found = [
        f"{dialect}: {json.dumps(example, ensure_ascii=False)[:2000]}"
        for dialect, tally in checked.dialects.items()
        for example in tally.examples
        if example["kind"] != "ambiguous"
    ]
    return checked, found


def made_up(draw: random.Random, number: int) -> ToolSpec:
    """A tool with any schema of an object that some arguments fit."""
    definitions = {name: _schema(draw, 2) for name in ("A", "B c", "D/e", "~é%")}
    definitions["Tree"] = {
        "type": "object",
        "properties": {"v": _schema(draw, 3), "kids": _list(_ref("Tree"))},
        "required": ["v"],
    }
    root = draw.choice((_plain, _plain, _plain, _several, _conditional))(draw)
    if draw.random() < 0.6:
        root["$defs"] = definitions
    else:
        root = _without_references(root)
    if draw.random() < 0.2:
        root = _older(root)
    name = draw.choice(("look", "shop.cart", "ünïcode tool", "x" * 70, "9lives"))
    return ToolSpec(f"{name}{number}", draw.choice(("", "Does it.")), root)


def _plain(draw: random.Random) -> dict[str, Any]:
    return {"type": "object", **_object(draw, 0)}


def _several(draw: random.Random) -> dict[str, Any]:
    key = draw.choice(("anyOf", "oneOf", "allOf"))
    kinds = [{"kind": {"const": kind}, **_properties(draw, 1)} for kind in ("a", "b")]
    if key == "allOf":
        kinds = [{"x": _schema(draw, 1)}, {"y": _schema(draw, 1)}]
    return {key: [{"type": "object", "properties": each, "required": [next(iter(each))]} for each in kinds]}


def _conditional(draw: random.Random) -> dict[str, Any]:
    then = {"required": ["b"]}
    condition = {"properties": {"a": {"const": "x"}}, "required": ["a"]}
    extra = draw.choice(
        ({"if": condition, "then": then}, {"dependentRequired": {"a": ["b"]}}, {"not": {"required": ["a", "b"]}})
    )
    return {"type": "object", "properties": {"a": {"type": "string"}, "b": _schema(draw, 1)}, **extra}


def _object(draw: random.Random, depth: int) -> dict[str, Any]:
    properties = _properties(draw, depth + 1)
    found: dict[str, Any] = {"properties": properties}
    if required := draw.sample(sorted(properties), draw.randint(0, len(properties))):
        found["required"] = required
    rest = draw.choice((None, None, None, False, True, {"type": "integer"}))
    return found if rest is None else found | {"additionalProperties": rest}


def _properties(draw: random.Random, depth: int) -> dict[str, Any]:
    names = draw.sample(("a", "b", "ä b", "$ref", "type", "x" * 70, "arguments", ""), draw.randint(1, 4))
    return {name: _schema(draw, depth) for name in names}


def _schema(draw: random.Random, depth: int) -> Any:
    made = draw.choice(_LEAVES if depth >= DEEPEST else (*_LEAVES, *_BRANCHES))(draw, depth)
    if isinstance(made, dict) and "$ref" not in made and draw.random() < 0.3:
        made = {
            **made,
            **draw.choice(({"description": "what it is"}, {"title": "T"}, {"default": None}, {"examples": [1]})),
        }
    return made


def _list(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _open(name: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": "string"}}, "required": [name]}


def _older(schema: Any) -> Any:
    """The schema as draft 7 has it: lists of items, and `definitions`."""
    text = json.dumps(_with_listed_items(schema))
    older = json.loads(text.replace('"$defs"', '"definitions"').replace("#/$defs/", "#/definitions/"))
    return {"$schema": "http://json-schema.org/draft-07/schema#", **older}


def _with_listed_items(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_with_listed_items(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _with_listed_items(value) for key, value in schema.items()}
    if "prefixItems" in found:
        found |= {"items": found.pop("prefixItems"), "additionalItems": found["items"]}
    return found


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{quote(name.replace('~', '~0').replace('/', '~1'))}"}


_TYPES = ("string", "integer", "number", "boolean", "null")
_LEAVES: tuple[Callable[[random.Random, int], Any], ...] = (
    *[lambda _, __, kind=kind: {"type": kind} for kind in _TYPES],
    lambda _, __: {"type": ["string", "null"]},
    lambda _, __: {"type": "string", "minLength": 1, "maxLength": 9},
    lambda _, __: {"type": "string", "pattern": "^[a-z]{2,5}$"},
    lambda _, __: {"type": "string", "format": "date-time"},
    lambda _, __: {"type": "integer", "minimum": -3, "exclusiveMaximum": 9},
    lambda _, __: {"type": "number", "multipleOf": 0.5},
    lambda _, __: {"enum": ["a", "b"]},
    lambda _, __: {"enum": [1, "a", None, True, {"k": [1]}]},
    lambda _, __: {"type": "integer", "enum": [1, 2, 3]},
    lambda _, __: {"const": {"k": [1, None]}},
    lambda _, __: {"const": 3},
    lambda _, __: {},
    lambda _, __: True,
)
_BRANCHES: tuple[Callable[[random.Random, int], Any], ...] = (
    lambda draw, depth: {"type": "object", **_object(draw, depth)},
    lambda draw, depth: {"type": "object", **_object(draw, depth)},
    lambda draw, depth: _list(_schema(draw, depth + 1)),
    lambda draw, depth: {**_list(_schema(draw, depth + 1)), "minItems": 1, "maxItems": 3, "uniqueItems": True},
    lambda draw, depth: {"type": "array", "prefixItems": [_schema(draw, depth + 1) for _ in range(2)], "items": False},
    lambda draw, depth: {"type": "object", "additionalProperties": _schema(draw, depth + 1)},
    lambda draw, depth: {"type": "object", "patternProperties": {"^x-": _schema(draw, depth + 1)}},
    lambda draw, depth: {"anyOf": [_schema(draw, depth + 1), {"type": "null"}]},
    lambda draw, depth: {"anyOf": [_schema(draw, depth + 1), _schema(draw, depth + 1)]},
    lambda draw, depth: {"anyOf": [{"anyOf": [_open("a"), {"type": "integer"}]}, _schema(draw, depth + 1), _open("b")]},
    lambda draw, _: {"anyOf": [{"type": "object", "properties": {"x": _open(name)}} for name in draw.sample("abc", 2)]},
    lambda draw, _: {"oneOf": [_list(_open("a")), draw.choice((_open("b"), {"type": "string"}))]},
    lambda draw, depth: {"type": "object", "allOf": [_object(draw, depth + 1)], "unevaluatedProperties": False},
    lambda draw, depth: {"type": "object", "dependentSchemas": {"a": _object(draw, depth + 1)}},
    lambda draw, depth: {**_list(_schema(draw, depth + 1)), "contains": {"type": "string"}, "minContains": 0},
    lambda draw, depth: {"if": {"type": "string"}, "then": {"minLength": 1}, "else": _schema(draw, depth + 1)},
    lambda _, __: {"type": "object", "propertyNames": {"maxLength": 3}},
    lambda _, __: {"oneOf": [{"type": "string"}, {"type": "integer", "minimum": 0}]},
    lambda draw, depth: {"allOf": [_schema(draw, depth + 1), {"description": "and no more"}]},
    lambda _, __: {"not": {"type": "string"}},
    lambda draw, _: _ref(draw.choice(("A", "B c", "D/e", "~é%", "Tree"))),
    lambda draw, _: {**_ref(draw.choice(("A", "Tree"))), "description": "beside a reference"},
)


def _without_references(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_references(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(schema.get("$ref"), str):
        return {"type": "string"}
    return {key: _without_references(value) for key, value in schema.items()}
