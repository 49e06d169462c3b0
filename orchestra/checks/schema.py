"""JSON Schema: what is wrong with a value, in words a model can act on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice, zip_longest
from typing import Any

from orchestra.checks.validator import TEXT, additional, quick_of, validator_of
from orchestra.checks.wording import cut, kind, known, listing, place, shown
from orchestra.types import Json

MOST = 10


def violations(schema: Mapping[str, Json], instance: Json) -> tuple[str, ...]:
    """Every way in which `instance` does not fit `schema`, at most ten; empty where it fits.

    Each text names the place, the expectation and the value. Draft 2020-12 unless `$schema` says otherwise; `format`
    is an annotation, as the specification has it; a `pattern` outside of Python's regular expressions is not checked.
    A schema that cannot be used is itself a violation, never an exception, and a remote `$ref` is not fetched.
    """
    try:
        text = TEXT.encode(schema)
        if _fits(text, instance):
            return ()
        validator = validator_of(text)
        if isinstance(validator, str):
            return (validator,)
        lines = dict.fromkeys(line for error in validator.iter_errors(instance) for line in _lines(error))
        found = tuple(islice(lines, MOST))
        return found if len(lines) <= MOST else (*found, f"… and {len(lines) - MOST} more")
    except RecursionError:
        return ("the value or its schema is nested without end",)
    except Exception as error:  # noqa: BLE001  # strangers write schemas; referencing and re raise their own errors
        return (f"the schema itself cannot be used: {cut(str(error), 200)}",)


def _fits(schema_text: str, instance: Json) -> bool:
    try:
        return quick_of(schema_text)(instance)
    except (TypeError, ValueError):  # values that only count as JSON here: tuples, other mappings
        return False


_EXPECTED: dict[str, str] = {
    "type": "{}",
    "enum": "one of {}",
    "const": "{}",
    "pattern": "text that matches the pattern {}",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "minProperties": "at least {} properties",
    "maxProperties": "at most {} properties",
    "uniqueItems": "no item twice",
}


def _lines(error: Any) -> Iterable[str]:
    special = _SPECIAL.get(error.validator)
    if special is not None:
        return special(error)
    where = place(error.absolute_path)
    if (expected := _EXPECTED.get(error.validator)) is None:
        return (f"{where}: {cut(error.message, 200)}",)
    text = expected.format(_wanted(error.validator, error.validator_value))
    return (f"{where}: expected {text}, got {shown(error.instance)}{_hint(error)}",)


def _wanted(keyword: str, value: Any) -> str:
    if keyword == "enum":
        return listing([shown(item) for item in value])
    if keyword == "type":
        return " or ".join([value] if isinstance(value, str) else value)
    return value if keyword == "pattern" else shown(value)


def _hint(error: Any) -> str:
    if error.validator == "type":
        return f" ({kind(error.instance)})"
    if error.validator == "enum" and isinstance(error.instance, str):
        near = known(error.instance, [item for item in error.validator_value if isinstance(item, str)])
        return f"; {near.split(';')[0]}" if near.startswith("nearest") else ""
    return ""


def _required(error: Any) -> Iterable[str]:
    missing = [name for name in error.validator_value if name not in error.instance]
    return [f"{place([*error.absolute_path, name])}: required, but not given" for name in missing]


def _additional(error: Any) -> Iterable[str]:
    properties: Sequence[str] = list(error.schema.get("properties", {}))
    extra = additional(error.schema, error.instance)
    near = [f"; {known(name, properties)}" for name in extra[:MOST]]  # no more lines are told
    return [
        f"{place([*error.absolute_path, name])}: no such property{told}"
        for name, told in zip_longest(extra, near, fillvalue="")
    ]


def _alternatives(error: Any) -> Iterable[str]:
    where = place(error.absolute_path)
    if not error.context:
        return (f"{where}: fits more than one of the alternatives, expected exactly one",)
    branches: dict[Any, list[Any]] = {}
    for part in error.context:
        branches.setdefault(part.relative_schema_path[0], []).append(part)
    near = [parts for parts in branches.values() if not _other_type(parts)]
    if not near:
        types = dict.fromkeys(_wanted("type", parts[0].validator_value) for parts in branches.values())
        return (f"{where}: expected {' or '.join(types)}, got {shown(error.instance)} ({kind(error.instance)})",)
    closest = min(near, key=len)
    return [line for part in closest for line in _lines(part)]


def _other_type(parts: Sequence[Any]) -> bool:
    return any(part.validator == "type" and not part.relative_path for part in parts)


_SPECIAL: dict[str, Callable[[Any], Iterable[str]]] = {
    "required": _required,
    "additionalProperties": _additional,
    "anyOf": _alternatives,
    "oneOf": _alternatives,
}
