"""What may happen to a stream on its way: bytes and values changed; events lost, told twice or mixed; an error."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from orchestra.dialects.sse import ServerEvent
from tests.fuzz.replies import Reply, lanes


def in_turns(one: Reply, draw: random.Random) -> list[ServerEvent]:
    """The content, the pieces of its blocks mixed; those of one block keep their order, what is of none its place."""
    found = list(lanes(one.events[: one.content]))
    by_lane: dict[object, list[ServerEvent]] = {}
    for lane, each in found:
        by_lane.setdefault(lane, []).append(each)
    loose = by_lane.pop(None, [])
    mixed = iter(shuffled(list(by_lane.values()), draw))
    held = iter(loose)
    return [next(held) if lane is None else next(mixed) for lane, _ in found]


def shuffled(rows: list[list[ServerEvent]], draw: random.Random) -> list[ServerEvent]:
    """All events, those of each row in their order."""
    turns = [index for index, row in enumerate(rows) for _ in row]
    draw.shuffle(turns)
    left = [iter(row) for row in rows]
    return [next(left[index]) for index in turns]


def sizes(length: int, draw: random.Random) -> list[int]:
    """How a stream of this length may come in pieces."""
    found: list[int] = []
    while sum(found) < length:
        found.append(draw.choice((1, 1, 2, 3, 7, 20, 90, 400)))
    return found


def damaged(stream: bytes, draw: random.Random) -> bytes:
    """A few bytes changed, left out or put in."""
    broken = bytearray(stream)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(broken) + 1)
        broken[at : at + draw.choice((0, 0, 1, 1, 5))] = draw.choice(_ODD)
    return bytes(broken)


_ODD = (
    b"",
    b"\xff",
    b"\x00",
    b"\n",
    b"\r",
    b"\n\n",
    b'"',
    b"}",
    b"{",
    b"[",
    b"data: ",
    b"\xed\xa0\xbd",
    b"NaN",
    b"1e999",
    b": ",
)
_HTML = b"<!doctype html><html><body><h1>502 Bad Gateway</h1></body></html>"


def _with_values(one: Reply, draw: random.Random) -> bytes:
    """Some values of some events changed into something else."""
    events = list(one.events)
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(events))
        if (data := _json(events[at])) is not None:
            events[at] = events[at]._replace(data=json.dumps(other(data, draw)))
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
    error = ServerEvent(
        "error", json.dumps({"type": "error", "error": {"type": "overloaded_error", "message": "m" * 900}})
    )
    odd = draw.choice(
        (one.spelled([error]), _HTML, b"{", b'{"error": {"message": "no"}}', b"data: null\n\n", b"data: [1]\n\n")
    )
    return one.spelled(one.events[:at]) + odd + one.spelled(one.events[at:])


def _json(one: ServerEvent) -> Any:
    try:
        return json.loads(one.data)
    except ValueError:
        return None


def other(value: Any, draw: random.Random) -> Any:
    """The JSON value with something else in one place."""
    inner = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    if not inner or draw.random() < 0.1:
        return draw.choice(_VALUES)
    key, item = draw.choice(inner)
    if draw.random() < 0.1:
        return (
            [each for at, each in inner if at != key]
            if isinstance(value, list)
            else {k: v for k, v in inner if k != key}
        )
    changed = dict(inner) | {key: other(item, draw)}
    return list(changed.values()) if isinstance(value, list) else changed


_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1e308, 2**70, "", "stop", "x", "\ud83d", "x" * 2000, [], [None], [[]], {}, {"": None},
    {"type": "error"}, {"error": "no"}, '{"a": 1}{"a": 2}',
)  # fmt: skip


MUTATIONS: tuple[Callable[[Reply, random.Random], bytes], ...] = (
    lambda one, draw: damaged(one.spelled(), draw),
    _with_values,
    _with_values,
    _with_events,
    _with_error,
    lambda one, draw: damaged(_with_values(one, draw), draw),
)
"""Each makes other bytes of a reply."""
