"""Which step a call of LangChain's is, and what else the config around it says of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from langchain_core.runnables import RunnableBinding, RunnableConfig
from langchain_core.runnables.config import ensure_config, merge_configs

from orchestra.runtime.engine import Engine
from orchestra.runtime.node_run import NodeRun, enclosing
from orchestra.types import Step

SETTINGS = ("mode", "budget", "tenant")
"""Settings of a model that `configurable` of a call's config beats."""


def told(engine: Engine, own: str | None, config: RunnableConfig | None, said: Mapping[str, Any]) -> dict[str, Any]:
    """What a call says of itself, and else the config around it; `own` is the model's step.

    It is read before LangChain opens the run, which does not hand it on.
    """
    known = ensure_config(config)
    configurable: Mapping[str, Any] = known.get("configurable") or {}
    found = {name: configurable[name] for name in SETTINGS if configurable.get(name) is not None}
    metadata, node = known.get("metadata") or {}, enclosing(engine)
    step = said.get("step") or own or _named(metadata, node) or _outer(metadata, node)
    return {**found, **said, **({"step": step} if step else {})}


def configured(bindings: Iterable[RunnableBinding[Any, Any]], config: RunnableConfig | None) -> RunnableConfig:
    """The config of a call, and what bindings, the outermost first, were configured with where it does not say it."""
    known = ensure_config(config)
    for one in bindings:
        known = merge_configs(one.config, known)
        known = merge_configs(known, *(make(known) for make in one.config_factories))
    return known


def shown(engine: Engine, step: str | Step | None) -> str:
    """The step's name for traces: what was told, else that of the `app.node` in whose code the call stands."""
    node = enclosing(engine)
    found = step or (node.step if node else "call")
    return found if isinstance(found, str) else found.name or found.id


def _named(metadata: Mapping[str, Any], node: NodeRun | None) -> str | None:
    """The step that the metadata name.

    A turn of EscalationMiddleware's is of its step alone, or the step would be in two places of the ledger.
    """
    return None if node is not None and node.stand is not None else metadata.get("orchestra_step")


def _outer(metadata: Mapping[str, Any], node: NodeRun | None) -> str | None:
    """The name of LangGraph's outermost node, where no `app.node` says better; it may be like a step's and be none."""
    name = str(metadata.get("langgraph_checkpoint_ns") or "").partition("|")[0].partition(":")[0]
    return None if node else name or None
