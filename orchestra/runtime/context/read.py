"""read_result: the tool by which a model reads on in a result that was cut or left out."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from orchestra.runtime.context.results import Kept, Results
from orchestra.toolbox import Tool, ToolRejected, tool

PAGE = 8_000
"""Characters shown at most at once."""


def read_result(results: Results) -> Tool:
    """A read-only tool over these results; offsets and limits are in characters."""

    def read(handle: str, offset: int = 0, limit: int = PAGE) -> str:
        return _page(handle, results.get(handle), offset, limit)

    return replace(_declared(), fn=read)


@cache  # every step has this tool, over results of its own
def _declared() -> Tool:
    @tool(name="read_result", read_only=True, max_result=PAGE + 400)  # room for its own note
    def read(handle: str, offset: int = 0, limit: int = PAGE) -> str:
        """Read on in an earlier tool result that was cut or left out.

        Args:
            handle: the handle that the result's note names
            offset: the character to start at, 0 for the beginning
            limit: how many characters to show, at most 8000
        """
        raise NotImplementedError(f"results are of a step: {handle}, {offset}, {limit}")

    return read


def _page(handle: str, kept: Kept, offset: int, limit: int) -> str:
    there = len(kept.text)
    if not 0 <= offset < max(there, 1):
        raise ToolRejected(f"offset {offset} is outside the result {handle!r}; give 0 to {max(there - 1, 0)}")
    if limit < 1:
        raise ToolRejected(f"limit {limit} shows nothing; give 1 to {PAGE} characters")
    end = min(offset + min(limit, PAGE), there)
    return f"{kept.text[offset:end]}\n[characters {offset:,} to {end:,} of {kept.size:,}; {_more(handle, kept, end)}]"


def _more(handle: str, kept: Kept, end: int) -> str:
    if end < len(kept.text):
        return f'read_result(handle="{handle}", offset={end}) shows more'
    if kept.size > end:
        return f"only the first {end:,} were kept"
    return "this is the end"
