"""A tool compiled to a dialect: its declaration on the wire, the way there and back for arguments, what is lost.

Schemas pass through untouched wherever the dialect allows it. Where the root is more than a plain object of
properties, which providers refuse, the schema moves one level down, under `arguments`, and `encode` and `decode` wrap
and unwrap, so nothing that was expressible stops being so.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, Protocol, TypeAlias, cast

from orchestra.dialects.features import FEATURES
from orchestra.dialects.tool_enforced import ENFORCED, over
from orchestra.dialects.tool_form import Form, Unsayable, form
from orchestra.dialects.tool_names import wire_names
from orchestra.dialects.tool_nulls import Arguments
from orchestra.dialects.tool_refs import rerooted
from orchestra.errors import ConfigError, ToolError
from orchestra.types import Json
from orchestra.types.same import Same

__all__ = ["DIALECTS", "CompiledTool", "as_json_schema", "compile_tool", "compile_tools", "inexpressible", "rerooted"]

Strictness: TypeAlias = bool | Literal["auto"]
DIALECTS = tuple(FEATURES)


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
    """A tool as one dialect declares it. `compile_tools` shares it: a codec adds to a copy of `declaration`.

    `encode` maps canonical arguments to what this dialect's model would write, `decode` maps back.
    `losses` lists what the declaration can no longer say. `strict`: the provider itself enforces the schema;
    `lenient` says why it does not.
    """

    name: str
    declaration: Mapping[str, Json]
    encode: Callable[[Arguments], Arguments]
    decode: Callable[[Arguments], Arguments]
    losses: tuple[str, ...] = ()
    strict: bool = False
    lenient: tuple[str, ...] = ()


def compile_tool(tool: Declared, dialect: str, strict: Strictness = "auto") -> CompiledTool:
    """The tool for one dialect, alone in its request; "auto" takes strict mode where nothing at all is lost by it.

    A tool is assumed not to change once it is made: it is compiled once. Raises ConfigError for an
    unknown dialect or another value for `strict`, ToolError for a schema that is no JSON or of no object, and
    with strict=True where the provider cannot enforce the whole schema.
    """
    found = compile_tools([tool], dialect, strict)[tool.name]
    return replace(found, declaration=json.loads(json.dumps(found.declaration)))  # the caller's own, to change


def compile_tools(
    tools: Iterable[Declared], dialect: str = "openai-chat", strict: Strictness = "auto"
) -> dict[str, CompiledTool]:
    """The tools of one request by canonical name: no two with one name on the wire, together within strict limits.

    With "auto" the first tools are strict that fit the provider's limits for a request. Raises as `compile_tool` does,
    and ToolError where two tools have one name.
    """
    if dialect not in FEATURES:
        raise ConfigError(f"unknown dialect {dialect!r}; known: {', '.join(DIALECTS)}")
    if not (isinstance(strict, bool) or strict == "auto"):
        raise ConfigError(f'strict is {strict!r}; it is True, False or "auto"')
    return dict(_of_request(Same(tools), dialect, strict))


def inexpressible(tools: Iterable[Declared], dialects: Iterable[str]) -> dict[str, str]:
    """The dialects in which one of the tools cannot be said at all, each with the reason."""
    given, found = Same(tools), dict[str, str]()
    for dialect in dialects:
        try:
            compile_tools(given.held, dialect)
        except ToolError as error:
            found[dialect] = str(error)
    return found


def as_json_schema(compiled: CompiledTool, dialect: str) -> Mapping[str, Json]:
    """The JSON Schema in a declaration, as the provider shows it to the model or enforces it."""
    found: Any = compiled.declaration
    for key in _SCHEMA_AT[dialect]:
        found = found[key]
    return cast("Mapping[str, Json]", found)


_SCHEMA_AT: Mapping[str, tuple[str, ...]] = {
    "openai-chat": ("function", "parameters"),
    "openai-responses": ("parameters",),
    "anthropic": ("input_schema",),
    "gemini": ("parametersJsonSchema",),
    "bedrock-converse": ("toolSpec", "inputSchema", "json"),
    "mistral": ("function", "parameters"),
    "cohere": ("function", "parameters"),
}


@lru_cache(maxsize=256)
def _of_request(tools: Same[Declared], dialect: str, strict: Strictness) -> Mapping[str, CompiledTool]:
    """Found by the very tools, as they come at every turn; tools that say the same of the same schemas share it."""
    by_name: dict[str, Declared] = {}
    for tool in tools.held:
        known = by_name.setdefault(tool.name, tool)
        if known is not tool and known != tool:
            raise ToolError(f"two tools are named {tool.name!r}; rename one, so that a call says which it is for")
    described = tuple((name, tool.description) for name, tool in by_name.items())
    return _compiled(described, Same(tool.schema for tool in by_name.values()), dialect, strict)


@lru_cache(maxsize=256)
def _compiled(
    described: tuple[tuple[str, str], ...], held: Same[Mapping[str, Json]], dialect: str, strict: Strictness
) -> Mapping[str, CompiledTool]:
    schemas = {name: schema for (name, _), schema in zip(described, held.held, strict=True)}
    forms = {name: _sayable(name, schema, dialect, strict) for name, schema in schemas.items()}
    if strict == "auto":
        forms = _within_limits(schemas, forms, dialect)
    names = wire_names(forms, spelling=FEATURES[dialect].tool_names)
    return {
        name: CompiledTool(
            names[name],
            _declared(dialect, names[name], description, forms[name]),
            forms[name].encode,
            forms[name].decode,
            forms[name].losses,
            forms[name].strict,
            forms[name].lenient,
        )
        for name, description in described
    }


@lru_cache(maxsize=2048)
def _form(schema: Same[Mapping[str, Json]], dialect: str, *, strict: bool) -> Form:
    return form(schema.held[0], dialect, strict=strict)


def _sayable(name: str, schema: Mapping[str, Json], dialect: str, strict: Strictness) -> Form:
    try:
        found = _form(Same((schema,)), dialect, strict=strict is not False)
    except Unsayable as error:
        raise ToolError(f"tool {name!r}: {error}") from None
    if strict is True and not found.strict:
        raise ToolError(
            f"tool {name!r} cannot be strict for {dialect!r}: {'; '.join(found.lenient)}; "
            'change its schema, or use strict="auto" or strict=False'
        )
    return found


def _within_limits(
    schemas: Mapping[str, Mapping[str, Json]], forms: Mapping[str, Form], dialect: str
) -> dict[str, Form]:
    """The forms with those lenient that are beyond the provider's limits for all strict tools of a request."""
    result = dict(forms)
    total: Counter[str] = Counter()
    rules = ENFORCED.get(dialect)
    if rules is None or not rules.shared:
        return result
    for name, each in forms.items():
        beyond = over(total + Counter(each.counts), rules.shared) if each.strict else []
        if beyond:
            result[name] = _lenient(schemas[name], dialect, tuple(f"the request has {words}" for words in beyond))
        elif each.strict:
            total.update(each.counts)
    if rules.together and not all(each.strict for each in result.values()):
        why = ("another tool of the request cannot be strict",)
        result = {name: _lenient(schemas[name], dialect, why) if each.strict else each for name, each in result.items()}
    return result


def _lenient(schema: Mapping[str, Json], dialect: str, why: tuple[str, ...]) -> Form:
    return _form(Same((schema,)), dialect, strict=False)._replace(lenient=why)


def _declared(dialect: str, name: str, description: str, said: Form) -> dict[str, Json]:
    """The whole declaration, as the provider's SDK types it."""
    named: dict[str, Json] = {"name": name, **({"description": description} if description else {})}
    strict: dict[str, Json] = {"strict": True} if said.strict else {}
    if dialect == "openai-responses":  # there a tool that does not say it is made strict
        return {"type": "function", **named, "parameters": said.schema, "strict": said.strict}
    if dialect == "anthropic":
        return {**named, "input_schema": said.schema, **strict}
    if dialect == "gemini":
        return {**named, "parametersJsonSchema": said.schema}
    if dialect == "bedrock-converse":
        return {"toolSpec": {**named, "inputSchema": {"json": said.schema}, **strict}}
    if dialect == "cohere":  # `strict_tools` of the request says it for all
        return {"type": "function", "function": {**named, "parameters": said.schema}}
    return {"type": "function", "function": {**named, "parameters": said.schema, **strict}}
