"""http_get: what a model reads of a page."""

from __future__ import annotations

import threading

import pytest

from orchestra.toolbox import ToolFailed, ToolRejected, execute, load_tools
from orchestra.transport import Page, TransportFault, UrlRefused
from orchestra.types import Text, ToolCall, Trigger

module = load_tools("http_get")
URL = "https://example.com/"


async def read(body: bytes, kind: str = "text/html", *, status: int = 200, url: str = URL, cut: bool = False) -> str:
    async def fetched(_: str) -> Page:
        return Page(url, status, {"content-type": kind} if kind else {}, body, cut)

    return await module.get(URL, fetched)


async def test_html_is_read_as_text_and_all_else_as_it_is() -> None:
    assert await read(b"<h1>Prices</h1><script>x</script><p>2 &euro;") == "# Prices\n2 €"
    assert await read(b" <!doctype html><p>x", "") == "x"
    assert await read(b'{"a": "<p>"}', "application/json") == '{"a": "<p>"}'
    assert await read(b"a < b", "text/plain") == "a < b"
    assert await read(b"plain", "") == "plain"
    assert await read(b"", "image/png") == "[the page is empty]"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("grün".encode(), "text/plain"),
        ("grün".encode("latin-1"), "text/plain; charset=ISO-8859-1"),
        ("grün".encode("utf-16"), "text/plain"),
        ("grün".encode("utf-8-sig"), "text/plain; charset=latin-1"),
        ("grün".encode("shift_jis", "replace").replace(b"?", "ü".encode()), "text/plain; charset=no-such"),
        *(("grün".encode(), f"text/plain; charset={odd}") for odd in ("hex", "rot13", "idna", "undefined", "zlib")),
        (b'<meta charset="windows-1252"><p>gr\xfcn', "text/html"),
        (b'<meta http-equiv="Content-Type" content="text/html; charset=iso-8859-1"><p>gr\xfcn', "text/html"),
    ],
)
async def test_the_encoding_is_what_the_mark_the_header_or_the_page_says(body: bytes, kind: str) -> None:
    assert await read(body, kind) == "grün"


async def test_what_was_redirected_or_cut_is_said() -> None:
    assert await read(b"x", url="https://example.com/b") == "x\n[from https://example.com/b]"
    assert await read(b"x" * 9, "text/plain", cut=True) == f"{'x' * 9}\n[cut: only the first 9 bytes were read]"


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"x", "image/png"), (b"x", "application/octet-stream"), (b"a\0", ""), (b"%PDF", "application/pdf")],
)
async def test_what_is_no_text_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(ToolFailed, match="only text, HTML, JSON and XML can be read"):
        await read(body, kind)


@pytest.mark.parametrize(
    "kind", ["application/problem+json", "application/xhtml+xml", "application/xml; charset=utf-8"]
)
async def test_text_has_many_types(kind: str) -> None:
    assert "x" in await read(b"x", kind)


@pytest.mark.parametrize(
    ("status", "kind", "told"),
    [
        (404, "text/html", "HTTP 404 Not Found from https://example.com/\n# Gone"),
        (503, "image/png", "HTTP 503 Service Unavailable from https://example.com/"),
        (799, "text/html", "HTTP 799  from https://example.com/\n# Gone"),
        (304, "text/html", "HTTP 304 Not Modified from https://example.com/\n# Gone"),
    ],
)
async def test_another_status_is_a_failure_and_said(status: int, kind: str, told: str) -> None:
    with pytest.raises(ToolFailed) as error:
        await read(b"<h1>Gone</h1>", kind, status=status)
    assert str(error.value) == told


async def test_a_failed_calls_status_is_told_even_if_its_page_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(_: str) -> str:
        raise ToolFailed("the page cannot be read: its tags have no ends")

    monkeypatch.setattr(module, "readable_text", unreadable)
    with pytest.raises(ToolFailed) as error:
        await read(b"<a <a <a", status=404)
    assert str(error.value) == "HTTP 404 Not Found from https://example.com/"


async def test_a_refused_url_is_the_models_mistake_and_a_broken_fetch_is_not() -> None:
    async def refused(_: str) -> Page:
        raise UrlRefused("no")

    async def broken(_: str) -> Page:
        raise TransportFault(Trigger.timeout, "too slow", sent="unknown")

    with pytest.raises(ToolRejected, match="no"):
        await module.get(URL, refused)
    with pytest.raises(ToolFailed, match="too slow"):
        await module.get(URL, broken)


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://localhost/", "http://[::1]/", "file:///etc/passwd"])
async def test_a_model_has_no_way_into_this_machine(url: str) -> None:
    outcome = await execute(module.http_get, ToolCall("1", "http_get", {"url": url}))
    (part,) = outcome.result.content
    assert outcome.trigger is Trigger.tool_rejected
    assert isinstance(part, Text)
    assert "no public internet address" in part.text or "no web address" in part.text
    assert list(module.http_get.schema["properties"]) == ["url"]


async def test_a_page_is_read_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "readable_text", lambda text: threading.current_thread().name)
    assert await read(b"<p>x") != threading.current_thread().name
