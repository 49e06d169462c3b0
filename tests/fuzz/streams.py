"""Streams that no reader may stumble over: replies that are cut, split, mutated and interleaved, and what must hold."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias, get_args

from orchestra.dialects import CODECS, Delta, Encoded
from orchestra.dialects.sse import ServerEvent
from orchestra.types import CallFault, Finish, ModelReply, Reasoning, Text, TextDelta, to_json
from tests.fuzz.replies import Reply, lanes, reply

EVIDENCE = 700  # characters: 600 of the provider's, and ours around them
Trial: TypeAlias = Callable[[], str]

PIECES = 8  # streams of each kind that one reply is good for
EVERY = 200  # replies, of which one is cut and split at every byte


@dataclass(frozen=True)
class Finding:
    """A stream of which something did not hold; `case` is what its random choices were drawn from."""

    case: str
    what: str
    stream: bytes

    def __str__(self) -> str:
        return f"{self.case}: {self.what}\n  {self.stream[:2000]!r}"


@dataclass(frozen=True)
class Read:
    """What came of a stream."""

    deltas: tuple[Delta, ...]
    result: ModelReply | CallFault


def fuzz(dialect: str, streams: int, seed: object) -> Iterator[Finding | None]:
    """So many streams of a dialect: for each what is wrong with it, or None."""
    count, number = 0, 0
    while count < streams:
        number += 1
        case = f"{seed}/{dialect}/{number}"
        draw = random.Random(case)
        for stream, trial in _trials(reply(dialect, draw), draw, every=number % EVERY == 1):
            count, wrong = count + 1, _outcome(trial)
            yield Finding(case, wrong, stream) if wrong else None
            if count == streams:
                return


def read(encoded: Encoded, stream: bytes, sizes: Sequence[int] = ()) -> Read:
    """What a reader makes of a stream that comes in pieces of these sizes, and the rest of it at once."""
    reader = CODECS[_dialect(encoded)].reader(encoded)
    deltas: list[Delta] = []
    start = 0
    for size in (*sizes, len(stream)):
        got = reader.feed(stream[start : start + size])
        if isinstance(got, CallFault):
            return Read(tuple(deltas), got)
        deltas += got
        start += size
    return Read(tuple(deltas), reader.close())


def _dialect(encoded: Encoded) -> str:
    assert encoded.card
    return encoded.card.dialect


def _outcome(trial: Trial) -> str:
    try:
        return trial()
    except Exception as error:  # noqa: BLE001  # whatever a reader raises is what is looked for
        return f"raised {type(error).__name__}: {error}"


def _trials(one: Reply, draw: random.Random, *, every: bool) -> Iterator[tuple[bytes, Trial]]:
    stream = one.spelled()
    yield stream, partial(_intact, one)
    full = read(one.encoded, stream, [1] * len(stream))
    for place in range(len(stream)) if every else [0, draw.randrange(len(stream))]:
        yield stream, partial(_split, one, full, [place])
    yield stream, partial(_split, one, full, _sizes(len(stream), draw))
    for place in range(len(stream)) if every else [draw.randrange(len(stream)) for _ in range(PIECES)]:
        yield stream[:place], partial(_cut, one, full, place, _sizes(place, draw))
    for _ in range(PIECES):
        stream = draw.choice(_MUTATIONS)(one, draw)
        yield stream, partial(_any, one, stream, _sizes(len(stream), draw))
    stream = one.spelled([*_in_turns(one, draw), *one.events[one.content :]])
    yield stream, partial(_in_turns_too, one, full, stream)
    stream = one.spelled(_shuffled([list(one.events), list(reply(one.dialect, draw).events)], draw))
    yield stream, partial(_any, one, stream, _sizes(len(stream), draw))
    yield from _bodies(one, draw, every=every)


def _bodies(one: Reply, draw: random.Random, *, every: bool) -> Iterator[tuple[bytes, Trial]]:
    """The same for a reply that was not streamed, and for the bodies of errors."""
    body = one.whole
    yield body, partial(_body_for_stream, one, _sizes(len(body), draw))
    for place in range(len(body)) if every else [draw.randrange(len(body)) for _ in range(PIECES // 2)]:
        yield body[:place], partial(_cut_body, one, place)
    for _ in range(PIECES // 2):
        broken = json.dumps(_other(json.loads(body), draw)).encode() if draw.random() < 0.5 else _bytes(body, draw)
        yield broken, partial(_any_body, one, broken)
        yield broken, partial(_any_error, one, broken, draw.choice(_STATUS), draw.choice(("3", "x", "-1")))


def _intact(one: Reply) -> str:
    """A reply that its provider does not call a failure is a reply, and its deltas are its text."""
    got = read(one.encoded, one.spelled())
    if isinstance(got.result, CallFault):
        return f"an intact stream became {got.result}" if one.sound else _unsound(got)
    told = _told(got) == got.result.text or got.result.finish == "refusal"
    return _unsound(got) if told else f"the deltas say {_told(got)!r}, the reply {got.result.text!r}"


def _split(one: Reply, full: Read, sizes: Sequence[int]) -> str:
    """However the bytes are split, the same deltas and the same result."""
    return f"split in {sizes}, it is not the same" if _differs(full, read(one.encoded, one.spelled(), sizes)) else ""


def _cut(one: Reply, full: Read, place: int, sizes: Sequence[int]) -> str:
    """A prefix never passes for the reply; once the end has begun it may, and is the reply then."""
    stream, needed = one.spelled(), len(one.spelled(one.events[: one.content]))
    got = read(one.encoded, stream[:place], sizes)
    where = f"cut at {place} of {len(stream)}, content until {needed}"
    if got.deltas != full.deltas[: len(got.deltas)]:
        return f"{where}: it tells something else than the whole stream"
    if isinstance(got.result, ModelReply) and not _is_reply(got.result, full.result, ended=place > needed):
        return f"{where}: it passed for a reply: {got.result}"
    return ""


def _is_reply(got: ModelReply, full: ModelReply | CallFault, *, ended: bool) -> bool:
    if not ended or isinstance(full, CallFault):
        return False
    return (got.parts, got.finish) == (full.parts, full.finish)


def _in_turns_too(one: Reply, full: Read, stream: bytes) -> str:
    """Blocks whose pieces come in turns are the same blocks."""
    got = read(one.encoded, stream)
    return "" if _blocks(got) == _blocks(full) else f"blocks in turns became {got.result}, not {full.result}"


def _any(one: Reply, stream: bytes, sizes: Sequence[int]) -> str:
    """Whatever a stream holds, it becomes a sound reply or a fault, and the same however it is split."""
    got = read(one.encoded, stream, [1] * len(stream))
    for split in ((), sizes):
        if _differs(got, other := read(one.encoded, stream, split)):
            return f"split in {split or 'none'} it became {other.result}, by bytes {got.result}"
    lost = isinstance(got.result, ModelReply) and Counter(_told(got)) - Counter(got.result.text)
    # Text in which calls are written as JSON may turn out to be something else once all of it has come.
    return f"the reply lacks {lost}" if lost and not one.encoded.json_tools else _unsound(got)


def _body_for_stream(one: Reply, sizes: Sequence[int]) -> str:
    """A server that does not stream although it was asked to."""
    full, told = CODECS[one.dialect].decode(one.encoded, one.whole), read(one.encoded, one.whole, sizes).result
    return "" if told == full else f"a body in place of a stream became {told}, not {full}"


def _cut_body(one: Reply, place: int) -> str:
    got = CODECS[one.dialect].decode(one.encoded, one.whole[:place])
    return f"a cut body became {got}" if isinstance(got, ModelReply) else ""


def _any_body(one: Reply, body: bytes) -> str:
    return _unsound(Read((), CODECS[one.dialect].decode(one.encoded, body)))


def _any_error(one: Reply, body: bytes, status: int, wait: str) -> str:
    return _unsound(Read((), CODECS[one.dialect].error(status, {"retry-after": wait}, body)))


_STATUS = (302, 400, 401, 404, 408, 429, 500, 529)


def _differs(by_bytes: Read, other: Read) -> bool:
    """A fault ends the reading, and deltas that came with it in one piece are not told; nothing else may differ."""
    if isinstance(by_bytes.result, CallFault):
        return other != replace(by_bytes, deltas=by_bytes.deltas[: len(other.deltas)])
    return other != by_bytes


def _unsound(got: Read) -> str:
    """What is wrong with a result, whatever the stream was."""
    result = got.result
    json.dumps(to_json(result), allow_nan=False)
    result.partial_text.encode() if isinstance(result, CallFault) else (result.text + result.reasoning).encode()
    if isinstance(result, CallFault):
        return f"the evidence has {len(result.text)} characters" if len(result.text) > EVIDENCE else ""
    ids = [call.id for call in result.tool_calls]
    if len(set(ids)) < len(ids) or not all(ids):
        return f"ids are missing or used twice: {ids}"
    if result.finish not in get_args(Finish):
        return f"finish is {result.finish!r}"
    return ""


def _told(got: Read) -> str:
    return "".join(delta.text for delta in got.deltas if isinstance(delta, TextDelta))


def _blocks(got: Read) -> object:
    if isinstance(got.result, CallFault):
        return got.result.trigger
    calls = [(call.name, call.raw, call.arguments) for call in got.result.tool_calls]
    said = sorted(part.text for part in got.result.parts if isinstance(part, Text | Reasoning))
    return sorted(map(repr, calls)), said, got.result.finish


def _in_turns(one: Reply, draw: random.Random) -> list[ServerEvent]:
    """The content with the pieces of its blocks mixed, those of one block in their order, what is of none in its place."""
    found = list(lanes(one.events[: one.content]))
    by_lane: dict[object, list[ServerEvent]] = {}
    for lane, each in found:
        by_lane.setdefault(lane, []).append(each)
    loose = by_lane.pop(None, [])
    mixed = iter(_shuffled(list(by_lane.values()), draw))
    held = iter(loose)
    return [next(held) if lane is None else next(mixed) for lane, _ in found]


def _shuffled(rows: list[list[ServerEvent]], draw: random.Random) -> list[ServerEvent]:
    turns = [index for index, row in enumerate(rows) for _ in row]
    draw.shuffle(turns)
    left = [iter(row) for row in rows]
    return [next(left[index]) for index in turns]


def _sizes(length: int, draw: random.Random) -> list[int]:
    sizes: list[int] = []
    while sum(sizes) < length:
        sizes.append(draw.choice((1, 1, 2, 3, 7, 20, 90, 400)))
    return sizes


def _bytes(stream: bytes, draw: random.Random) -> bytes:
    """A few bytes changed, left out or put in."""
    broken = bytearray(stream)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(broken) + 1)
        broken[at : at + draw.choice((0, 0, 1, 1, 5))] = draw.choice(_ODD)
    return bytes(broken)


_ODD = (b"", b"\xff", b"\x00", b"\n", b"\r", b"\n\n", b'"', b"}", b"{", b"[", b"data: ", b"\xed\xa0\xbd", b"NaN", b"1e999", b": ")
_HTML = b"<!doctype html><html><body><h1>502 Bad Gateway</h1></body></html>"


def _with_values(one: Reply, draw: random.Random) -> bytes:
    """Some values of some events changed into something else."""
    events = list(one.events)
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(events))
        if (data := _json(events[at])) is not None:
            events[at] = replace(events[at], data=json.dumps(_other(data, draw)))
    return one.spelled(events)


def _with_events(one: Reply, draw: random.Random) -> bytes:
    """Some events left out, told twice, or moved."""
    events = list(one.events)
    for _ in range(draw.randint(1, 3)):
        moved = events.pop(draw.randrange(len(events))) if events else one.events[0]
        for _ in range(draw.choice((0, 1, 1, 2))):
            events.insert(draw.randrange(len(events) + 1), moved)
    return one.spelled(events)


def _with_error(one: Reply, draw: random.Random) -> bytes:
    """An error, or bytes of something else, in the midst of it."""
    at = draw.randrange(len(one.events) + 1)
    error = ServerEvent("error", json.dumps({"type": "error", "error": {"type": "overloaded_error", "message": "m" * 900}}))
    odd = draw.choice((one.spelled([error]), _HTML, b"{", b'{"error": {"message": "no"}}', b"data: null\n\n", b"data: [1]\n\n"))
    return one.spelled(one.events[:at]) + odd + one.spelled(one.events[at:])


_MUTATIONS: tuple[Callable[[Reply, random.Random], bytes], ...] = (
    lambda one, draw: _bytes(one.spelled(), draw),
    _with_values,
    _with_values,
    _with_events,
    _with_error,
    lambda one, draw: _bytes(_with_values(one, draw), draw),
)


def _json(one: ServerEvent) -> Any:
    try:
        return json.loads(one.data)
    except ValueError:
        return None


def _other(value: Any, draw: random.Random) -> Any:
    """The JSON value with something else in one place."""
    inner = list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    if not inner or draw.random() < 0.1:
        return draw.choice(_VALUES)
    key, item = draw.choice(inner)
    if draw.random() < 0.1:
        return [each for at, each in inner if at != key] if isinstance(value, list) else {k: v for k, v in inner if k != key}
    changed = dict(inner) | {key: _other(item, draw)}
    return list(changed.values()) if isinstance(value, list) else changed


_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1e308, 2**70, "", "stop", "x", "\ud83d", "x" * 2000, [], [None], [[]], {}, {"": None}, {"type": "error"},
    {"error": "no"}, '{"a": 1}{"a": 2}',
)  # fmt: skip
