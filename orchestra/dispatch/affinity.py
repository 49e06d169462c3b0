"""Affinity: by what a request's cached prompt is found again: its beginning, shared by many, and its conversation."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b
from itertools import takewhile

from orchestra.dispatch.target import Target
from orchestra.types import Request

SHORTEST = 3_600
"""Characters, about 1,024 tokens: the shortest beginning that OpenAI and Anthropic cache, by their documentation."""

DECLARATION = 400
"""Characters that a tool's declaration has at least; writing it out to count would take longer than picking."""


@dataclass(frozen=True, slots=True)
class Affinity:
    """Names of what may be cached; equal names, equal text. `prefix` is "" where it is too short to be cached.

    That of a prefix is the same in every process, that of a conversation in this one.
    """

    prefix: str
    conversation: int


def affinity(request: Request) -> Affinity:
    """What to look for: tools and system messages are the prefix, the message after them tells conversations apart.

    A conversation keeps its name as it grows, so a history given anew with each call is recognised too. It takes no
    more than a glance at the head, and is of use only where a model has several targets.
    """
    head = list(takewhile(lambda message: message.role == "system", request.messages))
    names = "\0".join([tool.name for tool in request.tools])
    system = "\0".join([message.text for message in head])
    length = len(system) + DECLARATION * len(request.tools)
    prefix = _digest(f"{names}\0{system}") if length >= SHORTEST else ""
    first = [message.text for message in request.messages[len(head) : len(head) + 1]]
    return Affinity(prefix, hash((names, system, *first)))


def _digest(text: str) -> str:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=12).hexdigest()


class Sessions:
    """Where conversations were last, `most` of them; the longest silent are forgotten. Kept for each model."""

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._last: OrderedDict[tuple[int, str], Target] = OrderedDict()

    def last(self, conversation: int, model: str) -> Target | None:
        """The target of this model that answered it last; None for a new or a forgotten one."""
        return self._last.get((conversation, model))

    def keep(self, conversation: int, target: Target) -> None:
        """It was answered there: its prompt is cached there now."""
        self._last[conversation, target.model] = target
        self._last.move_to_end((conversation, target.model))
        if len(self._last) > self._most:
            self._last.popitem(last=False)
