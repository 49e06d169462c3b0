"""Chat completions as a server writes them: a response as wire events, which HTTP and memory both can play."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from orchestra.dialects.loose import mapping, sequence
from orchestra.dialects.tool_names import wire_names
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


def play(behaviour: Fixed, body: Mapping[str, Any]) -> Iterator[WireEvent]:
    """The response to a chat completion request. Raises ScriptError where the behaviour does not fit the request."""
    match behaviour:
        case Error():
            yield from _error(behaviour)
        case Reset():
            yield Cut()
        case Silence():
            yield Pause(None)
        case Slow():
            head, *rest = _response(behaviour.reply, body)
            late = Pause(behaviour.seconds)
            yield from (head, late, *rest) if body.get("stream") else (late, head, *rest)
        case CutStream():
            yield from _broken(behaviour.reply, behaviour.after, Cut(), body)
        case Stall():
            yield from _broken(behaviour.reply, behaviour.after, Pause(None), body)
        case MalformedChunk():
            yield from _broken(behaviour.reply, behaviour.after, b'data: {"choices": [{"delta": {\n\n', body)
        case NoEnd():
            yield from _endless(behaviour.reply, body)
        case _:
            yield from _response(behaviour, body)


def _response(said: Said, body: Mapping[str, Any]) -> Iterator[WireEvent]:
    writer = _Writer(_as_say(said, body), body)
    if body.get("stream"):
        yield from (_STREAM, *writer.chunks(), *writer.end())
    else:
        yield from _whole(writer.completion())


def _broken(said: Said, after: int, how: WireEvent, body: Mapping[str, Any]) -> Iterator[WireEvent]:
    writer = _Writer(_as_say(said, body), body)
    if body.get("stream"):
        yield from (_STREAM, *writer.chunks()[:after], how)
    elif isinstance(how, bytes):
        yield from _whole('{"choices": [{"message": {')
    else:
        head, data = _whole(writer.completion())
        yield from (head, data[: len(data) // 2], how)


def _endless(said: Said, body: Mapping[str, Any]) -> Iterator[WireEvent]:
    writer = _Writer(_as_say(said, body), body)
    if body.get("stream"):
        yield from (_STREAM, *writer.chunks())
    else:
        completion = writer.completion()
        completion["choices"][0]["finish_reason"] = None
        yield from _whole(completion)


_STREAM = Head(200, (("content-type", "text/event-stream"),))
_KINDS = {
    400: "invalid_request_error",
    401: "invalid_api_key",
    403: "permission_denied",
    404: "not_found",
    429: "rate_limit_exceeded",
}


def _error(error: Error) -> tuple[Head, bytes]:
    kind = _KINDS.get(error.status, "server_error")
    body = error.body
    if body is None:
        body = {"error": {"message": f"scripted {error.status}", "type": kind, "param": None, "code": kind}}
    return _whole(body, error.status, error.headers)


def _whole(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> tuple[Head, bytes]:
    data = (body if isinstance(body, str) else json.dumps(body)).encode()
    own = (("content-type", "application/json"), ("content-length", str(len(data))))
    return Head(status, own + tuple((headers or {}).items())), data


class _Writer:
    """Writes one reply, whole or in chunks."""

    def __init__(self, say: Say, body: Mapping[str, Any]) -> None:
        self._say = say
        self._body = body
        earlier = sum(len(message.get("tool_calls") or ()) for message in body.get("messages", ()))
        declared = {tool["function"]["name"] for tool in body.get("tools", ())}
        self._calls: list[dict[str, Any]] = [
            {
                "id": f"call_{earlier + number}",
                "type": "function",
                "function": {"name": _wire_name(call.name, declared), "arguments": call.text},
            }
            for number, call in enumerate(say.calls, 1)
        ]
        self._finish = say.finish or ("tool_calls" if say.calls else "stop")

    def completion(self) -> dict[str, Any]:
        """The whole reply as one object."""
        say = self._say
        message = {"role": "assistant", "content": say.text or None, "refusal": say.refusal or None}
        if say.reasoning:
            message["reasoning_content"] = say.reasoning
        choice = {
            "index": 0,
            "message": message | ({"tool_calls": self._calls} if self._calls else {}),
            "finish_reason": self._finish,
            "logprobs": self._logprobs(say.text),
        }
        return self._envelope("chat.completion", [choice]) | {"usage": self._usage()}

    def chunks(self) -> list[bytes]:
        """The reply's content in `Say.chunks` pieces a part; each call's first piece names it."""
        say = self._say
        deltas: list[dict[str, Any]] = [{"reasoning_content": piece} for piece in _pieces(say.reasoning, say.chunks)]
        deltas += [{"content": piece} for piece in _pieces(say.text, say.chunks)]
        deltas += [{"refusal": piece} for piece in _pieces(say.refusal, say.chunks)]
        for index, call in enumerate(self._calls):
            named = {**call, "function": {**call["function"], "arguments": ""}}
            deltas.append({"tool_calls": [{"index": index, **named}]})
            deltas += [
                {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}
                for piece in _pieces(call["function"]["arguments"], say.chunks)
            ]
        if deltas:
            deltas[0] = {"role": "assistant", **deltas[0]}
        return [self._chunk(delta) for delta in deltas]

    def end(self) -> list[bytes]:
        """The finish reason, the usage where it was asked for, and [DONE]."""
        frames = [self._chunk({}, self._finish)]
        if mapping(self._body.get("stream_options")).get("include_usage"):
            frames.append(_frame(self._envelope("chat.completion.chunk", []) | {"usage": self._usage()}))
        return [*frames, b"data: [DONE]\n\n"]

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        logprobs = self._logprobs(delta.get("content", ""))
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": logprobs}
        return _frame(self._envelope("chat.completion.chunk", [choice]))

    def _envelope(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {"id": "chatcmpl-1", "object": kind, "created": 0, "model": self._body.get("model"), "choices": choices}

    def _logprobs(self, text: str) -> dict[str, Any] | None:
        if not (self._body.get("logprobs") and text):
            return None
        token: dict[str, Any] = {"token": text, "logprob": self._say.logprob, "bytes": None, "top_logprobs": []}
        return {"content": [token], "refusal": None}

    def _usage(self) -> dict[str, Any]:
        written = f"{self._say.text}{self._say.reasoning}{self._say.refusal}{self._calls or ''}"
        sent, received = self._say.usage or (_tokens(json.dumps(self._body)), _tokens(written))
        return {"prompt_tokens": sent, "completion_tokens": received, "total_tokens": sent + received}


def _frame(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def _pieces(text: str, number: int) -> list[str]:
    size = max(1, -(-len(text) // max(1, number)))
    return [text[start : start + size] for start in range(0, len(text), size)]


def _tokens(text: str) -> int:
    return max(1, len(text) // 4)


def _wire_name(name: str, declared: set[str]) -> str:
    """The spelling under which the request declared the tool, since a script names tools as the agent does."""
    spelled = wire_names([name])[name]
    return spelled if spelled in declared else name


def _as_say(said: Said, body: Mapping[str, Any]) -> Say:
    if isinstance(said, RawReply):
        return Say(said.text, finish=said.finish)
    say = Say(said) if isinstance(said, str) else Say(calls=(said,)) if isinstance(said, CallTool) else said
    branches = _json_branches(body)
    return replace(say, text=_as_json(say, branches), calls=()) if branches else say


def _json_branches(body: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    """The forms a reply may have where tools are called through JSON under a schema; empty where they are not."""
    schema = mapping(mapping(mapping(body.get("response_format")).get("json_schema")).get("schema"))
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
