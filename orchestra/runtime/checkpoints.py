"""SQLite checkpoints, opened when they are first needed and closed with the app."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestra.errors import ConfigError

BUSY = 10.0  # seconds to wait for another process's write


class Checkpoints:
    """The checkpoint file of an app; `path=None` keeps none."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._saver: Any = None

    def saver(self) -> Any:
        """LangGraph's own saver on this file; None without a file or a running event loop.

        Raises ConfigError for a file that cannot be used.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return None
        if self.path is not None and self._saver is None:
            self._saver = _open(self.path)
        return self._saver

    async def aclose(self) -> None:
        """Close the file; what was written stays."""
        if self._saver is not None:
            saver, self._saver = self._saver, None
            saver.conn.close()


def _open(path: Path) -> Any:
    from orchestra.runtime.saver import Saver

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _own(path)
        db = sqlite3.connect(path, timeout=BUSY, check_same_thread=False)
        try:
            saver = Saver(db)
        except BaseException:
            db.close()
            raise
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(f"checkpoints {str(path)!r} cannot be used: {error}; give the ledger another path") from error
    return saver


def _own(path: Path) -> None:
    """Make the file its owner's alone before SQLite opens it: it holds tasks, results and answers."""
    path.touch(mode=0o600)
    for suffix in ("", "-wal", "-shm"):  # SQLite gives its own files the mode of the database when it makes them
        with suppress(FileNotFoundError):
            Path(f"{path}{suffix}").chmod(0o600)
