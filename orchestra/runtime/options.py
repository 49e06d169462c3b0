"""What a call, or a hand-written node for all its calls, may be told."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from orchestra.errors import ConfigError, IgnoredSetting
from orchestra.routing import Policy, declared_steps
from orchestra.runtime.scope import Limits, words
from orchestra.types import Json, Mode, Priority, Step, ToolChoice, Verdict

if TYPE_CHECKING:
    from langchain_core.caches import BaseCache

    from orchestra.fleet import Fleet


class NodeOptions(TypedDict, total=False):
    """Limits of a call, or of a node: defaults of its calls, but `budget` and `deadline` hold for all of them together.

    mode: quality, balanced, cost or latency. budget: USD. deadline: seconds. tenant, feature: for whom and for which
    part of your product; policies see them, and budgets of the fleet may match them. hold: a stream hands text on only
    once the whole reply was judged, so that no failure can cut it; otherwise as it arrives.
    """

    mode: Mode
    budget: float
    allow_unknown_price: bool
    deadline: float
    tenant: str
    feature: str
    priority: Priority
    data_tags: Sequence[str]
    hold: bool


class CallOptions(NodeOptions, total=False):
    """Options of a call.

    model: the fleet's name of the model to start with, whatever the rules say; recovery may still leave it.
    tools: Tools, functions or LangChain tools the model may call.
    tool_choice: auto, required, none, or the name of the one tool that has to be called; no other is then offered.
    output: a pydantic model or a JSON Schema that the answer must fit.
    extra: provider parameters by namespace (`anthropic.top_k`): a provider or a dialect of the fleet; what no model
    of it has warns IgnoredSetting.
    failures: what went wrong with the turns before this one, where the tools run elsewhere: oldest first, each takes
    the step up its ladder as recovery says, before a model is asked.
    """

    model: str
    tools: Sequence[Any]
    tool_choice: ToolChoice | str
    parallel_tools: bool
    output: Any
    max_tokens: int
    temperature: float
    seed: int
    stop: Sequence[str]
    extra: Mapping[str, Json]
    failures: Sequence[Verdict]


class ChatSettings(TypedDict, total=False):
    """What a chat model says in each of its calls; `timeout` is a call's deadline in seconds.

    `disable_streaming` is LangChain's: with "tool_calling" a reply that may call tools is handed on whole, so that no
    bad call can cut a stream of which something was shown already. `cache` and `output_version` are LangChain's, too:
    what a cache knows the answer to is not asked; "v1" has messages hold content blocks.
    """

    mode: Mode
    budget: float
    tenant: str
    temperature: float
    max_tokens: int
    timeout: float
    seed: int
    stop: list[str]
    disable_streaming: bool | Literal["tool_calling"]
    cache: BaseCache | bool
    output_version: Literal["v0", "v1"]


def check_names(options: Mapping[str, Any], known: Collection[str], owner: str) -> None:
    """Raises ConfigError for an option that `owner` ("a call") has not."""
    for name in options.keys() - known:
        near = "".join(f"did you mean {one!r}? " for one in get_close_matches(name, known, n=1))
        raise ConfigError(f"{name}: no option of {owner}; {near}known: {', '.join(sorted(known))}")


def check_extra(extra: Iterable[str], fleet: Fleet) -> None:
    """Warns IgnoredSetting of provider parameters that reach no model of the fleet, once for each name and fleet."""
    for key in extra:
        _check_namespace(key, fleet)


@lru_cache(maxsize=256)  # what warns as an error is not kept, and raises each time
def _check_namespace(key: str, fleet: Fleet) -> None:
    namespace, _, name = key.partition(".") if "." in key else ("", "", key)
    cards = fleet.models.values()
    known = dict.fromkeys([*(card.dialect for card in cards), *(card.provider for card in cards)])
    if namespace in known and name:
        return
    near = get_close_matches(namespace, known, n=1) or [*known]
    meant = f"{near[0]}.{name or '…'}"
    text = (
        f"extra {key!r} is left out, it is for no model of the fleet; write {meant!r}, "
        f"with one of these before the dot: {', '.join(sorted(known))}"
    )
    warnings.warn(text, IgnoredSetting, stacklevel=1)


def as_step(step: Any) -> Step:
    """The Step, or one of this name. Raises ConfigError for anything else."""
    if isinstance(step, str) and step.strip():
        return _named(step)
    if isinstance(step, Step) and step.id:
        return step
    raise ConfigError(f"step: expected a name or a Step with an id, got {step!r}")


@lru_cache(maxsize=256, typed=True)  # an app calls by few names
def _named(name: str) -> Step:
    return Step(id=name, name=name, kind=name)


def check_step(step: str, policies: Sequence[Policy]) -> None:
    """Raises ConfigError for no name, and for one that looks like a misspelling of a step that a rule speaks of.

    A step of which no rule speaks is no fault: it goes by the mode.
    """
    as_step(step)
    known = declared_steps(policies)
    if step not in known and (near := get_close_matches(step, known, n=1, cutoff=0.85)):
        raise ConfigError(f"step {step!r} is in no rule; did you mean {near[0]!r}? known: {', '.join(sorted(known))}")


_LIMITS, _NAMES = Limits(), frozenset(NodeOptions.__annotations__)


def check_limits(limits: NodeOptions, owner: str) -> None:
    """Raises ConfigError for a limit that `owner` ("run_config") has not, and for one that makes no sense."""
    check_names(limits, _NAMES, owner)
    limits_of(limits)


def limits_of(options: NodeOptions) -> Limits:
    """The limits among the options. Raises ConfigError for one that makes no sense."""
    if _NAMES.isdisjoint(options):
        return _LIMITS
    return Limits(
        deadline=options.get("deadline", _LIMITS.deadline),
        budget=options.get("budget"),
        allow_unknown_price=options.get("allow_unknown_price", False),
        mode=options.get("mode"),
        tenant=options.get("tenant"),
        feature=options.get("feature"),
        priority=options.get("priority", "normal"),
        data_tags=words(options.get("data_tags", ())),
    )
