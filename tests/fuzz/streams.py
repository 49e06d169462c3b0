"""Streams that no reader may stumble over: replies that are cut, split, mutated and interleaved, and what must hold."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias, get_args

from orchestra.dialects import CODECS, Delta, Encoded
from orchestra.types import CallFault, Finish, Message, ModelReply, Reasoning, Request, Text, TextDelta, to_json
from tests.fuzz.mutations import MUTATIONS, damaged, in_turns, other, shuffled, sizes
from tests.fuzz.replies import DIALECTS, Reply, reply

EVIDENCE = 700  # characters: 600 of the provider's, and ours around them
Trial: TypeAlias = Callable[[], str]

PIECES = 8  # streams of each kind that one reply is good for
EVERY = 25  # replies, of which one is cut and split at every byte


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
        for stream, trial in _trials(reply(dialect, draw), draw, everywhere=number % EVERY == 0):
            count, wrong = count + 1, _outcome(trial)
            yield Finding(case, wrong, stream) if wrong else None
            if count == streams:
                return


def read(encoded: Encoded, stream: bytes, pieces: Sequence[int] = ()) -> Read:
    """What a reader makes of a stream that comes in pieces of these sizes, and the rest of it at once."""
    reader = CODECS[_dialect(encoded)].reader(encoded)
    deltas: list[Delta] = []
    start = 0
    for size in (*pieces, len(stream)):
        deltas += reader.feed(stream[start : start + size])
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


def _trials(one: Reply, draw: random.Random, *, everywhere: bool) -> Iterator[tuple[bytes, Trial]]:
    stream = one.spelled()
    yield stream, partial(_intact, one)
    full = read(one.encoded, stream, [1] * len(stream))
    if everywhere:
        yield stream, partial(_everywhere, one, full)
    for pieces in ((), [draw.randrange(len(stream))], sizes(len(stream), draw)):
        yield stream, partial(_split, one, full, pieces)
    for place in (draw.randrange(len(stream)) for _ in range(PIECES)):
        yield stream[:place], partial(_cut, one, full, place, sizes(place, draw))
    for _ in range(PIECES):
        stream = draw.choice(MUTATIONS)(one, draw)
        yield stream, partial(_any, one, stream, sizes(len(stream), draw))
    stream = one.spelled([*in_turns(one, draw), *one.events[one.content :]])
    yield stream, partial(_in_turns_too, one, full, stream)
    stream = one.spelled(shuffled([list(one.events), list(reply(one.dialect, draw).events)], draw))
    yield stream, partial(_any, one, stream, sizes(len(stream), draw))
    yield from _bodies(one, draw)


def _bodies(one: Reply, draw: random.Random) -> Iterator[tuple[bytes, Trial]]:
    """The same for a reply that was not streamed, and for the bodies of errors."""
    body = one.whole
    yield body, partial(_body_for_stream, one, sizes(len(body), draw))
    for place in (draw.randrange(len(body)) for _ in range(PIECES // 2)):
        yield body[:place], partial(_cut_body, one, place)
    for _ in range(PIECES // 2):
        broken = json.dumps(other(json.loads(body), draw)).encode() if draw.random() < 0.5 else damaged(body, draw)
        yield broken, partial(_any_body, one, broken)
        yield broken, partial(_any_error, one, broken, draw.choice(_STATUS), draw.choice(("3", "x", "-1")))


def _replayed(result: ModelReply, encoded: Encoded) -> None:
    """What a model wrote goes back in the next request, to its own provider or to another; raises what that raises."""
    assert encoded.card
    place = DIALECTS.index(encoded.card.dialect) + 1
    said = (Message.user("What now?"), Message("assistant", result.parts), Message.user("And?"))
    for dialect in (encoded.card.dialect, DIALECTS[place % len(DIALECTS)]):
        body = CODECS[dialect].encode(Request(said, encoded.tools), replace(encoded.card, dialect=dialect)).body
        json.loads(body, parse_constant=_no_json)


def _no_json(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")


def _intact(one: Reply) -> str:
    """A reply that its provider does not call a failure is a reply, and its deltas are its text."""
    got = read(one.encoded, one.spelled())
    if isinstance(got.result, CallFault):
        return f"an intact stream became {got.result}" if one.sound else _unsound(got, one.encoded)
    told = _told(got) == got.result.text or got.result.finish == "refusal"
    return _unsound(got, one.encoded) if told else f"the deltas say {_told(got)!r}, the reply {got.result.text!r}"


def _split(one: Reply, full: Read, pieces: Sequence[int]) -> str:
    """However the bytes are split, the same deltas and the same result."""
    return f"split in {pieces}, it is not the same" if full != read(one.encoded, one.spelled(), pieces) else ""


def _everywhere(one: Reply, full: Read) -> str:
    """Split in two, and cut, at every byte; and so the body."""
    places = range(len(one.spelled()))
    found = (_split(one, full, [place]) or _cut(one, full, place, ()) for place in places)
    return next(filter(None, found), "") or next(filter(None, (_cut_body(one, at) for at in range(len(one.whole)))), "")


def _cut(one: Reply, full: Read, place: int, pieces: Sequence[int]) -> str:
    """A prefix never passes for the reply; once the end has begun it may, and is the reply then."""
    stream, needed = one.spelled(), len(one.spelled(one.events[: one.content]))
    got = read(one.encoded, stream[:place], pieces)
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


def _any(one: Reply, stream: bytes, pieces: Sequence[int]) -> str:
    """Whatever a stream holds, it becomes a sound reply or a fault, and the same however it is split."""
    got = read(one.encoded, stream, [1] * len(stream))
    for split in ((), pieces):
        if got != (again := read(one.encoded, stream, split)):
            return f"split in {split or 'none'} it became {again.result}, by bytes {got.result}"
    lost = isinstance(got.result, ModelReply) and Counter(_told(got)) - Counter(got.result.text)
    # Text in which calls are written as JSON may turn out to be something else once all of it has come.
    return f"the reply lacks {lost}" if lost and not one.encoded.json_tools else _unsound(got, one.encoded)


def _body_for_stream(one: Reply, pieces: Sequence[int]) -> str:
    """A server that does not stream although it was asked to."""
    full, told = CODECS[one.dialect].decode(one.encoded, one.whole), read(one.encoded, one.whole, pieces).result
    return "" if told == full else f"a body in place of a stream became {told}, not {full}"


def _cut_body(one: Reply, place: int) -> str:
    got = CODECS[one.dialect].decode(one.encoded, one.whole[:place])
    return f"a cut body became {got}" if isinstance(got, ModelReply) else ""


def _any_body(one: Reply, body: bytes) -> str:
    return _unsound(Read((), CODECS[one.dialect].decode(one.encoded, body)), one.encoded)


def _any_error(one: Reply, body: bytes, status: int, wait: str) -> str:
    return _unsound(Read((), CODECS[one.dialect].error(status, {"retry-after": wait}, body)), one.encoded)


_STATUS = (302, 400, 401, 404, 408, 429, 500, 529)


def _unsound(got: Read, encoded: Encoded) -> str:
    """What is wrong with a result, whatever the stream was."""
    result = got.result
    json.dumps(to_json(result), allow_nan=False)
    result.partial_text.encode() if isinstance(result, CallFault) else (result.text + result.reasoning).encode()
    if isinstance(result, CallFault):
        return f"the evidence has {len(result.text)} characters" if len(result.text) > EVIDENCE else ""
    _replayed(result, encoded)
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
