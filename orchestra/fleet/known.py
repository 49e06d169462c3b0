"""Built-in facts: providers and well-known models. No price stands here that is not certain: local ones are free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from orchestra.types import Capabilities, ModelCard, Price, Timeouts

DIALECTS = (
    "openai-chat",
    "openai-responses",
    "anthropic",
    "gemini",
    "bedrock-converse",
    "mistral",
    "cohere",
)
DEFAULT_DIALECT = "openai-chat"  # what nearly every server with a base_url of one's own speaks
LOCAL = "local"  # the provider that runs weights in process
SMALL, STRONG = "qwen2.5-coder-0.5b-instruct", "qwen2.5-coder-1.5b-instruct"


@dataclass(frozen=True, slots=True)
class Provider:
    """How a provider is reached: dialect, base_url as its own SDK takes it, and where its keys usually stand."""

    dialect: str
    base_url: str | None
    keys: tuple[str, ...]


def _chat(base_url: str | None, *keys: str) -> Provider:
    return Provider("openai-chat", base_url, keys)


PROVIDERS: Mapping[str, Provider] = {
    "anthropic": Provider("anthropic", "https://api.anthropic.com", ("env:ANTHROPIC_API_KEY",)),
    "azure": _chat(None, "env:AZURE_OPENAI_API_KEY"),
    "bedrock": Provider("bedrock-converse", None, ("env:AWS_BEARER_TOKEN_BEDROCK",)),
    "cohere": Provider("cohere", "https://api.cohere.com", ("env:CO_API_KEY",)),
    "deepseek": _chat("https://api.deepseek.com/v1", "env:DEEPSEEK_API_KEY"),
    "gemini": Provider("gemini", "https://generativelanguage.googleapis.com", ("env:GEMINI_API_KEY",)),
    "groq": _chat("https://api.groq.com/openai/v1", "env:GROQ_API_KEY"),
    LOCAL: Provider("openai-chat", None, ()),
    "llama.cpp": _chat("http://127.0.0.1:8080/v1"),
    "mistral": Provider("mistral", "https://api.mistral.ai", ("env:MISTRAL_API_KEY",)),
    "ollama": _chat("http://127.0.0.1:11434/v1"),
    "openai": _chat("https://api.openai.com/v1", "env:OPENAI_API_KEY"),
    "openrouter": _chat("https://openrouter.ai/api/v1", "env:OPENROUTER_API_KEY"),
    "vllm": _chat("http://127.0.0.1:8000/v1"),
    "together": _chat("https://api.together.xyz/v1", "env:TOGETHER_API_KEY"),
}

# A model that llama.cpp serves in process: calls and answers are written as JSON under a grammar.
LOCAL_CAPABILITIES = Capabilities(tools="json", parallel_tools=False, logprobs=True)
# Two busy cores can fall from 49 to 1-4 tokens per second; a deadline must survive that.
LOCAL_TIMEOUTS = Timeouts(connect=5.0, first_token=180.0, chunk=60.0, total=600.0)
# What thinks unseen is silent for half a minute as a rule, for minutes where it is hard. Over Responses the reply has
# begun by then, so that the silence is one between two chunks.
UNSEEN_TIMEOUTS = Timeouts(first_token=120.0, chunk=120.0, total=600.0)
LOCAL_PRICE = Price(0.0, 0.0)
LOCAL_TAGS = (LOCAL, "pii")  # personal data that it reads never leaves the process
LOCAL_CONCURRENCY = 2  # each request at a time has a whole window of memory, and they share the cores


def _embedded(
    model: str,
    tier: str,
    weights: str,
    speeds: tuple[float, float],
    *,
    quality: float | None = None,
    capabilities: Capabilities = LOCAL_CAPABILITIES,
) -> ModelCard:
    """A model measured on two idle cores; `speeds` are tokens per second read and written."""
    return _sourced(
        ModelCard(
            name=model,
            model=model,
            provider=LOCAL,
            dialect="openai-chat",
            tier=tier,
            price=LOCAL_PRICE,
            window=8192,
            max_output=1024,
            capabilities=capabilities,
            quality=quality,
            prompt_speed=speeds[0],
            speed=speeds[1],
            tags=LOCAL_TAGS,
            timeouts=LOCAL_TIMEOUTS,
            weights=weights,
            concurrency=LOCAL_CONCURRENCY,
        )
    )


def _hosted(
    model: str,
    provider: str,
    tier: str,
    window: int,
    max_output: int,
    *,
    effort: bool = False,
    logprobs: bool = False,
    unseen: bool = False,
) -> ModelCard:
    """A provider's model. `unseen`: it thinks unless told not to, and shows nothing of it."""
    reached = PROVIDERS[provider]
    thinks = effort and provider == "openai"  # its reasoning models answer 400 to `stop`, and to a temperature but 1
    return _sourced(
        ModelCard(
            name=model,
            model=model,
            provider=provider,
            dialect=reached.dialect,
            tier=tier,
            base_url=reached.base_url,
            window=window,
            max_output=max_output,
            capabilities=Capabilities(
                images=True,
                documents=True,
                reasoning_effort=effort,
                logprobs=logprobs,
                temperature=not thinks,
                stop=not thinks,
            ),
            keys=reached.keys,
            timeouts=UNSEEN_TIMEOUTS if unseen else Timeouts(),
        )
    )


def _sourced(card: ModelCard) -> ModelCard:
    facts = [field.name for field in fields(card) if field.name not in ("name", "sources")]
    return replace(card, sources={fact: "built-in" for fact in facts if getattr(card, fact) not in (None, ())})


_CARDS = (
    _embedded(SMALL, "efficient", "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32", (169.0, 49.0)),
    _embedded(STRONG, "capable", "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046", (78.0, 28.0)),
    _embedded(
        "smollm2-135m-instruct",
        "efficient",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        (314.0, 125.0),
        quality=0.4,  # 15 of 30 easy questions where the 0.5B has 27, and 0 to 2 of 6 tool calls
        capabilities=Capabilities(tools="none", logprobs=True),
    ),
    _hosted("claude-haiku-4-5", "anthropic", "efficient", 200_000, 64_000, effort=True),
    _hosted("claude-sonnet-4-5", "anthropic", "capable", 200_000, 64_000, effort=True),
    _hosted("claude-opus-4-5", "anthropic", "frontier", 200_000, 64_000, effort=True),
    _hosted("gemini-2.5-flash-lite", "gemini", "efficient", 1_048_576, 65_536, effort=True),
    _hosted("gemini-2.5-flash", "gemini", "capable", 1_048_576, 65_536, effort=True, unseen=True),
    _hosted("gemini-2.5-pro", "gemini", "frontier", 1_048_576, 65_536, effort=True, unseen=True),
    _hosted("gpt-4o-mini", "openai", "efficient", 128_000, 16_384, logprobs=True),
    _hosted("gpt-4.1-mini", "openai", "efficient", 1_047_576, 32_768, logprobs=True),
    _hosted("gpt-4.1", "openai", "capable", 1_047_576, 32_768, logprobs=True),
    _hosted("gpt-5-nano", "openai", "efficient", 400_000, 128_000, effort=True, unseen=True),
    _hosted("gpt-5-mini", "openai", "capable", 400_000, 128_000, effort=True, unseen=True),
    _hosted("gpt-5", "openai", "frontier", 400_000, 128_000, effort=True, unseen=True),
)
CARDS: Mapping[str, ModelCard] = {card.model: card for card in _CARDS}
