"""A web page as text to read: headings, paragraphs, lists, links; no scripts, no styles."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser

from orchestra.toolbox.faults import ToolFailed

SECONDS = 10.0
_SILENT = frozenset({"script", "style", "template", "noscript", "svg", "iframe", "object", "select"})
_BLOCK = re.compile(
    "address|article|aside|blockquote|body|br|dd|div|dl|dt|fieldset|figcaption|figure|footer|form|h[1-6r]|head|header|li|"
    "main|nav|ol|p|pre|section|table|tbody|tfoot|thead|title|tr|ul"
)
_STARTS = {"li": "- ", "td": " | ", "th": " | "} | {f"h{level}": "#" * level + " " for level in range(1, 7)}


def readable_text(page: str, *, seconds: float = SECONDS) -> str:
    """The text of an HTML page, one block a line; the title first, list items and headings marked, tables by bars.

    It takes a second for a megabyte: call it in a thread. Raises ToolFailed after `seconds` of the thread's own
    processor time: html.parser looks for the end of each tag that has none, in all that follows.
    """
    reader = _Reader(time.thread_time() + seconds)
    reader.feed(page.replace("<![", "<! ["))  # a comment to a browser; html.parser raises on an unknown section's name
    reader.close()
    lines = (re.sub(r"[ \t]+", " ", line).strip().removeprefix("| ") for line in "".join(reader.pieces).split("\n"))
    return "\n".join(line for line in lines if line.strip("-#| "))


class _Reader(HTMLParser):
    def __init__(self, until: float) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._silent = ""
        self._until = until

    def updatepos(self, i: int, j: int) -> int:
        """Called for each piece of the page, whatever it is."""
        if time.thread_time() > self._until:
            raise ToolFailed("the page cannot be read: its tags have no ends")
        return super().updatepos(i, j)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002  # the seam's
        if self._silent:
            return
        if tag in _SILENT:
            self._silent = tag
        if _BLOCK.fullmatch(tag):
            self.pieces.append("\n")
        self.pieces.append(_STARTS.get(tag, ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == self._silent:
            self._silent = ""
        if _BLOCK.fullmatch(tag):
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.pieces.append(re.sub(r"\s+", " ", data))
