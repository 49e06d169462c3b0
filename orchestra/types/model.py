"""ModelCard: everything known of a model in a fleet, as facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

ToolSupport: TypeAlias = Literal["native", "json", "none"]


@dataclass(frozen=True, slots=True)
class Price:
    """List price in USD per million tokens. An unknown price is no Price at all, never 0.

    Input that is read from the prompt cache, or written to it, costs as much as other input where it has no price.
    """

    input: float
    output: float
    cached_input: float | None = None
    cache_write: float | None = None

    @property
    def free(self) -> bool:
        """True where every token is said to cost nothing."""
        return self.dearest_input == 0 and self.output == 0

    @property
    def dearest_input(self) -> float:
        """What a token of input costs at most."""
        return max(self.input, self.cached_input or 0.0, self.cache_write or 0.0)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a model can do. `tools="json"`: calls are written as JSON under a schema, not natively.

    `think_tags`: a text may begin with a thought in `<think>` tags, which is told from it; None is as the server does.
    """

    tools: ToolSupport = "native"
    parallel_tools: bool = True
    structured_output: bool = True
    images: bool = False
    documents: bool = False
    logprobs: bool = False
    streaming: bool = True
    reasoning_effort: bool = False
    temperature: bool = True
    stop: bool = True
    think_tags: bool | None = None


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect, to the first token, between chunks, and for a whole attempt."""

    connect: float = 5.0
    first_token: float = 30.0
    chunk: float = 15.0
    total: float = 180.0


@dataclass(frozen=True, slots=True)
class Deployment:
    """One endpoint of a model with one of its keys (`env:NAME`, "" for none); None is as the card has it.

    `weight` is its share of the traffic beside the weights of the model's other deployments.
    """

    base_url: str | None = None
    key: str = ""
    regions: tuple[str, ...] | None = None
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model a user may use. `name` is the fleet's, `model` the provider's; tokens and USD per million.

    `prompt_speed` and `speed` are tokens per second read and written; `quality` is in [0, 1];
    None is unknown. `concurrency` is how many requests it is sent at a time; None is no limit. `keys` are all its keys;
    `deployments` says which of them goes where, and may be left out where each is used at `base_url` alike. `sources`
    says for each fact where it comes from (`fleet.toml`, `built-in`, `tier`).
    """

    name: str
    model: str
    provider: str
    dialect: str
    tier: str
    base_url: str | None = None
    price: Price | None = None
    window: int = 8192
    max_output: int = 4096
    capabilities: Capabilities = Capabilities()
    quality: float | None = None
    speed: float | None = None
    prompt_speed: float | None = None
    tags: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    version: str | None = None
    deprecated: str | None = None
    keys: tuple[str, ...] = ()
    deployments: tuple[Deployment, ...] = ()
    timeouts: Timeouts = Timeouts()
    weights: str | None = None
    concurrency: int | None = None
    sources: Mapping[str, str] = field(default_factory=dict[str, str])
