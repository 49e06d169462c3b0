"""Citations: whether what an answer cites exists and says what the answer says it says; whether findings conflict."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NamedTuple, TypeAlias

from orchestra.checks.wording import cut, listing

Documents: TypeAlias = Mapping[str, Sequence[str]]  # a document's lines by its name; may read them only when asked

LONGEST = 20  # lines that one citation may span: a whole document proves nothing
_WORD = re.compile(r"[^\W_]+")
_NUMBER = re.compile(  # grouped by thousands in one of two ways, or plain
    r"(?<![\w.])(?:\d{1,3}(?:'\d{3}(?!\d))+(?:[.,]\d+)?|\d{1,3}(?:,\d{3}(?!\d))+(?:\.\d+)?|\d+(?:[.,]\d+)?)"
)
_NO_BREAK = str.maketrans({"\u00a0": "'", "\u202f": "'"})  # between the thousands of a number
_THOUSANDS = re.compile(r"(?<=\d)\s(?=\d{3}(?!\d))")
_EMPTIED = re.compile(r"(?<!\s)\s*[\[(`][\s`]*[\])`]")  # brackets whose citation was taken out
_MARKS = "[](),;:\n"  # none stands in a document's name
_CITED = re.compile(r":(\d{1,9})(?:[-\u2013](\d{1,9}))?")  # behind a name, which is looked for from here
_LONGEST_NAME = 4096  # characters: no path is longer
_AROUND = "`*'\"<> "  # may stand around a name
_MOST_AROUND = 20  # characters of these before it
_QUOTED = re.compile(r"[\"\u201c\u201e\u00ab]([^\"\u201c\u201d\u201e\u00ab\u00bb]+)[\"\u201d\u201c\u00bb]")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_BETWEEN = re.compile(f"({_SENTENCE.pattern})")  # kept when a text is split
_UNCITED = "no source is cited; write after each fact where it stands as [file:line], such as [notes.md:12]"
_OWN_SENTENCE = "; what follows from other facts belongs in a sentence of its own, without a citation"
_FILLING = frozenset({"a", "an", "and", "at", "by", "for", "from", "in", "is", "of", "on", "the", "to", "was", "with"})


@dataclass(frozen=True, slots=True)
class Finding:
    """What a document says: of `claim`, the `value` as it stands on `line` (counted from 1) of `file`."""

    claim: str
    value: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Citation:
    """`file:first-last`, lines counted from 1."""

    file: str
    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.file}:{self.first}" + (f"-{self.last}" if self.last != self.first else "")


class _Line(NamedTuple):
    told: frozenset[str]  # its numbers
    words: set[str]


def finding_faults(findings: Sequence[Finding], documents: Documents) -> tuple[str, ...]:
    """What is wrong with findings, one fault a text: a missing document or line, a value that does not stand there.

    A value stands on a line where all its numbers do or, where it has none, all its words. A value that runs over
    the end of a line is found where it begins.
    """
    faults = (_finding_fault(one, documents) for one in findings)
    return tuple(fault for fault in faults if fault is not None)


def citation_faults(text: str, documents: Documents, *, given: str = "") -> tuple[str, ...]:
    """What is wrong with the citations `file:line` in a text, one fault a text; a text without any is a fault.

    In a sentence that cites, every number and every quotation must stand on a cited line, and each cited line must
    share a number or a longer word with it. What follows from other facts belongs in a sentence of its own. Numbers
    of `given` (the question) need no source.
    """
    claims = cited(text, documents)
    if not claims:
        return (_UNCITED,)
    missing = [_missing(one, documents) for _, found in claims for one in found]
    if any(missing):
        return tuple(dict.fromkeys(fault for fault in missing if fault is not None))
    known = numbers(given)
    return tuple(fault for said, found in claims for fault in _unproved(said, found, documents, known))


def cited(text: str, documents: Documents) -> tuple[tuple[str, tuple[Citation, ...]], ...]:
    """The sentences that cite `file:line` or `file:line-line`, without their citations, and these; `10:30` is none."""
    claims: list[tuple[str, tuple[Citation, ...]]] = []
    before = ""
    for sentence in _SENTENCE.split(text):
        said, found = _read(sentence, documents)
        said = said if _WORD.search(said) else before  # citations may stand behind the full stop
        if found:
            claims.append((said, found))
        before = said
    return tuple(claims)


def attributed(text: str, places: Mapping[Citation, str], documents: Documents, *, given: str = "") -> str:
    """The text with its sources, out of `places`, behind each sentence that cites nothing but stands there.

    A place comes with what has been said of it, or "". A sentence stands where each of its numbers does, but for those
    of `given`, and half of its longer words; one without such numbers where most of its words do.
    """
    lines = {place: _line(place, said, documents) for place, said in places.items() if not _missing(place, documents)}
    parts = _BETWEEN.split(text)  # sentences at even places
    read = [_read(sentence, documents) for sentence in parts[::2]]
    for at, (said, found) in enumerate(read):
        behind = at + 1 < len(read) and read[at + 1][1] and not _WORD.search(read[at + 1][0])
        if not found and not behind:
            told = "".join(f" [{place}]" for place in _sources(said, lines, numbers(given)))
            core = parts[2 * at].rstrip().rstrip(".!?")
            parts[2 * at] = core + told + parts[2 * at][len(core) :]
    return "".join(parts)


def conflicts(findings: Sequence[Finding]) -> tuple[tuple[Finding, ...], ...]:
    """Findings of one claim with different values, the first of each value.

    Claims are the same where their words are, but for their order and for the value, which may stand in the claim too.
    """
    claims: dict[frozenset[str], dict[frozenset[str], Finding]] = {}
    for one in findings:
        key = frozenset(_words(one.claim)) - _FILLING - numbers(one.value)
        claims.setdefault(key, {}).setdefault(numbers(one.value) or frozenset(_words(one.value)), one)
    return tuple(tuple(values.values()) for values in claims.values() if len(values) > 1)


def untold(text: str, findings: Sequence[Finding]) -> tuple[str, ...]:
    """The conflicts of findings of which a text does not tell every value, one a sentence with its sources."""
    return tuple(
        f"The sources differ ({cut(values[0].claim, 100)}): "
        + ", ".join(f"{cut(one.value, 100)} [{one.file}:{one.line}]" for one in values)
        for values in conflicts(findings)
        if not all(_stands(one.value, text) for one in values)
    )


def numbers(text: str) -> frozenset[str]:
    """The numbers in a text, each in one spelling: 1,234.50 and 1234,5 are the same."""
    folded = unicodedata.normalize("NFKC", text.translate(_NO_BREAK))
    return frozenset(_plain(number) for number in _NUMBER.findall(folded))


def _plain(number: str) -> str:
    grouped = re.sub(r"[,'](?=\d{3}(?!\d))", "", number) if re.match(r"\d{1,3}[,']", number) else number
    whole, _, part = grouped.replace(",", ".").partition(".")
    part = part.rstrip("0")
    return f"{whole.lstrip('0') or '0'}{f'.{part}' if part else ''}"


def _told(text: str) -> frozenset[str]:
    """The numbers that a source tells, also where the spaces between thousands may have been copied as others."""
    return numbers(text) | numbers(_THOUSANDS.sub(" ", text)) | numbers(_THOUSANDS.sub("'", text))


def _finding_fault(finding: Finding, documents: Documents) -> str | None:
    if fault := _place_fault(finding.file, finding.line, finding.line, documents):
        return fault
    lines = documents[finding.file]
    at = finding.line - 1
    if _stands(finding.value, lines[at]) or _runs_over(finding.value, lines[at : at + 2]):
        return None
    elsewhere = [f"{number}" for number, line in enumerate(lines, 1) if _stands(finding.value, line)]
    hint = f"; it stands on line {listing(elsewhere)}" if elsewhere else "; it stands nowhere in this document"
    place = f"{finding.file}:{finding.line}"
    return f"{place} reads {cut(lines[at].strip(), 100)!r}, {cut(finding.value, 60)!r} does not stand there{hint}"


def _place_fault(file: str, first: int, last: int, documents: Documents) -> str | None:
    if file not in documents:
        near = get_close_matches(file, list(documents), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known: {listing(list(documents))}"
        return f"{file}: there is no such document{hint}"
    count = len(documents[file])
    if not 1 <= first <= last <= count:
        return f"{file}:{first}: there is no such line; {file} has {count} lines, counted from 1"
    if last - first >= LONGEST:
        return f"{file}:{first}-{last}: too many lines for one citation; cite the line itself"
    return None


def _read(sentence: str, documents: Documents) -> tuple[str, tuple[Citation, ...]]:
    found: list[Citation] = []
    kept: list[str] = []
    end = 0
    for match in _CITED.finditer(sentence):
        start = max(end, *(sentence.rfind(mark, end, match.start()) + 1 for mark in _MARKS))
        if start == match.start():
            continue
        before = sentence[start : match.start()]
        file = _file(before[-_LONGEST_NAME:], documents)
        if file is None:
            kept.append(sentence[end : match.end()])
        else:
            found.append(Citation(file, int(match[1]), int(match[2] or match[1])))
            kept.append(sentence[end:start] + before[: before.rindex(file)])
        end = match.end()
    said = "".join(kept) + sentence[end:]
    return _EMPTIED.sub("", said).strip(), tuple(found)


def _sources(said: str, lines: Mapping[Citation, _Line], known: frozenset[str]) -> list[Citation]:
    """Where a sentence stands: for each of its numbers the lines that have most words in common with it."""
    words, sources = _long(said), list[Citation]()
    for number in sorted(numbers(said) - known) or ([""] if words else []):
        holding = {place: len(words & line.words) for place, line in lines.items() if not number or number in line.told}
        most = max(holding.values(), default=0)
        sources += [place for place, common in holding.items() if common == most]
        if not holding:
            return []
    shared = {word for place in sources for word in words & lines[place].words}
    return list(dict.fromkeys(sources)) if 2 * len(shared) >= len(words) else []


def _line(place: Citation, said: str, documents: Documents) -> _Line:
    text = " ".join(documents[place.file][place.first - 1 : place.last])
    return _Line(_told(text), _long(f"{text} {said} {place.file}"))


def _missing(place: Citation, documents: Documents) -> str | None:
    return _place_fault(place.file, place.first, place.last, documents)


def _unproved(said: str, found: Sequence[Citation], documents: Documents, known: frozenset[str]) -> Iterator[str]:
    """What of a sentence stands on none of the lines it cites; else the lines that have nothing to do with it."""
    texts = {one: " ".join(documents[one.file][one.first - 1 : one.last]) for one in found}
    together = " ".join(texts.values())
    missing = sorted(numbers(said) - known - _told(together))
    missing += [quote for quote in _QUOTED.findall(said) if _folded(quote) not in _folded(together)]
    if missing:
        sources = ", ".join(map(str, found))
        yield f"{sources} reads {cut(together, 200)!r}; {listing(missing)} does not stand there{_OWN_SENTENCE}"
        return
    for one, text in texts.items():
        if not (numbers(said) & _told(text) or _long(said) & _long(text)):
            yield f"{one} reads {cut(text, 100)!r}, which says nothing of {cut(said, 60)!r}"


def _stands(value: str, line: str) -> bool:
    if wanted := numbers(value):
        return wanted <= _told(line)
    words = _words(value)
    return bool(words) and set(words) <= set(_words(line))


def _runs_over(value: str, lines: Sequence[str]) -> bool:
    return len(lines) == 2 and _stands(value, " ".join(lines)) and not _stands(value, lines[1])


def _file(before: str, documents: Documents) -> str | None:
    """The document that the text before a colon ends in: a known one, whose name may hold spaces, or a path."""
    ending = before.rstrip(_AROUND)[-max(map(len, documents), default=0) - _MOST_AROUND :]  # no name is longer
    words = ending.split(" ")
    for start in range(len(words)):
        name = " ".join(words[start:]).strip(_AROUND)
        if name in documents:
            return name
    last = before.rpartition(" ")[2].strip(_AROUND)
    return last if re.search(r"\.[^\W\d]|/", last) and not last.startswith("//") else None


def _long(text: str) -> set[str]:
    return {word for word in _words(text) if len(word) > 3 and not word.isdigit()}


def _words(text: str) -> list[str]:
    return _WORD.findall(_folded(text))


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
