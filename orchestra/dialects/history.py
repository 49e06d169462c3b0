"""What this provider and model may see of a conversation. The log is lossless; a view need not be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from operator import attrgetter
from typing import NamedTuple, TypeAlias, TypeVar

from orchestra.dialects.chat_profiles import features_of
from orchestra.dialects.features import Features
from orchestra.dialects.pairing import NO_RESULT, media_after_results, paired
from orchestra.dialects.texts import shown
from orchestra.types import Document, Image, Message, ModelCard, Part, Reasoning, Text, ToolCall, ToolResult
from orchestra.types.message import apart

__all__ = ["NO_RESULT", "View", "view", "viewed"]

Media: TypeAlias = Image | Document
Content: TypeAlias = Text | Media
Spoken = TypeVar("Spoken", bound=Part)


def view(messages: Iterable[Message], card: ModelCard) -> tuple[Message, ...]:
    """The messages as `card`'s model may see them.

    Reasoning and opaque state go only to the provider and model they came from; blank text is absent, and so is a
    message of which nothing remains. Every call has exactly one result, right after its message and in call order: a
    call without one gets a neutral error, a result without a call is dropped, an id used twice is renamed. Media that
    the model cannot read, or the dialect cannot carry, become a line of text, but a document whose data are a text is
    shown as that; those in results follow in a user message where the dialect's results carry text only. Where a
    conversation has to begin and end with the user's turn it does, however it was cut.
    """
    return viewed(messages, card).messages


class View(NamedTuple):
    """What a model may see, and notes on what it may not see or sees elsewhere than it was said."""

    messages: tuple[Message, ...]
    notes: tuple[str, ...] = ()


def viewed(messages: Iterable[Message], card: ModelCard) -> View:
    """`view`, with its notes."""
    turns, features = tuple(messages), features_of(card)
    notes: list[str] = []
    plain = all(map(_PLAIN, turns))  # as nearly every history is
    turns = paired(turns if plain else _Seeing(card, features, notes).messages(turns), notes)
    if not (plain or features.result_media):
        turns = (*media_after_results(turns, notes),)
    if features.user_turns:
        turns = _between_users(turns, features, notes)
    return View(turns, tuple(dict.fromkeys(notes)))


_PLAIN = attrgetter("plain")
CONTINUE = "Continue."


def amid(message: Message) -> Message:
    """A system message amid the conversation as the user's, for providers that take none there: it keeps its place."""
    return Message.user(f"<system>\n{apart(message.parts)}\n</system>")


AMID = "system message within the conversation: said in the user's turn, in <system> tags"
"""The note on `amid`."""


def _between_users(messages: Iterable[Message], features: Features, notes: list[str]) -> tuple[Message, ...]:
    """The messages with a user's turn at either end, system messages aside."""
    turns = list(messages)
    spoken = [place for place, message in enumerate(turns) if message.role != "system"]
    if spoken and turns[spoken[-1]].role == "assistant":
        notes.append(f"{CONTINUE!r} put last: {features.title} wants a user's turn there")
        turns.append(Message.user(CONTINUE))
    if not spoken or turns[spoken[0]].role == "assistant":
        notes.append(f"{CONTINUE!r} put first: {features.title} wants a user's turn there")
        turns.insert(spoken[0] if spoken else len(turns), Message.user(CONTINUE))
    return tuple(turns)


class _Seeing:
    """Messages while they are cut to what a model may see; what is left out goes into `notes`."""

    def __init__(self, card: ModelCard, features: Features, notes: list[str]) -> None:
        self._card, self._features, self._notes = card, features, notes
        self._origin = (card.provider, card.dialect, card.model)

    def messages(self, messages: Iterable[Message]) -> tuple[Message, ...]:
        """What may be seen of each."""
        return tuple([self._message(message) for message in messages])

    def _message(self, message: Message) -> Message:
        """The message; not made anew where it stays as it is, as nearly all of a history does at every turn."""
        if message.plain:
            return message
        parts = tuple(_without_blanks(self._visible(message), signed=message.role == "assistant"))
        return message if parts == message.parts else replace(message, parts=parts)

    def _visible(self, message: Message) -> Iterator[Part]:
        assistant, media = message.role == "assistant", message.role in ("user", "tool")
        for part in message.parts:
            if isinstance(part, Reasoning):
                if assistant and self._own(part):
                    yield part
                else:
                    self._notes.append("reasoning left out: it is not of this model")
            elif isinstance(part, ToolCall):
                if assistant:
                    yield self._stateless(part)
                else:
                    self._notes.append(f"tool call {part.id!r} left out: no model made it")
            elif isinstance(part, ToolResult):
                yield self._result(part)
            else:
                yield self._content(part, media=media, in_result=False)

    def _result(self, part: ToolResult) -> ToolResult:
        shown = (self._content(one, media=True, in_result=self._features.result_media) for one in part.content)
        content = tuple(_without_blanks(shown, signed=False))
        kept = self._stateless(part)
        return kept if content == part.content else replace(kept, content=content)

    def _content(self, part: Content, *, media: bool, in_result: bool) -> Content:
        kept = self._stateless(part)
        if isinstance(kept, Text):
            return kept
        kept = _plainly(kept)
        kind = "image" if isinstance(kept, Image) else f"document {kept.name}".rstrip()
        why = self._unreadable(kept, in_result=in_result) if media else "only the user's messages and results carry one"
        if not why:
            return kept
        if isinstance(kept, Document) and (text := shown(kept)):
            self._notes.append(f"{kind} shown as text: {why}")
            return text
        self._notes.append(f"{kind} left out: {why}")  # without its URL, which may hold a key
        where = f": {kept.url}" if kept.url and not kept.url.startswith("data:") else ""
        return Text(f"[{kind} left out: {why}{where}]")

    def _unreadable(self, part: Media, *, in_result: bool) -> str:
        """Why the model cannot be shown it; empty where it can."""
        features, can, image = self._features, self._card.capabilities, isinstance(part, Image)
        if not (can.images if image else can.documents):
            return f"this model cannot read {part.media_type}"
        carriers = features.images if image else features.documents
        if ("url" if part.url else "data") not in carriers:
            return f"{features.title} takes no URL" if carriers else f"{features.title} takes none"
        if features.takes(part, in_result=in_result):
            return ""
        return f"{features.title} takes no {part.media_type}{' in a result' * features.takes(part, in_result=False)}"

    def _own(self, part: Part) -> bool:
        origin = part.origin
        return origin is not None and (origin.provider, origin.api, origin.model) == self._origin

    def _stateless(self, part: Spoken) -> Spoken:
        returns = self._features.replays or isinstance(part, ToolCall)
        replayed = part.provider_state is None or (returns and self._own(part))
        return part if replayed else replace(part, provider_state=None)


def _plainly(part: Media) -> Media:
    """The part with its media type as registered: in lower case, without parameters, `image/jpg` by its real name."""
    plain = part.media_type.partition(";")[0].strip().lower()
    plain = "image/jpeg" if plain == "image/jpg" else plain
    return part if plain == part.media_type else replace(part, media_type=plain)


def _without_blanks(parts: Iterable[Spoken], *, signed: bool) -> list[Spoken]:
    """The parts without blank texts, which Anthropic and Bedrock refuse; one between two texts ends the first.

    Where a model may have `signed` its texts a blank one with state stays: Gemini makes such parts and wants them back.
    """
    result: list[Spoken] = []
    for part in parts:
        if not isinstance(part, Text) or part.text.strip() or (signed and part.provider_state is not None):
            result.append(part)
        elif result and isinstance(last := result[-1], Text) and last.provider_state is None:
            result[-1] = replace(last, text=last.text + part.text)
    return result
