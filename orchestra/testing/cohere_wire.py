"""Chats as Cohere's v2 API writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestra.dialects.loose import mapping
from orchestra.testing.behaviours import Say
from orchestra.testing.wire import Head, frame, pieces, request_tokens, tokens, wire_name


class CohereWire:
    """`cohere`."""

    dialect = "cohere"
    prefix = ""
    stream = Head(200, (("content-type", "text/event-stream"),))
    garbled = b'event: content-delta\ndata: {"type": "content-delta", "delta": {\n\n'

    def model(self, path: str, body: Mapping[str, Any]) -> str | None:
        """The `model` of the body."""
        return str(body.get("model")) if path == "/v2/chat" else None

    def streamed(self, path: str, body: Mapping[str, Any]) -> bool:
        """`stream` of the body."""
        return bool(body.get("stream"))

    def schema(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """That of `response_format`."""
        return mapping(mapping(body.get("response_format")).get("json_schema"))

    def writer(self, say: Say, path: str, body: Mapping[str, Any]) -> CohereWriter:
        """A chat."""
        return CohereWriter(say, body)

    def error(self, status: int, kind: str, message: str) -> object:
        """Cohere's error: a message and the id of the request."""
        return {"id": "req-1", "message": message}

    def error_headers(self, status: int) -> Mapping[str, str]:
        """None that say more than the body."""
        return {}


class CohereWriter:
    """Writes one chat, whole or in events. Reasoning beside calls is their plan; a refusal is text."""

    def __init__(self, say: Say, body: Mapping[str, Any]) -> None:
        self._say = say
        self._body = body
        self._text = say.text + say.refusal
        self._plan = say.reasoning if say.calls else ""
        self._thinking = "" if say.calls else say.reasoning
        earlier = sum(len(message.get("tool_calls") or ()) for message in body.get("messages", ()))
        declared = {tool["function"]["name"] for tool in body.get("tools") or ()}
        self._calls: list[dict[str, Any]] = [
            {
                "id": f"{wire_name(call.name, declared)}_{earlier + number}",
                "type": "function",
                "function": {"name": wire_name(call.name, declared), "arguments": call.text},
            }
            for number, call in enumerate(say.calls, 1)
        ]
        self._finish = _FINISH[say.finish or ("tool_calls" if say.calls else "stop")]

    def whole(self, *, ended: bool) -> object:
        """The whole reply as one object."""
        content = [{"type": "thinking", "thinking": self._thinking}] if self._thinking else []
        content += [{"type": "text", "text": self._text}] if self._text else []
        message = {
            "role": "assistant",
            "content": content or None,
            "tool_plan": self._plan or None,
            "tool_calls": self._calls or None,
        }
        reply = {"id": "chat-1", "message": message, "usage": self._usage(), "logprobs": self._logprobs(self._text)}
        return reply | ({"finish_reason": self._finish} if ended else {})

    def chunks(self) -> list[bytes]:
        """The plan, each block of content, each call; starts and ends stand with the pieces beside them."""
        frames = [_frame("tool-plan-delta", {"tool_plan": piece}) for piece in pieces(self._plan, self._say.chunks)]
        blocks = [(kind, said) for kind, said in (("thinking", self._thinking), ("text", self._text)) if said]
        for index, (kind, said) in enumerate(blocks):
            frames += self._block(index, kind, said)
        for index, call in enumerate(self._calls):
            frames += _call(index, call, self._say.chunks)
        opening = _frame("message-start", {"role": "assistant"}, id="chat-1")
        return [opening + frames[0], *frames[1:]] if frames else [opening]

    def end(self) -> list[bytes]:
        """`message-end` with the finish reason and the usage."""
        end = {"type": "message-end", "delta": {"finish_reason": self._finish, "usage": self._usage()}}
        return [frame(end, "message-end")]

    def _block(self, index: int, kind: str, said: str) -> list[bytes]:
        frames: list[bytes] = []
        for piece in pieces(said, self._say.chunks):
            logprobs = self._logprobs(piece if kind == "text" else "")
            fields = {"logprobs": logprobs[0]} if logprobs else {}
            frames.append(_frame("content-delta", {"content": {kind: piece}}, index, **fields))
        frames[0] = _frame("content-start", {"content": {"type": kind, kind: ""}}, index) + frames[0]
        frames[-1] += _frame("content-end", None, index)
        return frames

    def _logprobs(self, text: str) -> list[dict[str, Any]] | None:
        if not (self._body.get("logprobs") and text):
            return None
        return [{"text": text, "token_ids": [0], "logprobs": [self._say.logprob]}]

    def _usage(self) -> dict[str, Any]:
        written = f"{self._text}{self._say.reasoning}{self._calls or ''}"
        sent, received = self._say.usage or (request_tokens(self._body), tokens(written))
        billed = {"input_tokens": sent, "output_tokens": received}
        return {"billed_units": billed, "tokens": {"input_tokens": sent + 60, "output_tokens": received}}


_FINISH = {
    "stop": "COMPLETE",
    "length": "MAX_TOKENS",
    "tool_calls": "TOOL_CALL",
    "content_filter": "ERROR",
    "refusal": "COMPLETE",
    "other": "STOP_SEQUENCE",
}


def _call(index: int, call: dict[str, Any], number: int) -> list[bytes]:
    function = call["function"]
    named = {**call, "function": {**function, "arguments": ""}}
    frames = [_frame("tool-call-start", {"tool_calls": named}, index)]
    frames += [
        _frame("tool-call-delta", {"tool_calls": {"function": {"arguments": piece}}}, index)
        for piece in pieces(function["arguments"], number)
    ]
    frames[-1] += _frame("tool-call-end", None, index)
    return frames


def _frame(kind: str, message: object, index: int | None = None, **fields: object) -> bytes:
    placed = {} if index is None else {"index": index}
    delta = {} if message is None else {"delta": {"message": message}}
    return frame({"type": kind, **placed, **delta, **fields}, kind)
