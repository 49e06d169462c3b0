"""Fleets behind real HTTP for the tests of several frameworks: a cheap and a strong model, or one model a dialect."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from orchestra import Fleet, Orchestra, StepPolicy
from orchestra.testing import FakeProvider
from orchestra.types import Capabilities, ModelCard, Price
from tests.app.doubles import LOW, serving

SEALED = {  # a dialect, and what it needs to see again of a thought of its own model
    "anthropic": '"signature": "c2lnbmVkIDQ="',
    "gemini": '"thoughtSignature": "dGhvdWdodCAx"',
    "openai-responses": '"encrypted_content": "sealed-rs_2=="',
}
"""As FakeProvider writes it for the thought "hmm." and a first call."""


@asynccontextmanager
async def world(
    folder: Path, small: Any, strong: Any = "strong", **options: Any
) -> AsyncIterator[tuple[FakeProvider, Orchestra]]:
    """A provider and an app whose calls start at `small` and may climb to `strong`; its ledger is in the folder."""
    async with serving(folder, {"small": small, "strong": strong}, **({"policies": [LOW]} | options)) as pair:
        yield pair


@asynccontextmanager
async def spoken(models: Mapping[str, Any]) -> AsyncIterator[tuple[FakeProvider, Orchestra]]:
    """A provider and an app with one model for each dialect, named like it; the step names the model that serves it."""
    async with FakeProvider(models) as provider:
        cards = [_card(name, provider.base_url_of(name)) for name in models]
        chosen = StepPolicy([{"match": {"name": name}, "prefer": [name]} for name in models])
        async with Orchestra(Fleet.from_cards(cards), policies=[chosen], ledger=None) as app:
            yield provider, app


def _card(name: str, base_url: str) -> ModelCard:
    able = Capabilities(reasoning_effort=True, images=True, documents=True)
    keys = ("env:FLEET_TEST_KEY",)
    return ModelCard(
        name, name, name, name, "efficient", base_url, Price(1, 2), window=32_000, capabilities=able, keys=keys
    )
