"""The compiled graph users hold: LangGraph's own, with a run id, a thread id and a last word in the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import CompiledStateGraph

from orchestra.errors import OrchestraError
from orchestra.ledger import new_run_id
from orchestra.runtime.checkpoints import Checkpoints
from orchestra.runtime.runs import Runs


class Agent(CompiledStateGraph[Any, Any, Any, Any]):
    """A compiled LangGraph graph: input `{"task": …}`, output plain JSON; see `Orchestra.planner_executor`."""

    def __init__(self, *, runs: Runs, checkpoints: Checkpoints, **compiled: Any) -> None:
        super().__init__(**compiled)
        self.runs = runs
        self.checkpoints = checkpoints

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
            given = given | {"run": given.get("run") or new_run_id()}
            config = _with_thread(config, given["run"])
        if self.checkpoints.path is not None:
            self.checkpointer = self.checkpoints.saver()  # where the graph was built outside of an event loop
            options.setdefault("durability", "async")
        graph: Any = super()
        try:
            async for chunk in graph.astream(given or input, config, **options):
                yield chunk
        except (asyncio.CancelledError, GeneratorExit, OrchestraError) as end:
            if given is not None:
                failed = isinstance(end, OrchestraError)
                self.runs.close(
                    given["run"], "failed" if failed else "cancelled", str(end) or "cancelled by the caller"
                )
            raise


def _with_thread(config: RunnableConfig | None, run: str) -> RunnableConfig:
    merged = dict(config or {})
    known = cast("dict[str, Any]", merged.get("configurable") or {})
    return cast("RunnableConfig", merged | {"configurable": {"thread_id": run} | known})
