"""SQLite checkpoints, opened in the event loop that first needs them and closed with the app."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from asyncio import AbstractEventLoop
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestra.errors import ConfigError

if TYPE_CHECKING:
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver


class Checkpoints:
    """The checkpoint file of an app; `path=None` keeps none. Its savers belong to one event loop each."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._savers: dict[AbstractEventLoop, AsyncSqliteSaver] = {}

    def saver(self) -> Any:
        """LangGraph's own saver on this file; None without a file or a running event loop.

        Raises ConfigError for a file that cannot be used.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return None
        if self.path is not None and loop not in self._savers:
            self._savers[loop] = _open(self.path)
        return self._savers.get(loop)

    async def aclose(self) -> None:
        """Close the file; what was written stays."""
        while self._savers:
            await self._savers.popitem()[1].conn.close()


def _open(path: Path) -> AsyncSqliteSaver:
    import aiosqlite
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path)) as probe:  # the saver itself opens it in a thread, and later
            probe.execute("PRAGMA user_version")
        path.chmod(0o600)  # it holds tasks, results and answers, as a resume needs them
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(f"checkpoints {str(path)!r} cannot be used: {error}; give the ledger another path") from error
    logging.getLogger("aiosqlite").setLevel(logging.INFO)  # at DEBUG it prints every value it writes
    return AsyncSqliteSaver(aiosqlite.connect(path))
