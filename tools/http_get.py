"""http_get: one public web page as text, fetched so that no page leads into the network this machine stands in."""

from __future__ import annotations

import asyncio
import codecs
import http
import re
from collections.abc import Awaitable, Callable

from orchestra.toolbox import ToolFailed, ToolRejected, tool
from orchestra.toolbox.html import readable_text
from orchestra.transport import Page, TransportFault, UrlRefused, fetch

_TEXT = re.compile(r"text/|application/(.*\+)?(json|xml|yaml|toml|javascript|x-ndjson|xhtml)\b")
_META = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_CHARSET = re.compile(r"charset\s*=\s*\"?([\w.:-]+)", re.IGNORECASE)


@tool(read_only=True, idempotent=True)
async def http_get(url: str) -> str:
    """Get a public web page: HTML as readable text, JSON and plain text as they are.

    Args:
        url: the whole address, such as https://example.com/page
    """
    return await get(url)


async def get(url: str, fetch: Callable[[str], Awaitable[Page]] = fetch) -> str:
    """The page as text. Raises ToolRejected for a URL that is not fetched, else ToolFailed."""
    try:
        page = await fetch(url)
    except UrlRefused as error:
        raise ToolRejected(str(error)) from None
    except TransportFault as error:
        raise ToolFailed(str(error)) from None
    if not 200 <= page.status < 300:
        told = await asyncio.to_thread(_beginning, page)
        raise ToolFailed(f"HTTP {page.status} {_phrase(page.status)} from {page.url}\n{told}".strip())
    text = await asyncio.to_thread(_text, page)  # a large one takes seconds
    notes = [f"[from {page.url}]"] if page.url != url else []
    notes += [f"[cut: only the first {len(page.body):,} bytes were read]"] if page.cut else []
    return "\n".join([text or "[the page is empty]", *notes])


def _beginning(page: Page) -> str:
    """What the page of a failed call tells; nothing where it cannot be read."""
    try:
        return _text(page)[:1000]
    except ToolFailed:
        return ""


def _text(page: Page) -> str:
    kind = page.headers.get("content-type", "").strip().lower()
    if page.body and (not _TEXT.match(kind) if kind else b"\0" in page.body):
        raise ToolFailed(f"{page.url} is {kind or 'no text'}; only text, HTML, JSON and XML can be read")
    text = _decoded(page.body, _charset(kind, page.body))
    return readable_text(text) if "html" in kind or (not kind and text.lstrip()[:1] == "<") else text


def _charset(kind: str, body: bytes) -> str:
    """As the mark, the header or the page says, else UTF-8."""
    marks = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
    for mark, encoding in marks.items():
        if body.startswith(mark):
            return encoding
    said = _CHARSET.search(kind)
    meta = _META.search(body[:2048])
    named = said[1] if said else meta[1].decode("ascii") if meta else "utf-8"
    try:
        return "cp1252" if codecs.lookup(named).name == "iso8859-1" else named  # as browsers read it
    except LookupError:
        return "utf-8"


def _decoded(body: bytes, charset: str) -> str:
    try:
        return body.decode(charset, errors="replace")
    except (LookupError, UnicodeError):  # rot13 and the like are no text encodings, idna knows no replacement
        return body.decode(errors="replace")


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return ""
