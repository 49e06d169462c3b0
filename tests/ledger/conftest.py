from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestra.ledger import Ledger, Row
from tests.ledger.stories import agent_story, write


@pytest.fixture
def ticking() -> Callable[[], float]:
    """A clock that is a second later each time it is asked."""
    times: Iterator[float] = iter(range(1_000, 100_000))
    return lambda: float(next(times))


@pytest.fixture
def rows(ticking: Callable[[], float]) -> list[Row]:
    """The rows of an agent's run."""
    return write(Ledger(None, clock=ticking), "run-1", agent_story())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a ledger may be made."""
    return tmp_path / "made" / "ledger.db"


@pytest.fixture
def ledger(file: Path, ticking: Callable[[], float]) -> Iterator[Ledger]:
    """A ledger in a file, without content."""
    ledger = Ledger(file, clock=ticking)
    yield ledger
    ledger.close()
