"""A small and a strong model: in memory, or served over real HTTP by a FakeProvider."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from orchestra import Orchestra, StepPolicy, tool
from orchestra.ledger import Row
from orchestra.testing import FakeProvider, ScriptedModel, scripted_app

LOW = StepPolicy([{"prefer": ["small"], "escalate": ["capable"]}])

FLEET = """
[models.small]
model = "small"
dialect = "openai-chat"
base_url = "{url}"
keys = ["env:FLEET_TEST_KEY"]
tier = "efficient"
price = {{ input = 1, output = 2 }}

[models.strong]
model = "strong"
dialect = "openai-chat"
base_url = "{url}"
keys = ["env:FLEET_TEST_KEY"]
tier = "capable"
price = {{ input = 10, output = 20 }}

[routing]
mode = "cost"
"""
KEY = "plantedkey-Zq7x0Lr4Tn8vB2mW"


@tool(read_only=True)
def rain(city: str) -> float:
    """Millimetres of rain in a year.

    Args:
        city: the city's name
    """
    raise AssertionError("complete never executes a tool")


def app_of(small: Any, strong: Any = (), **options: Any) -> Orchestra:
    """An app that starts at `small` and may climb to `strong`."""
    models = ScriptedModel("small", small), ScriptedModel("strong", strong, tier="capable")
    return scripted_app(*models, **({"policies": [LOW]} | options))


def fleet_file(folder: Path, provider: FakeProvider) -> Path:
    """A fleet.toml whose two models the provider serves; their key is in FLEET_TEST_KEY."""
    path = folder / "fleet.toml"
    path.write_text(FLEET.format(url=provider.base_url), encoding="utf-8")
    return path


@asynccontextmanager
async def serving(
    folder: Path, models: dict[str, Any], **options: Any
) -> AsyncIterator[tuple[FakeProvider, Orchestra]]:
    """A provider with these models, and an app whose fleet it serves; the ledger is `l.db` in the folder."""
    async with FakeProvider(models) as provider:
        file = fleet_file(folder, provider)
        async with Orchestra.from_file(file, **({"ledger": folder / "l.db"} | options)) as app:
            yield provider, app


def rows(app: Orchestra) -> list[Row]:
    """Everything the ledger holds, oldest run first."""
    return [row for run in reversed(app.ledger.runs(100)) for row in app.ledger.events(run.run)]


def events(found: Sequence[Row], kind: type) -> list[Any]:
    return [row.event for row in found if isinstance(row.event, kind)]
