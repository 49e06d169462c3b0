"""The compiled graph users hold: LangGraph's own, with a run id, a thread id and a last word in the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from difflib import get_close_matches
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import CompiledStateGraph

from orchestra.errors import ConfigError
from orchestra.ledger import new_run_id
from orchestra.runtime.checkpoints import Checkpoints
from orchestra.runtime.portal import Portal
from orchestra.runtime.runs import Runs
from orchestra.runtime.state import RunState

# What a task does not say must not be what the thread's last task said.
_FRESH: dict[str, Any] = dict.fromkeys(("mode", "budget", "deadline", "plan")) | {"plan_only": False, "steps": {}}
INPUT = ("task", "run", "mode", "budget", "deadline", "plan_only")


class Agent(CompiledStateGraph[Any, Any, Any, Any]):
    """A compiled LangGraph graph: input `{"task": …}`, output plain JSON; see `Orchestra.planner_executor`."""

    def __init__(self, *, runs: Runs, checkpoints: Checkpoints, portal: Portal, **compiled: Any) -> None:
        self.checkpoints = checkpoints
        self._saver: Any = None
        super().__init__(**compiled)
        self.runs = runs
        self.portal = portal

    @property
    def checkpointer(self) -> Any:
        """The saver that was set, else the app's own in the running event loop: a graph may be built outside of one."""
        return self._saver or self.checkpoints.saver()

    @checkpointer.setter
    def checkpointer(self, saver: Any) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        self._saver = saver

    async def astream(
        self,
        input: Any,  # noqa: A002  # LangGraph's own name, callers pass it by keyword
        config: RunnableConfig | None = None,
        **options: Any,
    ) -> AsyncIterator[Any]:
        """As LangGraph's; `stream_mode="custom"` yields the run's ledger rows (typed events) while it runs.

        A run without an id gets one, and a thread of its own where the config names none. A cancelled or
        broken run gets its `run_ended` before the exception goes on.
        """
        given = cast("dict[str, Any] | None", input if isinstance(input, dict) else None)
        if given is not None:
            _check_keys(given)
            given = _FRESH | given | {"run": given.get("run") or new_run_id()}
            config = _with_thread(config, given["run"])
        run = given["run"] if given is not None else await self._resumed(config)
        if self.checkpoints.path is not None and options.get("durability") is None:
            options["durability"] = "async"  # LangGraph's ainvoke passes None on; "exit" would run everything again
        graph: Any = super()
        try:
            async for chunk in graph.astream(given or input, config, **options):
                yield chunk
        except BaseException as end:
            left = isinstance(end, asyncio.CancelledError | GeneratorExit)
            reason = "cancelled by the caller" if left else str(end) or type(end).__name__
            self.runs.abandon(run, "cancelled" if left else "failed", reason)
            raise

    async def _resumed(self, config: RunnableConfig | None) -> str:
        """The run that a call without a new task goes on with; "" where there is none."""
        if config is None or self.checkpointer is None:
            return ""
        return cast("str", (await self.aget_state(config)).values.get("run", ""))

    def invoke(self, input: Any, config: RunnableConfig | None = None, **options: Any) -> Any:  # noqa: A002
        """`ainvoke` for synchronous code. Raises SyncInLoop inside a running event loop."""
        graph: Any = self
        return self.portal.run("invoke", lambda: graph.ainvoke(input, config, **options))


def _check_keys(given: Mapping[str, Any]) -> None:
    """A misspelt limit would be no limit at all; a parent graph's other keys are its own business."""
    for key in given.keys() - RunState.__annotations__.keys():
        for near in get_close_matches(key, INPUT, n=1, cutoff=0.75):
            raise ConfigError(f"an agent's input has no {key!r}; did you mean {near!r}? known: {', '.join(INPUT)}")


def _with_thread(config: RunnableConfig | None, run: str) -> RunnableConfig:
    merged = dict(config or {})
    known = cast("dict[str, Any]", merged.get("configurable") or {})
    return cast("RunnableConfig", merged | {"configurable": {"thread_id": run} | known})
