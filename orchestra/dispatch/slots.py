"""How many attempts run at a time, per model and in all; where more want to, a line says who is next."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from orchestra.dispatch.line import Line
from orchestra.errors import ConfigError
from orchestra.types import Priority

WEIGHTS: Mapping[Priority, float] = {"high": 4.0, "normal": 2.0, "low": 1.0}
"""Turns that a run of each priority gets, and its tenant for it, while one of the lowest gets one."""

GRACE = 16
"""Turns of the event loop after which the step that a finished step lets start has surely come: it takes about ten."""


class Slots:
    """Limits of concurrent attempts: `per_model` by the fleet's names, `total` over all models; None is no limit.

    Raises ConfigError for a limit below 1.
    """

    def __init__(self, per_model: Mapping[str, int], total: int | None = None) -> None:
        all_models = () if total is None else (Line(_checked("concurrency", total), grace=GRACE),)
        # A model's own line comes first: whoever stands in the common one keeps nobody from a free model.
        self._lines = {
            name: (Line(_checked(f"model {name!r}: concurrency", limit), grace=GRACE), *all_models)
            for name, limit in per_model.items()
        }
        self._others = all_models

    def limited(self, model: str) -> bool:
        """Whether a slot of this model may have to be waited for."""
        return bool(self._lines.get(model, self._others))

    async def hold(
        self,
        model: str,
        *,
        tenant: str = "",
        run: str = "",
        rank: float = 0.0,
        weight: float = 1.0,
        within: float | None = None,
    ) -> Slot:
        """A slot of `model`, to be released; waits where none is free.

        Tenants that wait share the slots, and the waiting runs of one share its turns, in proportion to `weight`; of
        one run's calls the highest `rank` is next, the oldest among equals. Raises TimeoutError after `within` seconds.
        """
        taken: list[Line] = []
        try:
            async with asyncio.timeout(within):
                for line in self._lines.get(model, self._others):
                    await line.enter(run, rank, weight, tenant=tenant)
                    taken.append(line)
        except BaseException:
            Slot(taken, run).release()
            raise
        return Slot(taken, run)


class Slot:
    """The right to one attempt, until `release`; only its first call counts."""

    def __init__(self, lines: list[Line], run: str) -> None:
        self._lines, self._run = lines, run

    def release(self) -> None:
        """Hand the slot to whoever is next."""
        lines, self._lines = self._lines, []
        for line in lines:
            line.leave(self._run)


def _checked(what: str, limit: Any) -> int:
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise ConfigError(f"{what}: expected a whole number of calls at a time, 1 or more, got {limit!r}")
    return limit
