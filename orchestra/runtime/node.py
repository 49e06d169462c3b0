"""app.node: a function of a hand-written graph whose calls to models all go by one step."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, TypeVar, cast

from orchestra.errors import ConfigError
from orchestra.runtime.engine import Engine
from orchestra.runtime.node_run import node_run
from orchestra.runtime.options import NodeOptions, as_step, check_names, limits_of
from orchestra.types import Step

Function = TypeVar("Function", bound=Callable[..., Any])


def node(engine: Engine, function: Function, step: str | Step, options: NodeOptions) -> Function:
    """The function, with its own signature, to be added to a graph; see `Orchestra.node`.

    Raises ConfigError for what cannot be a node, and for options that make no sense.
    """
    call, known = _callable(function), as_step(step)
    check_names(options, NodeOptions.__annotations__, "a node")
    limits_of(options)  # a limit that makes no sense is told now, not when the graph runs

    async def in_loop(*args: Any, **kwargs: Any) -> Any:
        with node_run(engine, known, options):
            return await call(*args, **kwargs)

    def in_thread(*args: Any, **kwargs: Any) -> Any:
        with node_run(engine, known, options):
            return call(*args, **kwargs)

    # LangGraph reads from the signature what it is to hand over: config, writer, store, runtime
    wrapped = wraps(call)(in_loop if inspect.iscoroutinefunction(call) else in_thread)
    wrapped.__name__ = _name(function)
    return cast("Function", wrapped)


def _callable(function: Any) -> Callable[..., Any]:
    if not callable(function):
        hint = "; a compiled graph is a node as it is" if hasattr(function, "ainvoke") else ""
        raise ConfigError(f"node: expected a function of the graph's state, got {function!r}{hint}")
    plain = inspect.isroutine(function) or isinstance(function, partial)
    call = cast("Callable[..., Any]", function if plain else function.__call__)
    if inspect.isgeneratorfunction(call) or inspect.isasyncgenfunction(call):
        raise ConfigError(
            f"node: {_name(function)} is a generator function; a node returns its update, "
            "and streams through LangGraph's writer"
        )
    return call


def _name(function: Any) -> str:
    inner: Any = cast("partial[Any]", function).func if isinstance(function, partial) else function
    return getattr(inner, "__name__", type(inner).__name__)
