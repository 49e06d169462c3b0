"""A run that is left while a tool of it is at work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestra import Tool, tool
from tests.runtime.scripts import THREAD, app_of, plan, plans

TASK = {"task": "?", "run": "r"}
PAYS = plan(("s1", [], ["pay"]))


class Till:
    """A tool that pays and then hangs until it is let go: whoever is killed there has paid."""

    def __init__(self, *, keyed: bool = False, **kind: bool) -> None:
        self.paid: list[str] = []
        self.in_use, self.go = asyncio.Event(), asyncio.Event()
        self.pay = tool(**kind)(self._keyed if keyed else self._plain)

    async def _plain(self, item: str) -> str:
        self.paid.append(item)
        self.in_use.set()
        await self.go.wait()
        return "paid"

    async def _keyed(self, item: str, idempotency_key: str) -> str:
        return await self._plain(idempotency_key)

    _plain.__name__ = _keyed.__name__ = "pay"
    _plain.__doc__ = _keyed.__doc__ = "Pay.\n\nArgs:\n    item: for what"


@asynccontextmanager
async def cut_short(
    folder: Path, till: Till, strong: Any = None, *, given: Any = TASK, secret: str = "", **options: Any
) -> AsyncIterator[None]:
    """A run that was left while the till was in use; the block is the time after."""
    async with app_of(folder, strong or plans(PAYS), **options) as app:
        app.ledger.hide([secret])
        run = asyncio.create_task(to_its_end(app.planner_executor([till.pay]), given))
        await till.in_use.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
    till.go.set()
    yield


async def to_its_end(agent: Any, given: Any) -> None:
    """Run it on, whatever it yields."""
    async for _ in agent.astream(given, THREAD):
        pass


def approved() -> Tool:
    """A tool that pays once a person has said so."""

    @tool(needs_approval=True)
    def pay(item: str) -> str:
        """Pay.

        Args:
            item: for what
        """
        return "paid"

    return pay
