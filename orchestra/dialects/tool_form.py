"""The schema that one dialect declares for a tool, and how arguments get into its shape and back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias, cast

from orchestra.checks.subschemas import every, mapped
from orchestra.dialects.features import FEATURES
from orchestra.dialects.loose import is_object, mapping, sequence
from orchestra.dialects.tool_drafts import modern
from orchestra.dialects.tool_enforced import ENFORCED
from orchestra.dialects.tool_refs import DEPTH, is_plain, too_deep, with_plain_references
from orchestra.dialects.tool_strict import strict_schema
from orchestra.types import Json

Arguments: TypeAlias = Mapping[str, Json]
Change: TypeAlias = Callable[[Arguments], Arguments]


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

    Raises Unsayable where it is no JSON, or its root is of another type than an object.
    """
    losses: list[str] = []
    root = modern(_shallow(_own(schema), losses))
    boxed = _must_move(root, dialect)
    lenient = tuple(losses)
    if strict and not losses:
        found = _strict(root, dialect, boxed=boxed)
        if isinstance(found, Form):
            return found
        lenient = found
    return _lenient(root, dialect, losses, boxed=boxed)._replace(lenient=lenient)


def gemini_answer(schema: Mapping[str, Json]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A schema for the answer as Gemini knows it, and what it cannot say. Raises Unsayable as `form` does."""
    losses: list[str] = []
    root = modern(_shallow(_own(schema), losses))
    if _refers(root):
        root, definitions = with_plain_references(root, losses, root="root")
        root |= {"$defs": definitions} if definitions else {}
    return _for_gemini(root, losses), tuple(losses)


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


def _own(schema: object) -> dict[str, Any]:
    """A copy in plain JSON, so that what is declared cannot change."""
    if not isinstance(schema, Mapping):
        raise Unsayable(f"its schema must be a JSON object, got {schema!r:.80}")
    try:
        return json.loads(_JSON.encode(schema))
    except RecursionError:
        raise Unsayable("its schema is no JSON: it is nested without end, or far too deeply") from None
    except (TypeError, ValueError) as error:
        raise Unsayable(f"its schema is no JSON: {error}; use only what json.dumps can write") from None


def _plain_object(value: object) -> dict[Any, Any]:
    if isinstance(value, Mapping):
        return dict(cast("Mapping[Any, Any]", value))
    raise TypeError(f"{value!r:.80} is a {type(value).__name__}")


_JSON = json.JSONEncoder(default=_plain_object, allow_nan=False)


def _shallow(schema: dict[str, Any], losses: list[str]) -> dict[str, Any]:
    """The schema cut to DEPTH. Whatever goes through one after this can do so by recursion."""

    def cut(item: Any, at: str, depth: int) -> Any:
        if not is_object(item):
            return item
        if depth > DEPTH:
            losses.append(too_deep(at))
            return {}
        return mapped(item, lambda inner, here: cut(inner, here, depth + 1), at)

    result = cut(schema, "#", 0)
    if _nested_deeper(result, 4 * DEPTH):
        raise Unsayable(f"its schema holds a value nested deeper than {4 * DEPTH} objects and arrays; leave that out")
    return result


def _nested_deeper(value: Any, most: int) -> bool:
    layer = [value]
    while layer and most >= 0:
        layer = [inner for each in layer for inner in (each.values() if is_object(each) else sequence(each))]
        most -= 1
    return bool(layer)


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
    if spelled := _SPELLED.get(dialect):
        schema = spelled(schema, losses)
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


def _with_items(schema: dict[str, Any], _: list[str]) -> dict[str, Any]:
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


def _for_gemini(schema: Any, losses: list[str], at: str = "#") -> Any:
    """The same with what Gemini's JSON Schema knows (google-genai, `response_json_schema`).

    It has objects for schemas, no `$schema`, no `const`, `enum` for texts and numbers only, and nothing may stand
    beside a `$ref`.
    """
    if not is_object(schema):
        return {} if schema else {"not": {}}
    result = mapped(schema, lambda item, here: _for_gemini(item, losses, here), at)
    result.pop("$schema", None)
    if isinstance(rest := schema.get("additionalProperties"), bool):
        result["additionalProperties"] = rest
    _list_values(result, losses, at)
    if "$ref" in result and len(result) > 1:
        reference = {"$ref": result.pop("$ref")}
        if "anyOf" in result:
            result["allOf"] = [*sequence(result.get("allOf")), reference]
        else:
            result["anyOf"] = [reference]
    return result


def _list_values(schema: dict[str, Any], losses: list[str], at: str) -> None:
    """Says a `const` as an `enum` or a type, where that says the same; what neither can say is a loss."""
    if "const" in schema and "enum" not in schema and _listable(schema["const"]):
        schema["enum"] = [schema.pop("const")]
    elif schema.get("const", ...) is None:
        schema.setdefault("type", "null")
    values = [*sequence(schema.get("enum")), schema.get("const")]
    if odd := [value for value in values if value is not None and not _listable(value)]:
        losses.append(f"{at}: {_JSON.encode(odd[0])[:80]} is shown and not enforced, as it is no text or number")


def _listable(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


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


_SPELLED: Mapping[str, Callable[[dict[str, Any], list[str]], Any]] = {
    "openai-chat": _with_items,
    "openai-responses": _with_items,
    "gemini": _for_gemini,
}
