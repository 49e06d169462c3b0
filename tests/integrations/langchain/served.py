"""Models of one dialect that do what LangChain's standard suite asks of them, over real HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from orchestra import Fleet, Orchestra
from orchestra.testing import CallTool, FakeProvider, Say
from orchestra.testing.wires import WIRES
from orchestra.types import Capabilities, ModelCard, Price

CAN = Capabilities(images=True, documents=True, reasoning_effort=True)
RESULTS = ("tool_result", "functionResponse", "toolResult", "function_call_output", '"role": "tool"')
SCHEMAS = ("parameters", "input_schema", "parametersJsonSchema", "inputSchema")


def answering(dialect: str) -> Any:
    """Answers in the schema that is asked for; else calls the first tool offered, unless its result has just come."""

    def model(body: dict[str, Any]) -> Say:
        turns = body.get("messages") or body.get("contents") or body.get("input")
        asked = json.dumps(turns[-1], ensure_ascii=False)
        assert " left out: " not in json.dumps(turns), "media that the suite sends were not shown"
        if schema := WIRES[dialect].schema(body):
            return Say(json.dumps(sample(schema, asked), ensure_ascii=False))
        for name, schema in tools(body):
            if not any(word in asked for word in RESULTS):
                return Say(calls=(CallTool(name, **sample(schema, asked)),))
        return Say("Hello, how are you?")

    return model


def tools(found: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Name and schema of each tool that a request declares, in whatever dialect."""
    if isinstance(found, list):
        for one in found:
            yield from tools(one)
    elif isinstance(found, dict):
        schema = next((found[key] for key in SCHEMAS if key in found), None)
        if "name" in found and schema is not None:
            yield found["name"], schema.get("json", schema)
        else:
            for key in ("tools", "function", "functionDeclarations", "toolConfig", "toolSpec"):
                yield from tools(found.get(key))


def sample(schema: Mapping[str, Any], text: str) -> Any:
    """A value that fits the schema; its texts are what was asked."""
    kinds = schema.get("type")
    if kinds == "object":
        return {name: sample(one, text) for name, one in schema.get("properties", {}).items()}
    return 3 if kinds == "integer" else text


@asynccontextmanager
async def app(dialect: str, folder: Path, *names: str) -> AsyncIterator[Orchestra]:
    """An app whose models, `small` where none is named, a FakeProvider serves in the dialect."""
    names = names or ("small",)
    with FakeProvider(dict.fromkeys(names, answering(dialect))) as provider:
        url = provider.base_url_of(dialect)
        cards = [
            ModelCard(name, name, dialect, dialect, "efficient", url, Price(0, 0), 100_000, capabilities=CAN)
            for name in names
        ]
        async with Orchestra(Fleet.from_cards(cards), ledger=folder / "l.db") as opened:
            yield opened
