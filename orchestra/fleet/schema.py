"""The shape of fleet.toml, in pydantic: the edge where strangers write. Imported only while a file is read."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from orchestra.fleet import network
from orchestra.types import EACH, Mode, Period


class Table(BaseModel):
    """A TOML table in which every key is known and no value is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _as_key(value: Any) -> Any:
    return {"key": value} if isinstance(value, str) else value


def _as_text(value: Any) -> Any:
    return value.isoformat()[:10] if isinstance(value, date) else value


def _reference(key: str) -> str:
    if not re.fullmatch(r"env:[A-Za-z_][A-Za-z0-9_]*", key):
        raise ValueError(
            'a key is named, never written: use "env:NAME" with the name of an environment variable; '
            "a literal key is refused"
        )
    return key


def _key_name(key: str) -> str:
    return key if key == EACH else _reference(key).removeprefix("env:")


def _base_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, an unclosed bracket
        parts, usable = urlsplit(""), False
    if not usable:
        raise ValueError('must be a URL such as "http://127.0.0.1:8080/v1"')
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError('must hold no user, password, query or fragment; a secret belongs in keys = ["env:NAME"]')
    return url.rstrip("/")


def _weights(weights: str) -> str:
    if re.fullmatch(r"[0-9a-fA-F]{32,}", weights):
        if len(weights) != 64:
            raise ValueError(f"a sha256 has 64 hexadecimal digits, this has {len(weights)}; else give a path")
        return weights.lower()
    return weights


def _expression(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as fault:
        raise ValueError(f"is no regular expression: {fault}") from None
    return pattern


def _headers(stated: dict[str, str]) -> dict[str, str]:
    return dict(network.header(name, value) for name, value in stated.items())


Name = Annotated[str, Field(min_length=1)]
Names = Annotated[list[Name], BeforeValidator(_as_list)]
Some = Annotated[Names, Field(min_length=1)]
KeyNames = Annotated[list[Annotated[str, AfterValidator(_key_name)]], BeforeValidator(_as_list), Field(min_length=1)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
Headers = Annotated[dict[str, str], AfterValidator(_headers)]
Count = Annotated[int, Field(gt=0)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1)]
Usd = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Day = Annotated[str, BeforeValidator(_as_text), Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]


class KeyTable(Table):
    """A key with its share of the traffic beside the others."""

    key: KeyNames | None = None


class FleetFile(Table):
    """The whole file."""

    fleet: FleetTable = FleetTable()
    models: dict[str, ModelTable] = {}
    providers: dict[str, ProviderTable] = {}
    network: NetworkTable = NetworkTable()
    routing: RoutingTable = RoutingTable()
    budgets: list[BudgetTable] = []


class RulesFile(Table):
    """Rules alone, as StepPolicy takes them."""

    rules: list[RuleTable]
