"""SQLite checkpoints, opened in the event loop that first needs them and closed with the app."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestra.errors import ConfigError

if TYPE_CHECKING:
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver


class Checkpoints:
    """The checkpoint file of an app; `path=None` keeps none."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._saver: AsyncSqliteSaver | None = None

    def saver(self) -> Any:
        """LangGraph's own saver on this file, or None without a file or a running event loop."""
        if self.path is None or self._saver is not None:
            return self._saver
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return None
        self._saver = _open(self.path)
        return self._saver

    async def aclose(self) -> None:
        """Close the file; what was written stays."""
        if self._saver is not None:
            await self._saver.conn.close()
            self._saver = None


def _open(path: Path) -> AsyncSqliteSaver:
    import aiosqlite
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"checkpoints {str(path)!r}: cannot make its folder: {error.strerror}") from error
    return AsyncSqliteSaver(aiosqlite.connect(path))
