"""LangGraph's SQLite saver for event loops, without a thread: a write costs less than the hop to one and back."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata, CheckpointTuple
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver

from orchestra.ledger.schema import into_wal


class Saver(SqliteSaver):
    """Any event loop and thread may use it. What was written survives the death of its process, as the ledger does.

    Out of a file come plain JSON, and objects of LangGraph's list of what is safe alone: dates, decimals, sets, paths,
    patterns, LangChain's messages and documents, arrays, its own. LangGraph's default calls any function of any module
    that the file names, and who wrote the file would run code here. Other types come back as what they were made of.
    """

    def __init__(self, conn: sqlite3.Connection) -> None:
        super().__init__(conn, serde=_Listed(allowed_msgpack_modules=None))
        into_wal(conn)  # its own setup would wait for no other process
        self.setup()
        conn.execute("PRAGMA synchronous = NORMAL")

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """As `get_tuple`."""
        return self.get_tuple(config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002  # LangGraph's own name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """As `list`."""
        for one in [*self.list(config, filter=filter, before=before, limit=limit)]:  # not while the file is locked
            yield one

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """As `put`."""
        return self.put(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """As `put_writes`."""
        self.put_writes(config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        """As `delete_thread`."""
        self.delete_thread(thread_id)


class _Listed(JsonPlusSerializer):
    """It reads only the form that it writes: the older one, of JSON, names objects of all langchain_core."""

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        return json.loads(data[1]) if data[0] == "json" else super().loads_typed(data)
