"""openai-agents' model settings as options of a call: each is passed on, refused or warned of, and none is lost."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any, cast

from agents.models.default_models import get_default_model, get_default_model_settings

from agents import ModelSettings
from orchestra.errors import ConfigError, IgnoredSetting
from orchestra.runtime.options import CallOptions, check_names


def options_of(settings: ModelSettings) -> dict[str, Any]:
    """What the settings ask of the app, and None for what they leave open.

    Warns IgnoredSetting for what goes without; raises ConfigError for a setting that would change the answer.
    """
    for name in _given(settings):
        if name in _PROVIDERS_OWN:
            instead = _ELSEWHERE.get(
                name, f'give it to the provider or dialect that does: extra_args={{"openai.{name}": …}}'
            )
            raise ConfigError(f"model_settings.{name}: not every model of a fleet has it; {instead}")
        if name not in _HEEDED:
            text = f"model_settings.{name} is left out: not every model of a fleet has it"
            warnings.warn(f"{text}; {_INSTEAD.get(name, _ANYTHING)}", IgnoredSetting, stacklevel=1)
    extra = dict(settings.extra_args or {})
    ours: object = extra.pop(_OURS, {})
    if not isinstance(ours, Mapping):
        raise ConfigError(f"extra_args[{_OURS!r}]: expected options of a call by name, got {ours!r}")
    check_names(cast("Mapping[str, Any]", ours), CallOptions.__annotations__, f"extra_args[{_OURS!r}]")
    return {
        "tool_choice": settings.tool_choice,
        "parallel_tools": settings.parallel_tool_calls,
        "max_tokens": settings.max_tokens,
        "temperature": settings.temperature,
        "extra": extra or None,
        **ours,
    }


_OURS = "orchestra"  # the key of our own options
_HEEDED = frozenset(
    {
        "tool_choice",
        "parallel_tool_calls",
        "max_tokens",
        "temperature",
        "extra_args",
        "metadata",
        "timeout",  # the runner's, as is
        "retry",
        "include_usage",  # it always is
    }
)
_PROVIDERS_OWN = frozenset(
    {
        "top_p",
        "frequency_penalty",
        "presence_penalty",
        "top_logprobs",
        "extra_query",
        "extra_body",
        "extra_headers",
        "context_management",
    }
)
_INSTEAD = {
    "reasoning": "a rule for the step says how much is thought: reasoning_effort in fleet.toml",
    "preserve_raw_usage": "the app's ledger has every attempt's usage",
}
_ELSEWHERE = {  # what is no field of a body
    "extra_body": 'give each of its fields to the provider or dialect that has it: extra_args={"openai.FIELD": …}',
    "extra_headers": "give them to the provider in fleet.toml: headers of [providers.NAME]",
    "extra_query": "leave it out; to a provider of a fleet no query of yours is sent",
}
_ANYTHING = 'give it to the provider or dialect that does: extra_args={"openai.…": …}'


def _given(settings: ModelSettings) -> list[str]:
    """What somebody has set: the defaults for OpenAI's models, which an agent without a model has, nobody has."""
    given, nobodys = _set(settings), _nobodys(get_default_model())
    return [*given] if not nobodys.items() <= given.items() else [name for name in given if name not in nobodys]


@cache
def _nobodys(model: str) -> Mapping[str, Any]:
    """The defaults of one of OpenAI's models, of which the SDK makes a deep copy each time it is asked."""
    return _set(get_default_model_settings(model))


def _set(settings: ModelSettings) -> dict[str, Any]:
    return {name: value for name, value in vars(settings).items() if value is not None}
