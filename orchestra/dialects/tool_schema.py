"""A tool compiled to a dialect: its declaration on the wire, the way there and back for arguments, what is lost.

Schemas pass through untouched wherever the dialect allows it. OpenAI-style servers want an object at the
root and refuse `anyOf` and its like there; such a schema moves one level down, under `arguments`, and
`encode` and `decode` wrap and unwrap, so nothing that was expressible stops being so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, cast

from orchestra.dialects.features import FEATURES
from orchestra.dialects.tool_names import wire_names
from orchestra.errors import ConfigError, ToolError
from orchestra.types import Json

Arguments: TypeAlias = Mapping[str, Json]
DIALECTS = ("openai-chat",)


class Declared(Protocol):
    """Anything with a name, a description and a JSON Schema: a ToolSpec or a Tool."""

    @property
    def name(self) -> str:
        """The tool's name, any text."""
        ...

    @property
    def description(self) -> str:
        """What it does, for the model."""
        ...

    @property
    def schema(self) -> Mapping[str, Json]:
        """The JSON Schema of its arguments."""
        ...


@dataclass(frozen=True, slots=True)
class CompiledTool:
    """A tool as one dialect declares it.

    `encode` maps canonical arguments to what this dialect's model would write, `decode` maps back.
    `losses` lists what the declaration can no longer say. `strict`: the provider itself enforces the schema.
    """

    name: str
    declaration: Mapping[str, Json]
    encode: Callable[[Arguments], Arguments]
    decode: Callable[[Arguments], Arguments]
    losses: tuple[str, ...] = ()
    strict: bool = False


def compile_tool(tool: Declared, dialect: str, strict: bool | Literal["auto"] = "auto") -> CompiledTool:  # noqa: FBT001  # the published signature
    """The tool for one dialect; "auto" takes strict mode only where nothing is narrowed, which today is nowhere.

    Raises ConfigError for an unknown dialect or strict=True, ToolError for a schema no call can satisfy.
    """
    if dialect not in DIALECTS:
        raise ConfigError(f"unknown dialect {dialect!r}; known: {', '.join(DIALECTS)}")
    if strict not in ("auto", False):
        raise ConfigError(f'strict mode is not available yet for {dialect!r}; use strict="auto" or strict=False')
    return _compiled(tool, wire_names([tool.name])[tool.name])


def compile_tools(tools: Iterable[Declared], dialect: str = "openai-chat") -> dict[str, CompiledTool]:
    """The tools of one request by canonical name, no two with the same name on the wire."""
    by_name = {tool.name: tool for tool in tools}
    names = wire_names(by_name, spelling=FEATURES[dialect].tool_names)
    return {name: _compiled(tool, names[name]) for name, tool in by_name.items()}


def rerooted(schema: Json, pointer: str) -> Json:
    """The schema with its references into itself (`#/…`) moved to where `pointer` says it now stands."""
    if isinstance(schema, Mapping):
        return _rerooted_object(schema, pointer)
    if isinstance(schema, Sequence) and not isinstance(schema, str):
        return [rerooted(item, pointer) for item in schema]
    return schema


# At the root these are refused, or they hide whether the root is an object at all.
_NOT_AT_ROOT = frozenset({"anyOf", "oneOf", "allOf", "not", "if", "enum", "const", "$ref", "$dynamicRef"})
_DATA = frozenset({"const", "enum", "default", "examples"})
_BY_NAME = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_BOX = "arguments"


def _compiled(tool: Declared, wire_name: str) -> CompiledTool:
    parameters, boxed = _parameters(tool.name, tool.schema)
    declaration: dict[str, Json] = {
        "type": "function",
        "function": {"name": wire_name, "description": tool.description, "parameters": parameters},
    }
    return CompiledTool(wire_name, declaration, _box if boxed else _as_is, _unbox if boxed else _as_is)


def _parameters(name: str, schema: object) -> tuple[Mapping[str, Json], bool]:
    """The schema with an object at its root, and whether it had to move under `arguments`."""
    if not isinstance(schema, Mapping):
        raise ToolError(f"tool {name!r}: its schema must be a JSON object, got {schema!r}")
    root = cast("Mapping[str, Json]", schema)
    _check_root(name, root.get("type", "object"))
    if _NOT_AT_ROOT & root.keys():
        moved = rerooted(root, f"#/properties/{_BOX}")
        return {
            "type": "object",
            "properties": {_BOX: moved},
            "required": [_BOX],
            "additionalProperties": False,
        }, True
    if root.get("type") == "object" and "properties" in root:
        return root, False
    # Arguments are always an object, so saying so (and that no property is named) narrows nothing.
    return {**root, "type": "object", "properties": root.get("properties", {})}, False


def _check_root(name: str, kinds: Json) -> None:
    allowed = [kinds] if isinstance(kinds, str) else kinds
    if not isinstance(allowed, Sequence) or "object" not in allowed:
        raise ToolError(
            f"tool {name!r}: its schema's root has type {kinds!r}, but arguments are always an object; "
            'use {"type": "object", "properties": {…}} and put the value under a property'
        )


def _rerooted_object(schema: Mapping[str, Json], pointer: str) -> dict[str, Json]:
    if "$id" in schema:  # a schema with its own identity keeps its own root
        return dict(schema)
    result: dict[str, Json] = {}
    for key, value in schema.items():
        if key in ("$ref", "$dynamicRef") and isinstance(value, str) and (value == "#" or value.startswith("#/")):
            result[key] = pointer + value[1:]
        else:
            result[key] = _rerooted_under(key, value, pointer)
    return result


def _rerooted_under(key: str, value: Json, pointer: str) -> Json:
    if key in _DATA:
        return value
    if key in _BY_NAME and isinstance(value, Mapping):  # its keys are the user's names, not keywords
        return {name: rerooted(schema, pointer) for name, schema in value.items()}
    return rerooted(value, pointer)


def _as_is(arguments: Arguments) -> Arguments:
    return arguments


def _box(arguments: Arguments) -> Arguments:
    return {_BOX: arguments}


def _unbox(arguments: Arguments) -> Arguments:
    inner: Any = arguments.get(_BOX)
    # A model that forgot the box is understood; its arguments are judged against the original schema anyway.
    return cast("Arguments", inner) if len(arguments) == 1 and isinstance(inner, Mapping) else arguments
