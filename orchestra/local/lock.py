"""One holder at a time, across threads and processes; the system frees the lock of a killed holder."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

if sys.platform == "win32":  # pragma: no cover (the tests run where flock is)
    import msvcrt

    def _lock(file: IO[bytes], *, wait: bool) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: IO[bytes], *, wait: bool) -> None:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def held(path: Path, waiting: Callable[[], None]) -> Generator[None]:
    """Hold the lock file `path`; `waiting` is called once where somebody else holds it."""
    with path.open("ab") as file:
        try:
            _lock(file, wait=False)
        except OSError:
            waiting()
            _lock(file, wait=True)
        yield
