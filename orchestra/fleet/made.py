"""What was made in code instead of read from a file is held to the rules of fleet.toml."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, fields
from typing import TYPE_CHECKING, Any, cast

from orchestra.errors import FleetError
from orchestra.fleet.breaker_policy import BreakerPolicy
from orchestra.fleet.faults import parse, shown
from orchestra.fleet.network import Network
from orchestra.types import Capabilities, Deployment, Match, ModelCard, Price, StepRule, Timeouts

if TYPE_CHECKING:
    from orchestra.fleet.fleet import Fleet

_PARTS: Mapping[str, type] = {
    "price": Price,
    "capabilities": Capabilities,
    "timeouts": Timeouts,
    "match": Match,
    "breaker": BreakerPolicy,
}

_KINDS: Mapping[str, type] = {"models": Mapping, "providers": Mapping, "rules": Sequence, "budgets": Sequence}


def check_values(fleet: Fleet) -> None:
    """Raises FleetError with every value that could not stand in a file either, each with its place."""
    from orchestra.fleet.fleet import ProviderLimits
    from orchestra.fleet.schema import FleetValues

    try:
        _check_kinds(fleet)
        _check_names(fleet)
        said = {
            "tiers": fleet.tiers,
            "models": _tables(fleet.models.items(), ModelCard, "models"),
            "providers": _tables(fleet.providers.items(), ProviderLimits, "providers"),
            "mode": fleet.mode,
            "rules": [*_tables(enumerate(fleet.rules), StepRule, "rules").values()],
            "network": _table(fleet.network, Network, "network"),
        }
    except _WrongKind as wrong:
        fault = str(wrong)
    else:
        parse(FleetValues, said, fleet.source, FleetError, in_code=True)
        return
    raise FleetError(f"{fleet.source}: {fault}")


class _WrongKind(Exception):
    """A part of another type than it has to be: there is no table to make of it."""


def _check_kinds(fleet: Fleet) -> None:
    for name, kind in _KINDS.items():
        if not isinstance(held := getattr(fleet, name), kind) or isinstance(held, str):
            wanted = "a dict by name" if kind is Mapping else "a tuple"
            raise _WrongKind(f"{name} is {'None' if held is None else shown(held)}; give {wanted}")


def _check_names(fleet: Fleet) -> None:
    for name, limits in fleet.providers.items():
        if (theirs := getattr(limits, "name", name)) != name:
            raise _WrongKind(f"providers.{name} has the limits of {theirs!r}; give both one name")


def _tables(values: Iterable[tuple[str | int, object]], kind: type, place: str) -> dict[str | int, dict[str, Any]]:
    return {name: _table(value, kind, f"{place}.{name}") for name, value in values}


def _table(value: object, kind: type, place: str) -> dict[str, Any]:
    """What a value says that it would not have by itself, as a table of the file would."""
    if not isinstance(value, kind):
        raise _WrongKind(f"{place} is {shown(value)}; give a {kind.__name__}")
    said: dict[str, Any] = {}
    for field in fields(cast("Any", value)):
        stated, where = getattr(value, field.name), f"{place}.{field.name}"
        if (default := _default(field)) is not MISSING and stated == default:
            continue
        if stated is None and "None" not in str(field.type):
            raise _WrongKind(f"{where} is None; leave it out, or give a {field.type}")
        said[field.name] = _plain(stated, field.name, where)
    return said


def _plain(value: Any, name: str, place: str) -> Any:
    if name in _PARTS and value is not None:
        return _table(value, _PARTS[name], place)
    if name == "deployments" and isinstance(value, Iterable) and not isinstance(value, str):
        return [*_tables(enumerate(cast("Iterable[object]", value)), Deployment, place).values()]
    return value


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()
