"""The real 0.5B model, served in this process, through the whole path. Skips only where its weights cannot be had.

`make test` pulls them before; by hand: orchestra models pull qwen2.5-coder-0.5b-instruct
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestra import Orchestra
from orchestra.fleet import Fleet
from orchestra.local import EMBEDDED, WeightStore

pytestmark = pytest.mark.weights

SMALL = EMBEDDED["qwen2.5-coder-0.5b-instruct"]
ANSWER = {"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"]}


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Orchestra]:
    store = WeightStore()
    if store.path(SMALL.sha256) is None:
        pytest.skip(f"no weights in {store.root}; get them with `orchestra models pull {SMALL.name}`")
    small = Fleet.embedded().models["small"]
    async with Orchestra(Fleet.from_cards([small]), ledger=tmp_path / "ledger.db") as app:
        yield app


async def test_a_free_model_in_this_process_answers_under_a_schema(app: Orchestra) -> None:
    reply = await app.complete("What is 17 + 25?", step="add", output=ANSWER)

    assert reply.output == {"answer": 42}
    assert (reply.model, reply.wire_model) == ("small", SMALL.name)
    assert reply.usage.output > 0
    assert reply.cost.usd == 0


async def test_its_text_arrives_as_a_stream(app: Orchestra) -> None:
    events = [event async for event in app.stream("Count from 1 to 5.", step="count")]

    texts = [event.text for event in events if event.type == "text"]
    assert len(texts) > 1
    assert "".join(texts) == events[-1].reply.text
