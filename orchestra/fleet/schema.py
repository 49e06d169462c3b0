"""The shape of fleet.toml, in pydantic: the edge where strangers write. Imported only while a file is read."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal, cast
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationInfo

from orchestra.fleet import network
from orchestra.types import EACH, Mode, Period


class Table(BaseModel):
    """A TOML table in which every key is known and no value is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _as_list(value: Any, info: ValidationInfo) -> Any:
    if info.context:  # made in code
        return list(cast("tuple[Any, ...]", value)) if isinstance(value, tuple) else value
    return [value] if isinstance(value, str) else value


def _as_key(value: Any) -> Any:
    return {"key": value} if isinstance(value, str) else value


def _as_text(value: Any, info: ValidationInfo) -> Any:
    if info.context:
        return value
    return value.isoformat()[:10] if isinstance(value, date) else value


def _day(text: str) -> str:
    try:
        date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"is {text!r}, which is no day; write it as 2027-01-31") from None
    return text


def _model_name(name: str) -> str:
    if not name.strip():
        raise ValueError(f"is {name!r}; give the model a name")
    return name


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
        parts = urlsplit("" if re.search(r"\s", url) else url)  # it drops some white space, a transport does not
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, an unclosed bracket
        parts, usable = urlsplit(""), False
    if not usable:
        raise ValueError('must be a URL such as "http://127.0.0.1:8080/v1"')
    if "@" in parts.netloc or parts.fragment or not _VERSION.fullmatch(parts.query):
        raise ValueError(
            "must hold no user, password, query or fragment, but Azure's ?api-version=…; "
            'a secret belongs in keys = ["env:NAME"]'
        )
    base, _, version = url.partition("?")
    return f"{base.rstrip('/')}?{version}" if version else base.rstrip("/")


_VERSION = re.compile(r"(?:api-version=[\w.-]+)?", re.ASCII)


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
ModelName = Annotated[str, AfterValidator(_model_name)]
Names = Annotated[list[Name], BeforeValidator(_as_list)]
Some = Annotated[Names, Field(min_length=1)]
KeyNames = Annotated[list[Annotated[str, AfterValidator(_key_name)]], BeforeValidator(_as_list), Field(min_length=1)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
Headers = Annotated[dict[str, str], AfterValidator(_headers)]
Count = Annotated[int, Field(gt=0)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1)]
Usd = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Day = Annotated[str, BeforeValidator(_as_text), Field(pattern=r"^\d{4}-\d{2}-\d{2}$"), AfterValidator(_day)]


class KeyTable(Table):
    """A key with its share of the traffic beside the others."""

    key: Annotated[str, AfterValidator(_reference)]
    weight: Positive = 1.0


Keys = Annotated[list[Annotated[KeyTable, BeforeValidator(_as_key)]], BeforeValidator(_as_list)]


class EndpointTable(Table):
    """[[models.X.endpoints]]: what is left out is as the model has it."""

    base_url: BaseUrl | None = None
    keys: Keys | None = None
    regions: Names | None = None
    weight: Positive = 1.0


class PriceTable(Table):
    """USD per million tokens."""

    input: Usd
    output: Usd
    cached_input: Usd | None = None
    cache_write: Usd | None = None


class TimeoutsTable(Table):
    """Seconds."""

    connect: Positive | None = None
    first_token: Positive | None = None
    chunk: Positive | None = None
    total: Positive | None = None


class CapabilitiesTable(Table):
    """What differs from the built-in card."""

    tools: Literal["native", "json", "none"] | None = None
    parallel_tools: bool | None = None
    structured_output: bool | None = None
    images: bool | None = None
    documents: bool | None = None
    logprobs: bool | None = None
    streaming: bool | None = None
    reasoning_effort: bool | None = None
    temperature: bool | None = None
    stop: bool | None = None
    think_tags: bool | None = None


class ModelTable(Table):
    """[models.X]."""

    model: ModelName | None = None
    provider: Name | None = None
    dialect: Name | None = None
    tier: Name | None = None
    base_url: BaseUrl | None = None
    price: PriceTable | None = None
    window: Count | None = None
    max_output: Count | None = None
    capabilities: CapabilitiesTable | None = None
    quality: Annotated[float, Field(ge=0, le=1)] | None = None
    speed: Positive | None = None
    prompt_speed: Positive | None = None
    tags: Names | None = None
    regions: Names | None = None
    version: Name | None = None
    deprecated: Day | None = None
    keys: Keys | None = None
    endpoints: list[EndpointTable] = []
    timeouts: TimeoutsTable | None = None
    weights: Annotated[Name, AfterValidator(_weights)] | None = None
    concurrency: Count | None = None


class BreakerTable(Table):
    """[providers.X.breaker]; seconds, calls, and shares of the calls."""

    window: Positive | None = None
    minimum: Count | None = None
    error_rate: Share | None = None
    slow_rate: Share | None = None
    slow: Positive | None = None
    opens: Positive | None = None
    longest: Positive | None = None
    probes: Count | None = None


class LimitsTable(Table):
    """Of [providers.X] what it allows each key."""

    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    requests_per_day: Count | None = None
    tokens_per_day: Count | None = None
    breaker: BreakerTable = BreakerTable()


class ProviderTable(LimitsTable):
    """[providers.X]."""

    dialect: Name | None = None
    base_url: BaseUrl | None = None
    keys: Keys | None = None
    headers: Headers = {}


class NetworkTable(Table):
    """[network]."""

    proxy: Annotated[str, AfterValidator(network.proxy)] | None = None
    ca: Name | None = None
    keep_alive: Positive | None = None
    headers: Headers = {}


class MatchTable(Table):
    """match = { … } of a rule."""

    kind: Some = []
    name: Some = []
    tools: Some = []
    tags: Some = []
    contains: Some = []
    matches: Annotated[
        list[Annotated[str, AfterValidator(_expression)]], BeforeValidator(_as_list), Field(min_length=1)
    ] = []
    metadata: dict[str, JsonValue] = {}
    tokens_over: Annotated[int, Field(ge=0)] | None = None
    tokens_under: Count | None = None
    code: bool | None = None


class RuleTable(Table):
    """[[routing.steps]]."""

    match: MatchTable = MatchTable()
    tier: Name | None = None
    prefer: Some = []
    escalate: Some = []
    mode: Mode | None = None
    max_tokens: Count | None = None
    reasoning_effort: Literal["low", "medium", "high"] | None = None


class RoutingTable(Table):
    """[routing]."""

    mode: Mode = "balanced"
    steps: list[RuleTable] = []


class BudgetMatchTable(Table):
    """match = { … } of a budget; "*" is each value by itself."""

    tenant: Some | None = None
    feature: Some | None = None
    step: Some | None = None
    model: Some | None = None
    key: KeyNames | None = None


class BudgetTable(Table):
    """[[budgets]]."""

    match: BudgetMatchTable = BudgetMatchTable()
    usd: Usd
    per: Period


class FleetTable(Table):
    """[fleet]."""

    tiers: list[Name] | None = None


class FleetFile(Table):
    """The whole file."""

    fleet: FleetTable = FleetTable()
    models: dict[ModelName, ModelTable] = {}
    providers: dict[str, ProviderTable] = {}
    network: NetworkTable = NetworkTable()
    routing: RoutingTable = RoutingTable()
    budgets: list[BudgetTable] = []


class RulesFile(Table):
    """Rules alone, as StepPolicy takes them."""

    rules: list[RuleTable]


class DeploymentTable(Table):
    """A Deployment made in code."""

    base_url: BaseUrl | None = None
    key: Annotated[str, AfterValidator(_reference)] = ""
    regions: Names | None = None
    weight: Positive = 1.0


class CardTable(ModelTable):
    """A ModelCard made in code."""

    name: ModelName
    deployments: Annotated[list[DeploymentTable], BeforeValidator(_as_list)] = []
    sources: dict[str, str] = {}


class LimitsOf(LimitsTable):
    """ProviderLimits made in code."""

    name: Name


class NetworkOf(NetworkTable):
    """A Network made in code."""

    provider_headers: dict[str, Headers] = {}


class FleetValues(Table):
    """A Fleet made in code; only what is not as it is by itself."""

    tiers: Names
    models: dict[ModelName, CardTable]
    providers: dict[str, LimitsOf]
    mode: Mode
    rules: list[RuleTable]
    network: NetworkOf
