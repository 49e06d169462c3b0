"""How servers of `openai-chat` differ from OpenAI itself, as data: a server is known by its card's provider."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final, Literal

from orchestra.dialects.features import FEATURES, Carrier, Features
from orchestra.types import ModelCard


@dataclass(frozen=True, slots=True)
class ChatProfile:
    """One server: what of the dialect it takes, and by which names.

    `sources` are the pages where its facts stand. `key_header` carries the API key bare, where it is no bearer token.
    `limit` is the field of the most tokens a reply may have; None: `max_completion_tokens` for models that reason,
    which refuse the other, else `max_tokens`. `effort` is where the reasoning effort stands in the body. `reasoning`
    is the field in which a model's earlier reasoning returns: on turns that call tools, or on `all` of them.
    `reasoning_demanded`: a conversation with calls is refused where one of those turns has none, another model's too.
    `details`: opaque `reasoning_details` return instead, where there are any. `schema_beside_tools`,
    `schema_streamed`: an answer's schema goes together with tools, and with a streamed reply. `deployments`: a
    base_url may name models by their path, as Azure's do. `think_tags`: a text may begin with a thought in tags, as
    where the server was not told to look for one.
    """

    features: Features
    sources: tuple[str, ...]
    key_header: str | None = None
    limit: Literal["max_tokens", "max_completion_tokens"] | None = None
    effort: tuple[str, ...] = ("reasoning_effort",)
    reasoning: str = "reasoning_content"
    reasoning_turns: Literal["calls", "all"] = "calls"
    reasoning_demanded: bool = False
    details: bool = False
    schema_beside_tools: bool = True
    schema_streamed: bool = True
    deployments: bool = False
    think_tags: bool = False


def profile_of(card: ModelCard) -> ChatProfile:
    """The profile of the card's provider; where it is not known, OpenAI's with what servers differ in most."""
    return PROFILES.get(card.provider, _UNKNOWN)


def features_of(card: ModelCard) -> Features:
    """What can be said to the card's model: its dialect's features, or what its server takes of them."""
    return profile_of(card).features if card.dialect == _CHAT else FEATURES[card.dialect]


def path_of(card: ModelCard, profile: ChatProfile) -> str:
    """The path below base_url.

    Azure's base_url ends in `/openai/v1`, or in `/openai` or `/openai/deployments/NAME` with `?api-version=…`, as
    openai's `AzureOpenAI` makes them (lib/azure.py); there the model is part of the path.
    """
    if profile.deployments and (card.base_url or "").partition("?")[0].rstrip("/").endswith("/openai"):
        return f"/deployments/{card.model}/chat/completions"
    return "/chat/completions"


def tags_thoughts(card: ModelCard) -> bool:
    """Whether a text of the card's model may begin with a thought in tags, as the card says or else its server's."""
    said = card.capabilities.think_tags
    return profile_of(card).think_tags if said is None else said


def counts_thoughts_in_total(card: ModelCard) -> bool:
    """Whether the card's server is Google's, or said to be: it counts thoughts neither as completion nor by name."""
    return card.provider == "gemini" or bool(_GOOGLE.match(card.base_url or ""))


_GOOGLE: Final = re.compile(r"https://[\w.-]+\.googleapis\.com(?![\w.-])")
_CHAT: Final = "openai-chat"


def _features(title: str, **changes: Any) -> Features:
    """OpenAI's without what no other server is known to do: enforce a tool's schema, read documents and lists of texts.

    A message's content may be refused as a list (github.com/BerriAI/litellm/issues/6642), or depend on a chat template.
    """
    unknown = {"strict": False, "documents": frozenset[Carrier](), "text_parts": False}
    return replace(FEATURES[_CHAT], title=title, **(unknown | changes))


_OPENAI: Final = ChatProfile(FEATURES[_CHAT], ("https://platform.openai.com/docs/api-reference/chat/create",))
_UNKNOWN: Final = replace(_OPENAI, features=replace(FEATURES[_CHAT], strict=False, text_parts=False), think_tags=True)

PROFILES: Mapping[str, ChatProfile] = MappingProxyType(
    {
        "openai": _OPENAI,
        "vllm": ChatProfile(
            _features("vLLM"),
            (
                "https://docs.vllm.ai/en/latest/features/tool_calling.html",
                "https://docs.vllm.ai/en/latest/features/reasoning_outputs.html",
            ),
            reasoning="reasoning",  # was reasoning_content
            think_tags=True,
        ),
        "ollama": ChatProfile(
            # It reads no more than the fields of its ChatCompletionRequest, and says nothing of the others.
            _features(
                "Ollama",
                tool_choice=frozenset({"auto"}),
                parallel_switch=False,
                logprobs=False,
                images=frozenset({"data"}),
            ),
            (
                "https://docs.ollama.com/api/openai-compatibility",
                "https://github.com/ollama/ollama/blob/main/openai/openai.go",
            ),
            limit="max_tokens",
            reasoning="reasoning",
            think_tags=True,
        ),
        "llama.cpp": ChatProfile(
            _features("llama.cpp"),
            (
                "https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
                "https://github.com/ggml-org/llama.cpp/blob/master/docs/function-calling.md",
            ),
            limit="max_tokens",
            effort=("chat_template_kwargs", "reasoning_effort"),
            think_tags=True,
        ),
        "deepseek": ChatProfile(
            # It thinks unless told not to, and thinking refuses required calls and log-probabilities.
            _features(
                "DeepSeek",
                tool_choice=frozenset({"auto", "none"}),
                parallel_switch=False,
                structured=False,
                seed=range(0),
                stop=16,
                logprobs=False,
                images=frozenset(),
            ),
            (
                "https://api-docs.deepseek.com/api/create-chat-completion",
                "https://api-docs.deepseek.com/guides/thinking_mode",
                "https://github.com/deepseek-ai/DeepSeek-V3/issues/1376",
                "https://github.com/deepseek-ai/DeepSeek-V3/issues/1053",
            ),
            limit="max_tokens",
            reasoning_turns="all",  # once tools were called, all must return; before that it is ignored
            reasoning_demanded=True,
        ),
        "moonshot": replace(
            _UNKNOWN,
            features=replace(_UNKNOWN.features, title="Moonshot"),
            sources=(
                "https://platform.moonshot.ai/docs/guide/use-kimi-k2-thinking-model",
                "https://github.com/continuedev/continue/issues/11600",
                "https://github.com/theopenco/llmgateway/pull/2093",
            ),
            reasoning_demanded=True,  # of models that think
        ),
        "groq": ChatProfile(
            _features("Groq", logprobs=False),
            (
                "https://console.groq.com/docs/openai",
                "https://console.groq.com/docs/reasoning",
                "https://console.groq.com/docs/structured-outputs",
            ),
            limit="max_completion_tokens",
            reasoning="reasoning",  # reasoning_content is a 400
            schema_beside_tools=False,
            schema_streamed=False,
            think_tags=True,
        ),
        "openrouter": ChatProfile(
            _features("OpenRouter", documents=frozenset({"data", "url"})),
            (
                "https://openrouter.ai/docs/api/reference/parameters",
                "https://openrouter.ai/docs/guides/best-practices/reasoning-tokens",
                "https://openrouter.ai/docs/api/reference/errors-and-debugging",
            ),
            limit="max_tokens",
            effort=("reasoning", "effort"),
            reasoning="reasoning",
            reasoning_turns="all",
            details=True,
        ),
        "azure": ChatProfile(
            _features("Azure OpenAI", strict=True, text_parts=True),
            (
                "https://learn.microsoft.com/azure/ai-foundry/openai/reference",
                "https://github.com/openai/openai-python/blob/main/src/openai/lib/azure.py",
            ),
            key_header="api-key",
            deployments=True,
        ),
    }
)
