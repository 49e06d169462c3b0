"""Which JSON Schema holds: the draft a schema is of, what is wrong with it, and the validators made of it.

jsonschema finds the faults and words them. Where jsonschema-rs is installed it is asked first, since it says of an
argument that fits in a tenth of the time that it does; whatever it refuses is jsonschema's to judge.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from importlib import import_module
from math import isfinite
from typing import Any, cast

from orchestra.checks.drafts import DRAFTS, draft_name, unsupported, without
from orchestra.checks.patterns import search
from orchestra.checks.references import is_uri, misled, pointer
from orchestra.checks.subschemas import mapped
from orchestra.checks.wording import cut, known, place
from orchestra.types import Json


def schema_fault(schema: Mapping[str, Json]) -> str:
    """Where and why `schema` is no JSON Schema, such as `at #/properties/a/type: …`; "" where it is one.

    The place is a JSON pointer. A reference that leads nowhere inside the schema is a fault: none is fetched.
    """
    try:
        return _no_json(schema) or _fault(TEXT.encode(schema))
    except RecursionError:  # of jsonschema and referencing, at about a hundred schemas in one another
        return "at #: nested without end, or too deeply to be checked"


def arguments_fault(schema: object) -> str:
    """As `schema_fault`, and where the schema is none of an object, which the arguments of a tool always are."""
    if not isinstance(schema, Mapping):
        return f"at #: the schema is {type(schema).__name__}; expected an object of JSON Schema"
    given = cast("Mapping[str, Json]", schema)
    if fault := schema_fault(given):
        return fault
    kinds = given.get("type", "object")
    if kinds != "object" and not (isinstance(kinds, list) and "object" in kinds):
        return f"at #/type: {cut(repr(kinds))}; arguments are always an 'object'"
    return ""


def _no_json(schema: Mapping[str, Json]) -> str:
    try:
        _STRICT.encode(schema)
    except (TypeError, ValueError):
        path, value = next(_foreign(schema), ((), schema))
        return f"at {pointer(path)}: {cut(repr(value))} is no JSON; use only what json.dumps can write"
    return ""


def _fault(text: str) -> str:
    schema: Any = json.loads(text)
    if draft := unsupported(schema):
        return f"at #/$schema: {draft} is not supported; known: {', '.join(DRAFTS)}"
    for where in _misnamed(schema):
        return f"at {where}: no URI; give one, or leave it out"
    if (error := _error(text)) is None:
        return next(misled(schema, draft_of(schema)), "")
    path = list(error.absolute_path)
    if path[-1:] == ["type"] and error.validator == "anyOf":  # not where a property of this name has no schema
        return f"at {pointer(path)}: {cut(repr(error.instance))} is no type; {known(str(error.instance), _TYPES)}"
    return f"at {pointer(path)}: {cut(error.message, 200)}"


@lru_cache(maxsize=512)
def _error(schema_text: str) -> Any:
    """The best word of jsonschema on why this is no schema, None where it is one; annotations may hold anything."""
    from jsonschema import exceptions

    schema: Any = json.loads(schema_text)
    draft = draft_of(schema)
    read = without(schema, _ANNOTATIONS)
    return cast(Any, exceptions).best_match(draft(draft.META_SCHEMA).iter_errors(read))


def draft_of(schema: Json) -> Any:
    """The class of jsonschema for the schema's draft."""
    from jsonschema import validators

    return getattr(validators, _CLASSES[DRAFTS.index(draft_name(schema))])


@lru_cache(maxsize=512)
def validator_of(schema_text: str) -> Any:
    """The validator, or the text that says why there is none. Keyed by content, so no schema goes stale."""
    from jsonschema import validators
    from referencing import Registry

    schema: Any = json.loads(schema_text)
    if name := unsupported(schema):
        return f"the schema itself cannot be used: {name} is not supported"
    draft = draft_of(schema)
    if (error := _error(schema_text)) is not None:
        return f"the schema itself is not valid: {place(error.absolute_path)}: {cut(error.message, 200)}"
    types = draft.TYPE_CHECKER.redefine_many({"object": _is_object, "array": _is_array})
    checked = cast(Any, validators).extend(draft, _PATTERNED, type_checker=types)
    schema = without(schema, _NAMES_DRAFT)
    return checked(schema, registry=cast(Any, Registry)())  # the default registry fetches what it does not know


@lru_cache(maxsize=512)
def quick_of(schema_text: str) -> Callable[[object], bool]:
    """Says True only of values that fit; False may mean anything. Never raises where the value is JSON."""
    if (engine := _engine()) is None:
        return _never
    schema: Any = json.loads(schema_text)
    try:
        draft = draft_of(schema)
        if isinstance(schema, dict) and _unusable(cast("dict[str, Json]", schema), draft):
            return _never
        schema = without(schema, _NAMES_DRAFT)
        return getattr(engine, draft.__name__)(schema, validate_formats=False, offline=True).is_valid
    except (AttributeError, ValueError):  # a draft or a schema that it does not take
        return _never


def _unusable(schema: dict[str, Json], draft: Any) -> bool:
    """Whether the quick engine must not be asked: it takes anything where a reference leads to itself."""
    named = schema.get("$schema", "")  # it is not told the draft's name, so it would not mind
    return not isinstance(named, str) or bool(unsupported(schema) or next(misled(schema, draft), ""))


@cache
def _engine() -> Any:
    try:
        return import_module("jsonschema_rs")
    except ImportError:
        return None


def _never(_: object) -> bool:
    return False


def _plain_object(value: object) -> dict[Any, Any]:
    if isinstance(value, Mapping):
        return dict(cast("Mapping[Any, Any]", value))
    raise TypeError


TEXT = json.JSONEncoder(default=_plain_object)  # json.dumps would build one for every call
_STRICT = json.JSONEncoder(default=_plain_object, allow_nan=False)
_CLASSES = (
    "Draft4Validator", "Draft6Validator", "Draft7Validator", "Draft201909Validator", "Draft202012Validator",
)  # fmt: skip
_ANNOTATIONS = frozenset({"$comment", "deprecated", "examples", "readOnly", "writeOnly"})
_NAMES_DRAFT = frozenset({"$schema"})  # one schema is of one draft; jsonschema would change it inside
_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")


def _foreign(value: object, above: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], object]]:
    """What is no JSON, and where."""
    if isinstance(value, Mapping):
        for key, item in cast("Mapping[Any, object]", value).items():
            if key is None or isinstance(key, str | int | float):
                yield from _foreign(item, (*above, str(key)))
            else:
                yield above, key
    elif isinstance(value, list | tuple):
        for index, item in enumerate(cast("Sequence[object]", value)):
            yield from _foreign(item, (*above, index))
    elif not (isfinite(value) if isinstance(value, float) else value is None or isinstance(value, str | int)):
        yield above, value


def _misnamed(schema: Any, at: str = "#") -> list[str]:
    """Where a `$schema` is no URI, over which jsonschema would raise."""
    if not isinstance(schema, dict):
        return []
    given = cast("dict[str, Any]", schema)
    named = given.get("$schema")
    found = [f"{at}/$schema"] if isinstance(named, str) and not is_uri(named) else []
    mapped(given, lambda item, here: found.extend(_misnamed(item, here)), at)
    return found


def _is_object(_: object, value: object) -> bool:
    return isinstance(value, Mapping)


def _is_array(_: object, value: object) -> bool:
    return isinstance(value, list | tuple)


def _pattern(validator: Any, pattern: str, instance: Any, _: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if not validator.is_type(instance, "string"):
        return
    try:
        found = search(pattern, instance)
    except re.error:  # ECMA 262 knows more than Python; an unreadable pattern must not make the tool unusable
        return
    if not found:
        yield ValidationError("pattern")


def _pattern_properties(validator: Any, patterns: Mapping[str, Any], instance: Any, _: Any) -> Iterator[Any]:
    if validator.is_type(instance, "object"):
        for pattern, schema in patterns.items():
            for name in [one for one in instance if search(pattern, one)]:
                yield from validator.descend(instance[name], schema, path=name, schema_path=pattern)


def _additional_properties(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if not validator.is_type(instance, "object"):
        return
    extra = additional(schema, instance)
    if validator.is_type(wanted, "object"):
        for name in extra:
            yield from validator.descend(instance[name], wanted, path=name)
    elif not wanted and extra:
        yield ValidationError("additionalProperties")


def additional(schema: Mapping[str, Any], instance: Iterable[str]) -> list[str]:
    """The properties of which the schema says nothing but what holds for additional ones."""
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    return [name for name in instance if name not in named and not any(search(pattern, name) for pattern in patterns)]


# jsonschema's own would search with `re`, which a stranger's pattern may keep busy for ever, and does so for
# `unevaluatedProperties`.
_PATTERNED = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
}
