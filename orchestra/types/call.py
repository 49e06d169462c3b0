"""One exchange with one model: the canonical request, the reply as decoded, usage, money and faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from orchestra.types.decision import Settings
from orchestra.types.json import Json
from orchestra.types.message import Message, Part, Reasoning, Text, ToolCall
from orchestra.types.settings import check_settings
from orchestra.types.tool import ToolSpec
from orchestra.types.verdict import Trigger

ToolChoice: TypeAlias = Literal["auto", "required", "none"]
Finish: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter", "refusal", "other"]
Sent: TypeAlias = Literal["yes", "no", "unknown"]


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a model, in canonical values; a codec turns it into a provider's format.

    `grammar` is the part of `output_schema` that an embedded model is held to as it writes: its server never shows it
    a schema, so that there a longer one costs nothing. Others are asked for `output_schema`.
    `extra` holds provider parameters by namespace (`anthropic.top_k`); each goes only to its provider.
    Raises ConfigError for a setting that makes no sense anywhere (`check_settings`).
    """

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: ToolChoice = "auto"
    parallel_tools: bool | None = None
    output_schema: Mapping[str, Json] | None = None
    grammar: Mapping[str, Json] | None = None
    settings: Settings = Settings()
    temperature: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: bool = False
    extra: Mapping[str, Json] = field(default_factory=dict[str, Json])

    def __post_init__(self) -> None:
        check_settings(
            max_tokens=self.settings.max_tokens,
            temperature=self.temperature,
            seed=self.seed,
            stop=self.stop,
            extra=self.extra,
        )


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider reported them; reasoning is included in output, both of the cache's in input.

    `cached_input` was read from the prompt cache, `cache_write` put into it, where the provider bills that apart.
    """

    input: int = 0
    output: int = 0
    cached_input: int = 0
    reasoning: int = 0
    cache_write: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.cached_input + other.cached_input,
            self.reasoning + other.reasoning,
            self.cache_write + other.cache_write,
        )


@dataclass(frozen=True, slots=True)
class Cost:
    """USD; None is unknown (never 0). `estimated` where it rests on our own token count."""

    usd: float | None
    estimated: bool = False

    def __add__(self, other: Cost) -> Cost:
        total = None if self.usd is None or other.usd is None else self.usd + other.usd
        return Cost(total, self.estimated or other.estimated)


@dataclass(frozen=True, slots=True)
class ModelReply:
    """A complete reply as decoded, before it is judged.

    `raw` is the text the model wrote, unaltered. `logprob` is the mean token log-probability where the
    provider reports it. `usage` is None where the provider said nothing.
    """

    parts: tuple[Part, ...]
    finish: Finish
    usage: Usage | None = None
    wire_model: str | None = None
    logprob: float | None = None
    raw: str = ""
    mended: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The text parts joined."""
        return "".join([part.text for part in self.parts if isinstance(part, Text)])

    @property
    def reasoning(self) -> str:
        """The reasoning parts joined."""
        return "".join(part.text for part in self.parts if isinstance(part, Reasoning))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls in order."""
        return tuple([part for part in self.parts if isinstance(part, ToolCall)])


@dataclass(frozen=True, slots=True)
class CallFault:
    """An attempt that brought no complete reply: trigger, what was seen, whether the request was sent.

    `retry_after` is in seconds. `partial_text` is what had arrived before a cut. `should_retry` is what the provider
    says of sending the same request again; None where it does not say. `written` is all that the model had written,
    reasoning and calls too, and `usage` what the provider had counted until then: all there is to count where `final`.
    `of_model`: this model is refused, or is not there; its key serves others.
    """

    trigger: Trigger
    text: str
    sent: Sent = "yes"
    status: int | None = None
    retry_after: float | None = None
    partial_text: str = ""
    should_retry: bool | None = None
    written: str = field(default="", repr=False)
    usage: Usage | None = None
    final: bool = False
    of_model: bool = False
