"""Histories for tests of context care, and what makes one valid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from orchestra.fleet.counter import Counter
from orchestra.runtime.context import Fitted, fit
from orchestra.types import Message, ModelCard, Origin, Part, Reasoning, Text, ToolCall, ToolResult

HERE = Origin("lab", "openai-chat", "m")


def card(window: int, **facts: Any) -> ModelCard:
    return ModelCard("m", "m", "lab", "openai-chat", "efficient", window=window, **facts)


def turn(number: int, *sizes: int, said: str = "") -> list[Message]:
    """A model's turn with a parallel call for each size, and results of that many characters."""
    calls = tuple(ToolCall(f"c{number}.{i}", "rows", {"n": i}, origin=HERE) for i, _ in enumerate(sizes))
    results = tuple(
        ToolResult(f"c{number}.{i}", "rows", (Text(f"{number}.{i} ".ljust(size, "x")),)) for i, size in enumerate(sizes)
    )
    thought = Reasoning("hm", HERE, provider_state=f"sealed {number}")
    return [Message("assistant", (thought, Text(said or f"turn {number}"), *calls)), Message("tool", results)]


def history(*turns: Sequence[int]) -> list[Message]:
    said = [Message.system("rules"), Message.user("the task")]
    for number, sizes in enumerate(turns):
        said += turn(number, *sizes)
    return said


async def fitted(messages: Sequence[Message], window: int = 2_000, **options: Any) -> Fitted | None:
    """`fit` with a summariser that says how much it was given; `options["asked"]` collects that."""
    asked: list[Sequence[Message]] | None = options.pop("asked", None)

    async def summarise(old: Sequence[Message]) -> str:
        if asked is not None:
            asked.append(old)
        return f"{len(old)} messages were here"

    settings = {"card": card(window), "tools": (), "max_output": 0, "counter": Counter(), "summarise": summarise}
    return await fit(messages, **(settings | options))


def results(messages: Sequence[Message]) -> list[ToolResult]:
    return [part for message in messages for part in message.parts if isinstance(part, ToolResult)]


def calls(messages: Sequence[Message]) -> list[ToolCall]:
    return [part for message in messages for part in message.parts if isinstance(part, ToolCall)]


def assert_valid(messages: Sequence[Message]) -> None:
    """No empty message; every call is followed by exactly one result before another model's turn."""
    waiting: list[str] = []
    for message in messages:
        assert message.parts
        if message.role == "assistant":
            assert waiting == []
            waiting = [part.id for part in message.parts if isinstance(part, ToolCall)]
        for part in message.parts:
            if isinstance(part, ToolResult):
                assert part.content
                waiting.remove(part.call_id)
    assert waiting == []


@st.composite
def valid_histories(draw: st.DrawFn) -> list[Message]:
    """Any history a step may have: speakers in any order, parallel calls, results together or apart."""
    messages: list[Message] = []
    texts = st.text(st.sampled_from("aé日😀 \n"), min_size=1, max_size=8).map(lambda text: text * 40)
    for number in range(draw(st.integers(0, 9))):
        role = draw(st.sampled_from(["system", "user", "assistant", "assistant"]))
        if role != "assistant":
            messages.append(Message(role, (Text(draw(texts)),)))
            continue
        sizes = draw(st.lists(st.integers(0, 3_000), max_size=3))
        said, answered = turn(number, *sizes, said=draw(texts))
        messages.append(said)
        parts: list[tuple[Part, ...]] = [answered.parts] if draw(st.booleans()) else [(one,) for one in answered.parts]
        messages += [Message("tool", some) for some in parts if some]
    return messages
