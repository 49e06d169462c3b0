"""An attempt that fits the money: its upper bound reserved, its output tokens shrunk to what is left."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import replace

from orchestra.dialects import Codec, Encoded, output_bound
from orchestra.dispatch.purse import Purse, Reservation
from orchestra.fleet import bound
from orchestra.fleet.estimates import MIN_OUTPUT
from orchestra.types import Document, Image, ModelCard, Part, Price, Request, ToolResult

PER_TOKEN = 1e-6  # prices are USD per million tokens

IMAGE_BOUND = 4_096
"""Tokens that no provider exceeds for one image."""


async def afford(
    purse: Purse, request: Request, card: ModelCard, codec: Codec, *, within: float
) -> tuple[Encoded, Reservation]:
    """Encode `request` for `card` and reserve the most it can cost, of a purse that is capped.

    Waits for concurrent attempts to give back what they do not need before it shrinks `max_tokens`. Raises
    BudgetExceeded where not even `MIN_OUTPUT` tokens fit, or the price is unknown under a cap; TimeoutError where that
    is still open `within` seconds.
    """
    wanted = output_bound(request.settings.max_tokens, card)
    asked = request.settings.max_tokens
    encoded = codec.encode(_with_max_tokens(request, wanted) if asked is None else request, card)
    read = input_bound(encoded, request, card)
    async with asyncio.timeout(within):
        await purse.settled(bound(card.price, read, wanted))
    tokens = _affordable(purse, card.price, read, wanted)
    if tokens < wanted:
        encoded = codec.encode(_with_max_tokens(request, tokens), card)
        encoded = replace(
            encoded, notes=(*encoded.notes, f"max_tokens {asked or wanted} -> {tokens}: the money that is left")
        )
    return encoded, purse.reserve(bound(card.price, read, tokens), model=f"model {card.name!r}")


def input_bound(encoded: Encoded, request: Request, card: ModelCard) -> int:
    """The most input tokens a request can have: one a byte, `IMAGE_BOUND` an image, never more than the window.

    No tokenizer makes more than one token of a byte; a document by URL may fill the whole window.
    """
    media = [part for message in request.messages for part in _media(message.parts)]
    if any(isinstance(part, Document) and part.url for part in media):
        return card.window
    images = [(part.data or "").encode() for part in media if isinstance(part, Image)]
    sent = sum(len(data) for data in images if data in encoded.body)  # a codec may have left it out
    return min(card.window, len(encoded.body) - sent + IMAGE_BOUND * len(images))


def _media(parts: Iterable[Part]) -> Iterator[Image | Document]:
    for part in parts:
        if isinstance(part, Image | Document):
            yield part
        elif isinstance(part, ToolResult):
            yield from _media(part.content)


def _affordable(purse: Purse, price: Price | None, read: int, wanted: int) -> int:
    """Output tokens that fit the money that is left, between the minimum and `wanted`."""
    if price is None or purse.left is None or purse.fits(bound(price, read, wanted)):
        return wanted
    for_output = purse.left - read * price.dearest_input * PER_TOKEN
    fitting = int(for_output / (price.output * PER_TOKEN)) if price.output else 0
    return max(fitting, min(wanted, MIN_OUTPUT))


def _with_max_tokens(request: Request, tokens: int) -> Request:
    return replace(request, settings=replace(request.settings, max_tokens=tokens))
