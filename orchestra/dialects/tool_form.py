"""The schema that one dialect declares for a tool, and how arguments get into its shape and back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias, cast

from orchestra.dialects.features import FEATURES
from orchestra.dialects.loose import is_object, mapping, sequence
from orchestra.dialects.subschemas import every, mapped
from orchestra.dialects.tool_drafts import modern
from orchestra.dialects.tool_enforced import ENFORCED
from orchestra.dialects.tool_refs import is_plain, with_plain_references
from orchestra.dialects.tool_strict import strict_schema
from orchestra.types import Json

Arguments: TypeAlias = Mapping[str, Json]
Change: TypeAlias = Callable[[Arguments], Arguments]
DEPTH = 64  # schemas in one another; values nested deeper than that are refused anyway


class Unsayable(ValueError):
    """No declaration can be made of the schema; the text says why, and what to do."""


class Form(NamedTuple):
    """A schema as one dialect declares it; `lenient` says why the provider does not enforce it.

    `losses` is what it can no longer say, `counts` what the limits for strict tools apply to.
    """

    schema: dict[str, Any]
    encode: Change
    decode: Change
    losses: tuple[str, ...] = ()
    strict: bool = False
    lenient: tuple[str, ...] = ()
    counts: Mapping[str, int] = MappingProxyType({})


def form(schema: Mapping[str, Json], dialect: str, *, strict: bool) -> Form:
    """The schema for one dialect; with `strict` as the provider enforces it, where it can.

    Raises Unsayable where it is no JSON, or where no object can fit it.
    """
    losses: list[str] = []
    root = _shallow(modern(_own(schema)), losses)
    boxed = _must_move(root, dialect)
    lenient = tuple(losses)
    if strict and not losses:
        found = _strict(root, dialect, boxed=boxed)
        if isinstance(found, Form):
            return found
        lenient = found
    return _lenient(root, dialect, losses, boxed=boxed)._replace(lenient=lenient)


def _strict(root: dict[str, Any], dialect: str, *, boxed: bool) -> Form | tuple[str, ...]:
    """The schema as the provider enforces it, or why it cannot."""
    rules = ENFORCED.get(dialect)
    if rules is None:
        return (f"{FEATURES[dialect].title} enforces no schemas of tools",)
    losses: list[str] = []
    found = strict_schema(*_plain(root, losses, boxed=boxed), rules)
    if losses or found.faults:
        return (*losses, *found.faults)
    encode, decode = (found.nulls.encode, found.nulls.decode) if rules.all_required else (_as_is, _as_is)
    if boxed:
        encode, decode = _after(_box, encode), _after(decode, _unbox)
    return Form(found.schema, encode, decode, strict=True, counts=found.counts)


_BOX = "arguments"
# At the root these are refused, or they hide whether the root is an object at all.
_NOT_AT_ROOT = frozenset({"anyOf", "oneOf", "allOf", "not", "if", "enum", "const", "$ref", "$dynamicRef"})
# "tools.0.custom.input_schema.properties: Property keys should match pattern …", at the root only.
_KEYS = {dialect: re.compile(r"[a-zA-Z0-9_.-]{1,64}") for dialect in ("anthropic", "bedrock-converse")}
_JSON = json.JSONEncoder(default=dict, allow_nan=False)


def _own(schema: object) -> dict[str, Any]:
    """A copy in plain JSON, so that what is declared cannot change."""
    if not isinstance(schema, Mapping):
        raise Unsayable(f"its schema must be a JSON object, got {schema!r:.80}")
    try:
        return json.loads(_JSON.encode(schema))
    except (TypeError, ValueError, RecursionError) as error:
        raise Unsayable(f"its schema is no JSON: {error}; use only what json.dumps can write") from None


def _shallow(schema: dict[str, Any], losses: list[str]) -> dict[str, Any]:
    def cut(item: Any, at: str, depth: int) -> Any:
        if not is_object(item):
            return item
        if depth > DEPTH:
            losses.append(f"{at[:80]}…: nested deeper than {DEPTH} schemas; any value is declared")
            return {}
        return mapped(item, lambda inner, here: cut(inner, here, depth + 1), at)

    return cut(schema, "#", 0)


def _must_move(root: dict[str, Any], dialect: str) -> bool:
    """Whether the root must stand under `arguments`."""
    kinds = root.get("type", "object")
    if "object" not in ([kinds] if isinstance(kinds, str) else sequence(kinds)):
        raise Unsayable(
            f"its schema's root has type {kinds!r}, but arguments are always an object; "
            'use {"type": "object", "properties": {…}} and put the value under a property'
        )
    keys = _KEYS.get(dialect)
    odd = keys is not None and not all(map(keys.fullmatch, mapping(root.get("properties"))))
    return odd or bool(_NOT_AT_ROOT & root.keys())


def _lenient(root: dict[str, Any], dialect: str, losses: list[str], *, boxed: bool) -> Form:
    """The schema as the model is shown it, untouched where that is possible."""
    if boxed or not is_plain(root) or (dialect == "gemini" and _refers(root)):
        name = "root" if dialect == "gemini" else ""  # it knows references to definitions only
        schema, definitions = _plain(root, losses, boxed=boxed, name=name)
        schema |= {"$defs": definitions} if definitions else {}
    else:
        schema = _object(root)
    spelled = _SPELLED.get(dialect, _as_is)
    schema = cast("dict[str, Any]", spelled(schema))
    return Form(schema, _box if boxed else _as_is, _unbox if boxed else _as_is, tuple(losses))


def _plain(
    root: dict[str, Any], losses: list[str], *, boxed: bool, name: str = ""
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schema with plain references, an object at the root, and its definitions."""
    root = {key: value for key, value in root.items() if key != "$schema"}
    schema, definitions = with_plain_references(root, losses, root=_BOX if boxed else name)
    if not boxed:
        return _object(schema), definitions
    inner = {"$ref": f"#/$defs/{_BOX}"} if _BOX in definitions else schema
    box = {"type": "object", "properties": {_BOX: inner}, "required": [_BOX], "additionalProperties": False}
    return box, definitions


def _object(schema: dict[str, Any]) -> dict[str, Any]:
    # Arguments are always an object, so saying so (and that no property is named) narrows nothing.
    return {**schema, "type": "object", "properties": schema.get("properties", {})}


def _refers(schema: dict[str, Any]) -> bool:
    return any("$ref" in part for part in every(schema))


def _with_items(schema: dict[str, Any]) -> dict[str, Any]:
    """OpenAI refuses arrays without `items`; a schema of anything says what leaving it out says."""
    if any("unevaluatedItems" in part for part in every(schema)):  # these would all count as evaluated
        return schema
    return _itemised(schema)


def _itemised(schema: Any) -> Any:
    if not is_object(schema):
        return schema
    result = mapped(schema, lambda item, _: _itemised(item))
    kinds = schema.get("type")
    if "array" in ([kinds] if isinstance(kinds, str) else sequence(kinds)):
        result.setdefault("items", {})
    return result


def _for_gemini(schema: Any) -> Any:
    """The same with what Gemini's JSON Schema knows (google-genai, `response_json_schema`).

    It has objects for schemas, no `$schema`, no `const`, and nothing may stand beside a `$ref`.
    """
    if not is_object(schema):
        return {} if schema else {"not": {}}
    result = mapped(schema, lambda item, _: _for_gemini(item))
    result.pop("$schema", None)
    if isinstance(rest := schema.get("additionalProperties"), bool):
        result["additionalProperties"] = rest
    if (
        "enum" not in result
        and isinstance(result.get("const"), str | int | float)
        and not isinstance(result["const"], bool)
    ):
        result["enum"] = [result.pop("const")]
    if "$ref" in result and len(result) > 1:
        reference = {"$ref": result.pop("$ref")}
        if "anyOf" in result:
            result["allOf"] = [*sequence(result.get("allOf")), reference]
        else:
            result["anyOf"] = [reference]
    return result


def _as_is(value: Any) -> Any:
    return value


def _box(arguments: Arguments) -> Arguments:
    return {_BOX: arguments}


def _unbox(arguments: Arguments) -> Arguments:
    inner: Any = arguments.get(_BOX)
    # A model that forgot the box is understood; its arguments are judged against the original schema anyway.
    return cast("Arguments", inner) if len(arguments) == 1 and isinstance(inner, Mapping) else arguments


def _after(first: Change, then: Change) -> Change:
    return lambda arguments: then(first(arguments))


_SPELLED: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "openai-chat": _with_items,
    "openai-responses": _with_items,
    "gemini": _for_gemini,
}
