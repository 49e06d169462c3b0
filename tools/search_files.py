"""search_files: words or a regular expression in the text files below one folder; each hit is a place to cite."""

from __future__ import annotations

import math
import os
import re
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from orchestra.toolbox import Tool, ToolFailed, ToolRejected, tool
from orchestra.toolbox.confined import Confined
from orchestra.toolbox.regex import search
from orchestra.toolbox.text import lines_of

FILES = 5_000
FILE_BYTES = 2_000_000
BYTES = 50_000_000
SECONDS = 10.0  # of reading files; a regular expression has its own
HITS = 50
NEAR = 10  # lines shown where none holds all words
LINE = 300  # characters shown around a hit
QUERY = 500


class Hit(NamedTuple):
    """A line that matches: the words found in it, and where in the line."""

    path: str
    number: int
    line: str
    words: frozenset[str]
    start: int


class Texts(NamedTuple):
    """The text files that were read, as lines, and what was left out."""

    lines: dict[str, list[str]]
    notes: list[str]


def search_files(root: str | os.PathLike[str]) -> Tool:
    """The tool for the files below `root`. Raises ToolError where that is no folder."""
    folder = Confined(root)

    @tool(read_only=True, idempotent=True)
    def search_files(query: str, mode: Literal["words", "regex"] = "words", path: str = "") -> str:
        """Search the text files of a folder. Returns lines as `path:line: text`, to read on with read_file.

        Args:
            query: what to find; upper and lower case do not matter
            mode: how query is meant: lines that hold all words, or else most, or those that match a regular expression
            path: a folder or file to search in; left out, everything
        """
        if not 0 < len(query.strip()) <= QUERY:
            raise ToolRejected(f"query has {len(query.strip())} characters; give 1 to {QUERY}")
        texts = _read(folder, path)
        hits = _by_words(query, texts.lines) if mode == "words" else _by_regex(query, texts.lines)
        return _told(query, mode, hits, texts)

    return search_files


def _read(folder: Confined, path: str, clock: Callable[[], float] = time.monotonic) -> Texts:
    texts, left, until, skipped = Texts({}, []), BYTES, clock() + SECONDS, 0
    for name in folder.files(path):
        if len(texts.lines) + skipped == FILES or left <= 0 or clock() > until:
            texts.notes.append(
                f"only the first {len(texts.lines) + skipped:,} files were searched; name a folder in path"
            )
            break
        try:
            data = folder.read(name, FILE_BYTES)
        except (ToolFailed, ToolRejected):  # gone, too large, or not ours to read
            data = b"\0"
        left -= len(data)
        if (lines := lines_of(data)) is None:
            skipped += 1
        else:
            texts.lines[name] = lines
    if skipped:
        texts.notes.append(f"{skipped:,} files were skipped: no text, unreadable, or over {FILE_BYTES:,} bytes")
    return texts


def _by_words(query: str, texts: dict[str, list[str]]) -> list[Hit]:
    """The lines that hold all words; where there is none, those that hold most of what is rare, best first."""
    words = {word: _word(word) for word in dict.fromkeys(_folded(query).split())}
    hits: list[Hit] = []
    for path, lines in texts.items():
        for number, line in enumerate(lines, 1):
            text = _folded(line)
            starts = {word: found.start() for word, pattern in words.items() if (found := pattern.search(text))}
            if starts:
                hits.append(Hit(path, number, line, frozenset(starts), min(starts.values())))
    if full := [hit for hit in hits if len(hit.words) == len(words)]:
        return full
    common = Counter(word for hit in hits for word in hit.words)
    weight = {word: math.log(len(hits) / count) for word, count in common.items()}
    return sorted(hits, key=lambda hit: -sum(weight[word] for word in sorted(hit.words)))[:NEAR]


def _word(word: str) -> re.Pattern[str]:
    # A word matches where one begins with it, so that `penguin` finds penguins, but `us` not various.
    border = r"(?<![a-z0-9])" if re.match(r"[a-z0-9]", word) else ""
    return re.compile(border + re.escape(word))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def _by_regex(pattern: str, texts: dict[str, list[str]]) -> list[Hit]:
    found = search(pattern, list(texts.values()))
    return [
        Hit(path, index + 1, lines[index], frozenset(), start)
        for (path, lines), hits in zip(texts.items(), found, strict=True)
        for index, start in hits
    ]


def _told(query: str, mode: str, hits: Sequence[Hit], texts: Texts) -> str:
    shown = [f"{hit.path}:{hit.number}: {_excerpt(hit)}" for hit in hits[:HITS]]
    notes = list(texts.notes)
    words = len(set(_folded(query).split()))
    if not hits:
        notes.insert(0, f"no line of {len(texts.lines):,} text files matches {query!r}; try other or fewer words")
    elif mode == "words" and len(hits[0].words) < words:
        notes.insert(0, f"no line holds all {words} words; the nearest come first")
    if len(hits) > HITS:
        notes.insert(0, f"{HITS} of {len(hits):,} lines; narrow the search")
    return "\n".join([*shown, *(f"[{note}]" for note in notes)])


def _excerpt(hit: Hit) -> str:
    if len(hit.line) <= LINE:
        return hit.line
    begin = max(0, min(hit.start - LINE // 3, len(hit.line) - LINE))
    return f"{'…' if begin else ''}{hit.line[begin : begin + LINE]}{'…' if begin + LINE < len(hit.line) else ''}"
