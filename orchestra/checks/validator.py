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
from typing import Any, cast
from urllib.parse import urlsplit

from orchestra.checks.wording import cut, known, place
from orchestra.types import Json


def schema_fault(schema: Mapping[str, Json]) -> str:
    """Where and why `schema` is no JSON Schema, such as `at #/properties/a/type: …`; "" where it is one.

    The place is a JSON pointer. A reference that leads nowhere inside the schema is a fault: none is fetched.
    """
    try:
        return _fault(schema)
    except RecursionError:  # of jsonschema and referencing, at about a hundred schemas in one another
        return "at #: nested without end, or too deeply to be checked"


def _fault(schema: Mapping[str, Json]) -> str:
    from jsonschema import exceptions

    draft = draft_of(schema)
    error: Any = cast(Any, exceptions).best_match(draft(draft.META_SCHEMA).iter_errors(schema))
    if error is None:
        return next(_misled(schema, draft), "")
    path = list(error.absolute_path)
    if path[-1:] == ["type"] and error.validator == "anyOf":  # not where a property of this name has no schema
        return f"at {_pointer(path)}: {cut(repr(error.instance))} is no type; {known(str(error.instance), _TYPES)}"
    return f"at {_pointer(path)}: {cut(error.message, 200)}"


def draft_of(schema: Json) -> Any:
    """The class of jsonschema for the draft that `$schema` names; else for the newest in which the schema is valid.

    So a schema that says no draft is read as 2020-12, unless it holds what only older ones know, a list of `items` say.
    """
    from jsonschema import validators

    drafts = cast(Any, validators)
    if isinstance(schema, Mapping) and isinstance(schema.get("$schema"), str):
        return drafts.validator_for(schema, default=drafts.Draft202012Validator)
    for draft in (drafts.Draft202012Validator, drafts.Draft7Validator, drafts.Draft4Validator):
        if draft(draft.META_SCHEMA).is_valid(schema):
            return draft
    return drafts.Draft202012Validator


@lru_cache(maxsize=512)
def validator_of(schema_text: str) -> Any:
    """The validator, or the text that says why there is none. Keyed by content, so no schema goes stale."""
    from jsonschema import SchemaError, validators
    from referencing import Registry

    schema: Any = json.loads(schema_text)
    draft = draft_of(schema)
    try:
        draft.check_schema(schema, format_checker=None)  # the formats of a schema are its patterns, see _pattern
    except SchemaError as error:
        return f"the schema itself is not valid: {place(error.absolute_path)}: {cut(error.message, 200)}"
    types = draft.TYPE_CHECKER.redefine_many({"object": _is_object, "array": _is_array})
    checked = cast(Any, validators).extend(draft, {"pattern": _pattern}, type_checker=types)
    return checked(schema, registry=cast(Any, Registry)())  # the default registry fetches what it does not know


@lru_cache(maxsize=512)
def quick_of(schema_text: str) -> Callable[[object], bool]:
    """Says True only of values that fit; False may mean anything. Never raises where the value is JSON."""
    if (engine := _engine()) is None:
        return _never
    schema: Any = json.loads(schema_text)
    try:
        draft = draft_of(schema)
        if isinstance(schema, dict) and next(_misled(cast("dict[str, Json]", schema), draft), ""):
            return _never  # it takes anything where a reference leads to itself
        return getattr(engine, draft.__name__)(schema, validate_formats=False, offline=True).is_valid
    except (AttributeError, ValueError):  # a draft or a schema that it does not take
        return _never


@cache
def _engine() -> Any:
    try:
        return import_module("jsonschema_rs")
    except ImportError:
        return None


def _never(_: object) -> bool:
    return False


_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")


def _misled(schema: Mapping[str, Json], draft: Any) -> Iterator[str]:
    """Where references lead nowhere, or back to themselves."""
    from referencing import Registry
    from referencing.jsonschema import specification_with

    specification = specification_with(draft.META_SCHEMA.get("$schema") or draft.META_SCHEMA["id"])
    root = specification.create_resource(cast(Any, schema))
    try:
        resolver = cast(Any, Registry)().with_resource(root.id() or "", root).resolver_with_root(root)
        for reference, why in _astray(root, resolver, set()):
            yield f"at {next(_named(schema, reference))}: {cut(reference)!r} leads {why}"
    except ValueError as error:  # of urllib, which takes an identity apart
        yield f"at {next(_named(schema, None), '#')}: {error}; give a URI, or leave it out"


def _astray(resource: Any, resolver: Any, sound: set[int]) -> Iterator[tuple[str, str]]:
    reference = _reference(resource.contents)
    if reference is not None and (why := _end(reference, resolver, sound)):
        yield reference, why
    for inner in resource.subresources():
        yield from _astray(inner, resolver.in_subresource(inner), sound)


def _end(reference: str | None, resolver: Any, sound: set[int]) -> str:
    """How following a reference goes wrong; "" where it does not, and what it led to is `sound` from then on."""
    from referencing.exceptions import Unresolvable

    met: set[int] = set()
    while reference is not None:
        try:
            found = resolver.lookup(reference)
        except Unresolvable:
            return "nowhere in the schema; put what it names under $defs"
        if id(found.contents) in met:
            return "back to itself, so no value can be held to it"
        if id(found.contents) in sound:
            break
        met.add(id(found.contents))
        reference, resolver = _reference(found.contents), found.resolver
    sound |= met
    return ""


def _reference(schema: object) -> str | None:
    found = cast("Mapping[str, object]", schema).get("$ref") if isinstance(schema, Mapping) else None
    return found if isinstance(found, str) else None


def _named(value: object, name: str | None, above: tuple[str | int, ...] = ()) -> Iterator[str]:
    """Where a reference stands in a schema; without a name, where a reference or an identity is no URI."""
    if isinstance(value, str) and (value == name and above[-1:] == ("$ref",) if name else _is_no_uri(above, value)):
        yield _pointer(above)
    items: Iterable[tuple[str | int, object]] = ()
    if isinstance(value, Mapping):
        items = cast("Mapping[str, object]", value).items()
    elif isinstance(value, Sequence) and not isinstance(value, str):
        items = enumerate(cast("Sequence[object]", value))
    for key, item in items:
        yield from _named(item, name, (*above, key))


def _is_no_uri(place: tuple[str | int, ...], text: str) -> bool:
    if place[-1:] not in (("$id",), ("id",), ("$ref",)):
        return False
    try:
        urlsplit(text)
    except ValueError:
        return True
    return False


def _pointer(path: Sequence[str | int]) -> str:
    return "".join(["#", *("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)])


def _is_object(_: object, value: object) -> bool:
    return isinstance(value, Mapping)


def _is_array(_: object, value: object) -> bool:
    return isinstance(value, list | tuple)


def _pattern(validator: Any, pattern: str, instance: Any, _: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if not validator.is_type(instance, "string"):
        return
    try:
        matches = re.search(pattern, instance)
    except re.error:  # ECMA 262 knows more than Python; an unreadable pattern must not make the tool unusable
        return
    if matches is None:
        yield ValidationError("pattern")
