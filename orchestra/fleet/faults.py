"""What pydantic finds wrong, in words: place, value, what is known. A value that may be a secret is never repeated."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args, get_origin

from orchestra.errors import ConfigError
from orchestra.fleet.spelling import known
from orchestra.types import StepRule, from_json

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

    from orchestra.fleet.schema import RulesFile

M = TypeVar("M", bound="BaseModel")


def parse(shape: type[M], data: object, source: str, error: type[ConfigError], *, in_code: bool = False) -> M:
    """`data` as `shape`; raises `error` with every fault, one a line, each beginning with `source` and the place.

    What was made `in_code` is taken as it is: a text is no list of one, a date no text.
    """
    from pydantic import ValidationError

    try:
        return shape.model_validate(data, context=in_code)
    except ValidationError as wrong:
        details = wrong.errors(include_url=False)
    # Raised here, not above: pydantic's own exception quotes the input, and a traceback would show it.
    raise error("\n".join(f"{source}: {_fault(shape, detail)}" for detail in details))


def rules_of(tables: Iterable[Mapping[str, Any]], source: str, error: type[ConfigError]) -> tuple[StepRule, ...]:
    """Rules written as the tables of [[routing.steps]]; raises `error`."""
    from orchestra.fleet.schema import RulesFile

    file: RulesFile = parse(RulesFile, {"rules": list(tables)}, source, error)
    return tuple(from_json(StepRule, rule.model_dump()) for rule in file.rules)


def _fault(shape: type[BaseModel], detail: ErrorDetails) -> str:
    place = ".".join(map(str, detail["loc"]))
    kind, value, told = detail["type"], detail["input"], detail["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        *table, key = detail["loc"]
        where = ".".join(map(str, table)) or "the file"
        return f"{where} has an unknown key {key!r}; {known(str(key), _keys(shape, table))}"
    if kind == "missing":
        return f"{place} is missing"
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", detail.get("ctx", {})["expected"])
        return f"{place} is {shown(value)}; {known(str(value), choices)}"
    if kind == "too_short":
        return f"{place} is an empty list; leave it out, or name at least one"
    if kind == "value_error":
        return f"{place} {told}"
    return f"{place} is {shown(value)}: {told[0].lower()}{told[1:]}"


def _keys(shape: Any, table: list[int | str]) -> Iterable[str]:
    """The keys known at a place of the file."""
    for part in table:
        shape = _bare(shape.model_fields[part].annotation if hasattr(shape, "model_fields") else get_args(shape)[-1])
    return shape.model_fields


def _bare(shape: Any) -> Any:
    """The type within `… | None` and Annotated, which say how it is read."""
    while type(None) in get_args(shape) or get_origin(shape) is Annotated:
        shape = get_args(shape)[0]
    return shape


def shown(value: object) -> str:
    """The value, unless it is long enough to be a key someone put in the wrong place."""
    if isinstance(value, str) and len(value) >= 16:
        return f"a text of {len(value)} characters"
    if isinstance(value, str | int | float | bool):
        return repr(value)
    return f"a {'table' if isinstance(value, Mapping) else type(value).__name__}"
