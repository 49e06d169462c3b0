"""Replies as a provider writes them: a response as wire events, which HTTP and memory both can play."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

from orchestra.dialects.loose import mapping, sequence
from orchestra.dialects.tool_names import TOOL_NAMES, Spelling, wire_names
from orchestra.testing.behaviours import (
    CallTool,
    CutStream,
    Error,
    Fixed,
    MalformedChunk,
    NoEnd,
    RawReply,
    Reset,
    Said,
    Say,
    ScriptError,
    Silence,
    Slow,
    Stall,
)


@dataclass(frozen=True, slots=True)
class Head:
    """The response's status and headers; without a content-length the body comes in chunks."""

    status: int
    headers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing for so many seconds; None: nothing ever again."""

    seconds: float | None


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection breaks here."""


WireEvent: TypeAlias = Head | bytes | Pause | Cut


class Writer(Protocol):
    """Writes one reply in a dialect, whole or in pieces."""

    def whole(self, *, ended: bool) -> object:
        """The reply as one JSON value; not `ended`: without saying why it stopped."""
        ...

    def chunks(self) -> list[bytes]:
        """The reply's content as a stream's bytes, piece by piece; what opens the stream stands before the first."""
        ...

    def end(self) -> list[bytes]:
        """What tells that the reply is complete."""
        ...


class Wire(Protocol):
    """A dialect as its provider speaks it."""

    @property
    def dialect(self) -> str:
        """Its name as in fleet.toml."""
        ...

    @property
    def prefix(self) -> str:
        """What base_url ends with before the paths of requests begin."""
        ...

    @property
    def stream(self) -> Head:
        """How a streamed response begins."""
        ...

    @property
    def garbled(self) -> bytes:
        """A piece of a stream that nobody can read."""
        ...

    def model(self, path: str, body: Mapping[str, Any]) -> str | None:
        """The model that a request to this path (below the prefix) asks for; None where it is none of the dialect."""
        ...

    def streamed(self, path: str, body: Mapping[str, Any]) -> bool:
        """Whether a stream was asked for."""
        ...

    def schema(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """The JSON Schema that the answer was asked to have; empty without one."""
        ...

    def writer(self, say: Say, path: str, body: Mapping[str, Any]) -> Writer:
        """What writes `say` as the reply to a request."""
        ...

    def error(self, status: int, kind: str, message: str) -> object:
        """The body of an error response."""
        ...

    def error_headers(self, status: int) -> Mapping[str, str]:
        """What the headers of an error response say of it."""
        ...


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request, and the dialect it came in."""

    wire: Wire
    path: str
    body: Mapping[str, Any]

    def play(self, behaviour: Fixed) -> Iterator[WireEvent]:
        """The response. Raises ScriptError where the behaviour does not fit the request."""
        match behaviour:
            case Error():
                yield from self._error(behaviour)
            case Reset():
                yield Cut()
            case Silence():
                yield Pause(None)
            case Slow():
                head, *rest = self._response(behaviour.reply)
                late = Pause(behaviour.seconds)
                yield from (head, late, *rest) if self._streamed else (late, head, *rest)
            case CutStream():
                yield from self._broken(behaviour.reply, behaviour.after, Cut(), behaviour.pause)
            case Stall():
                yield from self._broken(behaviour.reply, behaviour.after, Pause(None))
            case MalformedChunk():
                yield from self._broken(behaviour.reply, behaviour.after, self.wire.garbled, behaviour.pause)
            case NoEnd():
                yield from self._endless(behaviour.reply)
            case _:
                yield from self._response(behaviour)

    @property
    def _streamed(self) -> bool:
        return self.wire.streamed(self.path, self.body)

    def _writer(self, said: Said) -> Writer:
        return self.wire.writer(_as_say(said, self.wire.schema(self.body)), self.path, self.body)

    def _response(self, said: Said) -> Iterator[WireEvent]:
        writer = self._writer(said)
        if self._streamed:
            yield from (self.wire.stream, *writer.chunks(), *writer.end())
        else:
            yield from _whole(writer.whole(ended=True))

    def _broken(self, said: Said, after: int, how: WireEvent, pause: float = 0.0) -> Iterator[WireEvent]:
        writer = self._writer(said)
        if self._streamed:
            # What cannot be read comes by itself: what stands before it has been handed on by then.
            yield from (self.wire.stream, *writer.chunks()[:after], Pause(pause), how)
        elif isinstance(how, bytes):
            yield from _whole('{"choices": [{"message": {')
        else:
            head, data = _whole(writer.whole(ended=True))
            yield from (head, data[: len(data) // 2], how)

    def _endless(self, said: Said) -> Iterator[WireEvent]:
        writer = self._writer(said)
        if self._streamed:
            yield from (self.wire.stream, *writer.chunks())
        else:
            yield from _whole(writer.whole(ended=False))

    def _error(self, error: Error) -> tuple[Head, bytes]:
        body: object = error.body
        if body is None:
            kind = _KINDS.get(error.status, "server_error")
            body = self.wire.error(error.status, kind, f"scripted {error.status}")
        return _whole(body, error.status, {**self.wire.error_headers(error.status), **error.headers})


_KINDS = {
    400: "invalid_request_error",
    401: "invalid_api_key",
    403: "permission_denied",
    404: "not_found",
    429: "rate_limit_exceeded",
}


def _whole(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> tuple[Head, bytes]:
    data = (body if isinstance(body, str) else json.dumps(body)).encode()
    own = (("content-type", "application/json"), ("content-length", str(len(data))))
    return Head(status, own + tuple((headers or {}).items())), data


def frame(data: Mapping[str, Any], name: str = "") -> bytes:
    """One server-sent event."""
    return (f"event: {name}\n" if name else "").encode() + b"data: " + json.dumps(data).encode() + b"\n\n"


def pieces(text: str, number: int) -> list[str]:
    """The text in about so many pieces; none of an empty one."""
    size = max(1, -(-len(text) // max(1, number)))
    return [text[start : start + size] for start in range(0, len(text), size)]


def tokens(text: str) -> int:
    """About how many tokens a text has."""
    return max(1, len(text) // 4)


def request_tokens(body: Mapping[str, Any]) -> int:
    """About how many tokens a request has; Python's own text of it is the quickest to be had."""
    return tokens(str(body))


def wire_name(name: str, declared: Collection[str], spelling: Spelling = TOOL_NAMES) -> str:
    """The spelling under which the request declared the tool, since a script names tools as the agent does."""
    spelled = wire_names([name], spelling=spelling)[name]
    return spelled if spelled in declared else name


def _as_say(said: Said, schema: Mapping[str, Any]) -> Say:
    if isinstance(said, RawReply):
        return Say(said.text, finish=said.finish)
    say = Say(said) if isinstance(said, str) else Say(calls=(said,)) if isinstance(said, CallTool) else said
    branches = _json_branches(schema)
    return replace(say, text=_as_json(say, branches), calls=()) if branches else say


def _json_branches(schema: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    """The forms a reply may have where tools are called through JSON under a schema; empty where they are not."""
    branches = [mapping(branch) for branch in sequence(schema.get("anyOf"))]
    return branches if any("tool" in mapping(branch.get("properties")) for branch in branches) else ()


def _as_json(say: Say, branches: Sequence[dict[str, Any]]) -> str:
    if len(say.calls) > 1:
        raise ScriptError(f"{say!r}: a model that calls tools through JSON writes one call a reply")
    if say.calls:
        return f'{{"tool": {json.dumps(say.calls[0].name)}, "arguments": {say.calls[0].text}}}'
    structured = any(
        branch["properties"].get("answer", {"type": "string"}) != {"type": "string"} for branch in branches
    )
    return f'{{"answer": {say.text if structured else json.dumps(say.text)}}}'
