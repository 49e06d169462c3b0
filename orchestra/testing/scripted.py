"""ScriptedModel: an agent's model in a test, without HTTP, yet through the real codec."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import quote

from orchestra.testing.behaviours import Behaviour, Fixed, ScriptError
from orchestra.testing.chat_wire import ChatWire
from orchestra.testing.wire import Exchange, Head, Pause, WireEvent
from orchestra.transport.seam import TransportFault, WireRequest
from orchestra.types import ModelCard, Price, Trigger

if TYPE_CHECKING:
    from orchestra.app import Orchestra


class ScriptedModel:
    """A model that says what it was told to: one reply a request, in order, or what a function makes of each request.

    `replies` holds texts, CallTool and other behaviours, or functions from the request's body to one.
    `requests` records every request's body. Further keywords are fields of its ModelCard.
    """

    def __init__(
        self,
        name: str,
        replies: Iterable[Behaviour] | Callable[[dict[str, Any]], Fixed],
        tier: str = "efficient",
        **card: Any,
    ) -> None:
        self.name = name
        self.requests: list[dict[str, Any]] = []
        self._replies = replies if callable(replies) else [replies] if isinstance(replies, str) else list(replies)
        defaults: dict[str, Any] = {
            "model": name,
            "provider": "scripted",
            "dialect": "openai-chat",
            "base_url": f"http://scripted.invalid/{quote(name, safe='')}/v1",
            "price": Price(0, 0),
        }
        self._card = ModelCard(name=name, tier=tier, **(defaults | card))

    def card(self) -> ModelCard:
        """The card under which a fleet knows this model."""
        return self._card

    def answer(self, body: dict[str, Any]) -> Iterator[WireEvent]:
        """The response to one request. Raises ScriptError where the script has no reply left, or one that is none."""
        self.requests.append(body)
        reply = self._next(body)
        if not isinstance(reply, _FIXED):
            raise ScriptError(
                f"scripted model {self.name!r}: the reply to request {len(self.requests)} is {reply!r:.80}; give a "
                "text, CallTool, Say or another behaviour, or a function (not async) from the request to one"
            )
        return Exchange(ChatWire(), "/chat/completions", body).play(reply)

    def _next(self, body: dict[str, Any]) -> Fixed:
        if callable(self._replies):
            return self._made(self._replies, body)
        number = len(self.requests)
        if number > len(self._replies):
            raise ScriptError(
                f"scripted model {self.name!r} has {len(self._replies)} replies, but request {number} came: "
                f"{_last_message(body)}; add a reply, or give a function from the request to a reply"
            )
        reply = self._replies[number - 1]
        return self._made(reply, body) if callable(reply) else reply

    def _made(self, reply: Callable[[dict[str, Any]], Fixed], body: dict[str, Any]) -> Fixed:
        try:
            return reply(body)
        except (TransportFault, OSError):  # a provider that cannot be reached, as the script says
            raise
        except Exception as error:  # an assertion in it, too, must not pass for a fault of the provider
            raise ScriptError(
                f"scripted model {self.name!r}: its function failed at request {len(self.requests)}: "
                f"{type(error).__name__}: {error}"
            ) from error


def scripted_transport(*models: ScriptedModel) -> ScriptedTransport:
    """A transport on which these models answer."""
    return ScriptedTransport(models)


def scripted_app(*models: ScriptedModel, **options: Any) -> Orchestra:
    """An Orchestra whose fleet is these models; keeps no ledger. `options` are Orchestra's own."""
    from orchestra.app import Orchestra
    from orchestra.fleet import Fleet

    fleet = Fleet.from_cards([model.card() for model in models])
    given: dict[str, Any] = {"transport": scripted_transport(*models), "ledger": None} | options
    return Orchestra(fleet, **given)


class ScriptedTransport:
    """Answers in memory what would have gone out; the model is found by the name in the request's body."""

    def __init__(self, models: Iterable[ScriptedModel]) -> None:
        self._models = {model.card().model: model for model in models}

    async def send(self, request: WireRequest) -> ScriptedResponse:
        """The scripted response. Raises TransportFault where the script says so, ScriptError where it has ended."""
        body = json.loads(request.body)
        model = self._models.get(body["model"])
        if model is None:
            known = ", ".join(self._models) or "none"
            raise ScriptError(f"no scripted model {body['model']!r} for {request.url}; known: {known}")
        events = model.answer(body)
        while not isinstance(event := next(events), Head):
            await _wait(event, TransportFault(Trigger.connection, "the connection was reset", sent="unknown"))
        return ScriptedResponse(event, events)

    async def aclose(self) -> None:
        """Nothing is open."""


class ScriptedResponse:
    """A response in memory."""

    def __init__(self, head: Head, events: Iterator[WireEvent]) -> None:
        self.status = head.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in head.headers}
        self._events = events

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body; what is written without a pause comes together, as it does out of a socket.

        Raises TransportFault where the script cuts it.
        """
        written: list[bytes] = []
        for event in (*self._events, _END):
            if isinstance(event, bytes):
                written.append(event)
                continue
            if written:
                await asyncio.sleep(0)  # let others run, as a socket would
                yield b"".join(written)
                written.clear()
            if event is not _END:
                await _wait(event, TransportFault(Trigger.stream_cut, "the connection broke", sent="yes"))

    async def aclose(self) -> None:
        """Nothing is open."""


_FIXED = tuple(get_args(Fixed))
_END = Pause(0.0)  # nothing comes after it


async def _wait(event: WireEvent, cut: TransportFault) -> None:
    if not isinstance(event, Pause):
        raise cut
    await (asyncio.Event().wait() if event.seconds is None else asyncio.sleep(event.seconds))


def _last_message(body: Mapping[str, Any]) -> str:
    text = json.dumps((body.get("messages") or ["no message"])[-1], ensure_ascii=False)
    return text if len(text) <= 300 else text[:299] + "…"
