"""Every name that goes to OpenTelemetry: the semantic conventions for generative AI, per version, and our own.

`latest` is open-telemetry/semantic-conventions-genai at commit 024a4f9 (docs/gen-ai/client-inference.md), `1.41` the
last version that open-telemetry/semantic-conventions published, `1.36` what its transition plan lets instrumentations
send by default. All are in Development, so names will change again: here, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

from orchestra.types import ModelCard

Version: TypeAlias = Literal["latest", "1.41", "1.36"]


@dataclass(frozen=True, slots=True)
class Conventions:
    """What differs between the versions; `token_usage` is a histogram by `gen_ai.token.type`, None: counters."""

    provider: str
    duration: str
    token_usage: str | None
    cache_write: str


CACHE_WRITE, CACHE_CREATION = "gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens"
_OPERATION = ("gen_ai.client.operation.duration", "gen_ai.client.token.usage")

VERSIONS: Mapping[Version, Conventions] = MappingProxyType(
    {
        "latest": Conventions("gen_ai.provider.name", "gen_ai.client.inference.duration", None, CACHE_WRITE),
        "1.41": Conventions("gen_ai.provider.name", *_OPERATION, CACHE_CREATION),
        "1.36": Conventions("gen_ai.system", *_OPERATION, CACHE_CREATION),
    }
)

OPERATION = "gen_ai.operation.name"
INVOKE_AGENT, EXECUTE_TOOL, CHAT, GENERATE_CONTENT = "invoke_agent", "execute_tool", "chat", "generate_content"
REQUEST_MODEL = "gen_ai.request.model"
STREAM = "gen_ai.request.stream"
RESPONSE_MODEL = "gen_ai.response.model"
FINISH_REASONS = "gen_ai.response.finish_reasons"
FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
AGENT = "gen_ai.agent.name"
TOOL = "gen_ai.tool.name"
TOOL_CALL = "gen_ai.tool.call.id"
TOOL_TYPE = "gen_ai.tool.type"
ERROR = "error.type"
OTHER, CANCELLED = "_OTHER", "cancelled"
STATUS = "http.response.status_code"
RESENT = "http.request.resend_count"
ADDRESS, PORT = "server.address", "server.port"
TOKEN_TYPE, MODALITY = "gen_ai.token.type", "gen_ai.token.modality"

# What people and models wrote: sent only when asked for.
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
TOOL_ARGUMENTS = "gen_ai.tool.call.arguments"
TOOL_RESULT = "gen_ai.tool.call.result"

INPUT_COUNTER = "gen_ai.client.inference.usage.input_tokens"
OUTPUT_COUNTER = "gen_ai.client.inference.usage.output_tokens"
CACHED_COUNTER = "gen_ai.client.inference.usage.cache_read.input_tokens"
WRITTEN_COUNTER = "gen_ai.client.inference.usage.cache_write.input_tokens"
REASONING_COUNTER = "gen_ai.client.inference.usage.reasoning.output_tokens"
SECONDS_BUCKETS = tuple(0.01 * 2**power for power in range(14))
TOKEN_BUCKETS = tuple(4**power for power in range(14))

# Ours: what the conventions have no name for.
RUN, STEP, KIND, STATE = "orchestra.run", "orchestra.step", "orchestra.step.kind", "orchestra.state"
MODEL, KEY, PLACE = "orchestra.model", "orchestra.key", "orchestra.place"
ATTEMPT, ATTEMPTS, RUNG = "orchestra.attempt", "orchestra.attempts", "orchestra.rung"
DEGRADED, SENT, WHY = "orchestra.degraded", "orchestra.sent", "orchestra.why"
COST, ESTIMATED = "orchestra.cost.usd", "orchestra.cost.estimated"
ATTEMPT_DURATION = "orchestra.attempt.duration"
WAIT_DURATION = "orchestra.wait.duration"
BREAKER_CHANGES = "orchestra.breaker.changes"
SPENT = "orchestra.cost"

_PROVIDERS: Mapping[str, str] = MappingProxyType(
    {"azure": "azure.ai.openai", "bedrock": "aws.bedrock", "gemini": "gcp.gemini", "mistral": "mistral_ai"}
)


def provider(name: str) -> str:
    """A fleet's provider under its well-known name; the convention lets others keep their own."""
    return _PROVIDERS.get(name, name) or OTHER


def operation(card: ModelCard | None) -> str:
    """What a call to this model is named: Gemini's own API is the one that has another name for it."""
    return GENERATE_CONTENT if card and card.dialect == "gemini" else CHAT


def server(url: str) -> dict[str, str | int]:
    """`server.address` and `server.port` of a base_url, neither user nor path; {} where it names no host."""
    found = re.match(r"(https?)://(?:[^/@]*@)?(\[[^]/]*]|[^/:?#]+)(?::(\d+))?", url)
    if not found:
        return {}
    return {ADDRESS: found[2].strip("[]"), PORT: int(found[3] or _PORTS[found[1]])}


_PORTS: Mapping[str, int] = MappingProxyType({"http": 80, "https": 443})
