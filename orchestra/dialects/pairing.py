"""Calls and results as providers want them: each call has one result, right after its message, in call order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from orchestra.types import Message, Part, Text, ToolCall, ToolResult

NO_RESULT = "No result was recorded for this call."


def paired(messages: tuple[Message, ...], notes: list[str]) -> tuple[Message, ...]:
    """The messages with one `tool` message after each that calls; what was wrong in the history is noted.

    A call without a result gets a neutral error, a result without a call is dropped, an id used twice is renamed.
    What a tool message says beside its results is the user's.
    """
    if _is_paired(messages):
        return messages
    slots = _matched(messages, notes)
    result: list[Message] = []
    for index, message in enumerate(messages):
        here = iter(slots[index])
        kept = tuple(
            next(here).call if isinstance(part, ToolCall) else part
            for part in message.parts
            if not isinstance(part, ToolResult)
        )
        if kept:
            role = "user" if message.role == "tool" else message.role
            result.append(message if kept == message.parts else replace(message, role=role, parts=kept))
        if slots[index]:
            result.append(Message("tool", tuple(slot.answered(notes) for slot in slots[index])))
    return tuple(result)


def media_after_results(messages: Iterable[Message], notes: list[str]) -> Iterator[Message]:
    """The messages with the media of results in a user message behind them, for dialects whose results are text."""
    for message in messages:
        if message.role != "tool":
            yield message
            continue
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        media = [part for result in results for part in _announced(result)]
        if not media:
            yield message
            continue
        notes.append("media of tool results moved into a user's message behind them: results carry text only")
        yield replace(message, parts=tuple(_text_only(part) for part in results))
        yield Message("user", tuple(media))


def _is_paired(messages: Sequence[Message]) -> bool:
    """Whether there is nothing to put right, as in nearly every history."""
    ids: list[str] = []
    called: list[str] = []
    for message in messages:
        kinds = [*map(type, message.parts)]
        if message.role == "tool":
            answered = [part.call_id for part in message.parts if isinstance(part, ToolResult)]
            if not called or answered != called or len(answered) < len(kinds):
                return False
            called = []
        elif called or not kinds or ToolResult in kinds:
            return False
        elif ToolCall in kinds:
            called = [part.id for part in message.parts if isinstance(part, ToolCall)]
            ids += called
    return not called and len(set(ids)) == len(ids)


@dataclass(slots=True)
class _Slot:
    """A call and the result that was found for it."""

    call: ToolCall
    result: ToolResult | None = None

    def answered(self, notes: list[str]) -> ToolResult:
        if self.result is None:
            notes.append(f"tool call {self.call.id!r} had no result: a neutral error stands in")
            return ToolResult(self.call.id, self.call.name, (Text(NO_RESULT),), is_error=True)
        return self.result if self.result.call_id == self.call.id else replace(self.result, call_id=self.call.id)


def _matched(messages: Sequence[Message], notes: list[str]) -> list[list[_Slot]]:
    """Each message's calls, under ids that occur once, with the result that follows before the id returns.

    Calls of one message that share an id take its results in their order.
    """
    seen: set[str] = set()
    waiting: dict[str, list[_Slot]] = {}
    slots: list[list[_Slot]] = []
    for message in messages:
        slots.append([])
        calls: dict[str, list[_Slot]] = {}
        for part in message.parts:
            if isinstance(part, ToolCall):
                chosen = _once(part.id, seen)
                slot = _Slot(part if chosen == part.id else replace(part, id=chosen))
                slots[-1].append(slot)
                calls.setdefault(part.id, []).append(slot)
                waiting[part.id] = calls[part.id]
            elif isinstance(part, ToolResult):
                if found := waiting.get(part.call_id):
                    found.pop(0).result = part
                else:
                    why = "another came before" if part.call_id in seen else "no call has this id"
                    notes.append(f"tool result {part.call_id!r} left out: {why}")
    return slots


def _once(wanted: str, seen: set[str]) -> str:
    chosen, number = wanted, 2
    while chosen in seen:
        chosen, number = f"{wanted}-{number}", number + 1
    seen.add(chosen)
    return chosen


def _announced(result: ToolResult) -> list[Part]:
    media = [part for part in result.content if not isinstance(part, Text)]
    return [Text(f"Returned by {result.name} ({result.call_id}):"), *media] if media else []


def _text_only(result: ToolResult) -> ToolResult:
    kept = tuple(part for part in result.content if isinstance(part, Text))
    return replace(result, content=kept or (Text("[see the next message]"),))
