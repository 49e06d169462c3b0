"""What this provider and model may see of a conversation. The log is lossless; a view need not be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from orchestra.dialects.features import FEATURES
from orchestra.types import Document, Image, Message, ModelCard, Part, Reasoning, Text, ToolCall, ToolResult

NO_RESULT = "No result was recorded for this call."

Content: TypeAlias = Text | Image | Document


def view(messages: Iterable[Message], card: ModelCard) -> tuple[Message, ...]:
    """The messages as `card`'s model may see them.

    Reasoning and opaque state go only to the provider and model they came from; empty text is absent,
    and so is a message of which nothing remains. Every call has exactly one result, right after its
    message and in call order: a call without one gets a neutral error, a result without a call is
    dropped, an id used twice is renamed. Media that the model cannot read, or the dialect cannot carry, become a line
    of text; those in results follow in a user message where the dialect's results carry text only.
    """
    visible = [_of_parts(message, tuple(_visible(message, card))) for message in messages]
    paired = _paired(visible)
    moved = paired if FEATURES[card.dialect].result_media else _media_after_results(paired)
    return tuple(message for message in moved if message.parts)


def _of_parts(message: Message, parts: tuple[Part, ...]) -> Message:
    # A whole history is viewed at every turn, and hardly any of it changes: what stays is not made anew.
    return message if parts == message.parts else replace(message, parts=parts)


def _visible(message: Message, card: ModelCard) -> Iterator[Part]:
    for part in message.parts:
        if isinstance(part, Reasoning):
            if message.role == "assistant" and _own(part, card):
                yield part
        elif isinstance(part, ToolResult):
            content = tuple(_readable(part.content, card))
            kept = _stateless(part, card)
            yield kept if content == part.content else replace(kept, content=content)
        elif isinstance(part, ToolCall):
            if message.role == "assistant":
                yield _stateless(part, card)
        else:
            yield from _readable((part,), card)


def _own(part: Part, card: ModelCard) -> bool:
    origin = part.origin
    return origin is not None and (origin.provider, origin.api, origin.model) == (
        card.provider,
        card.dialect,
        card.model,
    )


def _stateless(part: ToolCall | ToolResult, card: ModelCard) -> ToolCall | ToolResult:
    return part if part.provider_state is None or _own(part, card) else replace(part, provider_state=None)


def _readable(content: Iterable[Content], card: ModelCard) -> Iterator[Content]:
    for part in content:
        kept = part if part.provider_state is None or _own(part, card) else replace(part, provider_state=None)
        if not isinstance(kept, Text):
            why = _unreadable(kept, card)
            yield Text(f"[{_kind(kept)} left out: {why}]") if why else kept
        elif kept.text:
            yield kept


def _unreadable(part: Image | Document, card: ModelCard) -> str:
    """Why the model cannot be shown it; empty where it can."""
    features, image = FEATURES[card.dialect], isinstance(part, Image)
    if not (card.capabilities.images if image else card.capabilities.documents):
        return f"this model cannot read {part.media_type}"
    carriers = features.images if image else features.documents
    if ("url" if part.url else "data") in carriers:
        return ""
    return f"{features.title} takes no URL: {part.url}" if carriers else f"{features.title} takes none"


def _kind(part: Image | Document) -> str:
    return "image" if isinstance(part, Image) else f"document {part.name}".rstrip()


@dataclass(slots=True)
class _Slot:
    """A call and the result that was found for it."""

    call: ToolCall
    result: ToolResult | None = None

    def answered(self) -> ToolResult:
        if self.result is None:
            return ToolResult(self.call.id, self.call.name, (Text(NO_RESULT),), is_error=True)
        return self.result if self.result.call_id == self.call.id else replace(self.result, call_id=self.call.id)


def _paired(messages: Sequence[Message]) -> list[Message]:
    slots = _matched(messages)
    result: list[Message] = []
    for index, message in enumerate(messages):
        here = iter(slots[index])
        kept = tuple(
            next(here).call if isinstance(part, ToolCall) else part
            for part in message.parts
            if not isinstance(part, ToolResult)
        )
        result.append(_of_parts(message, kept))
        if slots[index]:
            result.append(Message("tool", tuple(slot.answered() for slot in slots[index])))
    return result


def _matched(messages: Sequence[Message]) -> list[list[_Slot]]:
    """Each message's calls, under ids that occur once, with the result that follows before the id returns."""
    seen: set[str] = set()
    waiting: dict[str, _Slot] = {}
    slots: list[list[_Slot]] = []
    for message in messages:
        slots.append([])
        for part in message.parts:
            if isinstance(part, ToolCall):
                chosen = _once(part.id, seen)
                waiting[part.id] = slot = _Slot(part if chosen == part.id else replace(part, id=chosen))
                slots[-1].append(slot)
            elif isinstance(part, ToolResult) and (found := waiting.pop(part.call_id, None)):
                found.result = part
    return slots


def _once(wanted: str, seen: set[str]) -> str:
    chosen, number = wanted, 2
    while chosen in seen:
        chosen, number = f"{wanted}-{number}", number + 1
    seen.add(chosen)
    return chosen


def _media_after_results(messages: Iterable[Message]) -> Iterator[Message]:
    for message in messages:
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        media = [part for result in results for part in _announced(result)]
        if not media:
            yield message
            continue
        yield replace(message, parts=tuple(_text_only(part) for part in results))
        yield Message("user", tuple(media))


def _announced(result: ToolResult) -> list[Part]:
    media = [part for part in result.content if not isinstance(part, Text)]
    return [Text(f"Returned by {result.name} ({result.call_id}):"), *media] if media else []


def _text_only(result: ToolResult) -> ToolResult:
    kept = tuple(part for part in result.content if isinstance(part, Text))
    return replace(result, content=kept or (Text("[see the next message]"),))
