"""Chat completions as Mistral writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestra.dialects.features import FEATURES
from orchestra.dialects.loose import mapping
from orchestra.dialects.tool_names import wire_names
from orchestra.testing.behaviours import Say
from orchestra.testing.wire import Head, frame, pieces, request_tokens, tokens, wire_name


class MistralWire:
    """`mistral`."""

    dialect = "mistral"
    prefix = "/mistral"
    stream = Head(200, (("content-type", "text/event-stream"),))
    garbled = b'data: {"id": "1", "choices": [{\n\n'

    def model(self, path: str, body: Mapping[str, Any]) -> str | None:
        """The `model` of the body."""
        return str(body.get("model")) if path == "/v1/chat/completions" else None

    def streamed(self, path: str, body: Mapping[str, Any]) -> bool:
        """`stream` of the body."""
        return bool(body.get("stream"))

    def schema(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """That of `response_format`."""
        return mapping(mapping(mapping(body.get("response_format")).get("json_schema")).get("schema"))

    def writer(self, say: Say, path: str, body: Mapping[str, Any]) -> MistralWriter:
        """A chat completion."""
        return MistralWriter(say, body)

    def error(self, status: int, kind: str, message: str) -> object:
        """Mistral's error, which stands bare."""
        return {"object": "error", "message": message, "type": kind, "param": None, "code": str(status)}

    def error_headers(self, status: int) -> Mapping[str, str]:
        """None that say more than the body."""
        return {}


class MistralWriter:
    """Writes one chat completion, whole or in chunks. Mistral has no refusals: one is said as text."""

    def __init__(self, say: Say, body: Mapping[str, Any]) -> None:
        self._say = say
        self._body = body
        self._text = say.text + say.refusal
        self._calls = _calls(say, body)
        self._finish = _FINISH.get(say.finish or "", say.finish) or ("tool_calls" if say.calls else "stop")

    def whole(self, *, ended: bool) -> object:
        """The whole reply as one object."""
        message: dict[str, Any] = {"role": "assistant", "content": self._content(), "tool_calls": self._calls or None}
        choice = {"index": 0, "message": message, "logprobs": self._logprobs(self._text)}
        reply = self._envelope("chat.completion", [choice | ({"finish_reason": self._finish} if ended else {})])
        return reply | {"usage": self._usage()}

    def chunks(self) -> list[bytes]:
        """Thinking in chunks, then text as plain strings, then each call at once, as Mistral streams them."""
        number = self._say.chunks
        deltas: list[dict[str, Any]] = [{"content": [_thought(piece)]} for piece in pieces(self._say.reasoning, number)]
        deltas += [{"content": piece} for piece in pieces(self._text, number)]
        deltas += [{"content": "", "tool_calls": [call]} for call in self._calls]
        if deltas:
            deltas[0] = {"role": "assistant", **deltas[0]}
        return [self._chunk(delta) for delta in deltas]

    def end(self) -> list[bytes]:
        """The finish reason with the usage, and [DONE]."""
        return [self._chunk({"content": ""}, self._finish, usage=self._usage()), b"data: [DONE]\n\n"]

    def _content(self) -> object:
        if not self._say.reasoning:
            return self._text
        return [_thought(self._say.reasoning), *([{"type": "text", "text": self._text}] if self._text else ())]

    def _chunk(self, delta: dict[str, Any], finish: str | None = None, **fields: object) -> bytes:
        content = delta.get("content")
        logprobs = self._logprobs(content if isinstance(content, str) else "")
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": logprobs}
        return frame(self._envelope("chat.completion.chunk", [choice]) | fields)

    def _envelope(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {"id": "cmpl-1", "object": kind, "created": 0, "model": self._body.get("model"), "choices": choices}

    def _logprobs(self, text: str) -> dict[str, Any] | None:
        if not (self._body.get("logprobs") and text):
            return None
        token: dict[str, Any] = {"token": text, "logprob": self._say.logprob, "bytes": [], "token_id": 0}
        return {"content": [token]}

    def _usage(self) -> dict[str, Any]:
        written = f"{self._text}{self._say.reasoning}{self._calls or ''}"
        sent, received = self._say.usage or (request_tokens(self._body), tokens(written))
        return {"prompt_tokens": sent, "completion_tokens": received, "total_tokens": sent + received}


_FINISH = {"content_filter": "error", "refusal": "stop", "other": "stop"}


def _calls(say: Say, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    earlier = sum(len(message.get("tool_calls") or ()) for message in body.get("messages", ()))
    declared = {tool["function"]["name"] for tool in body.get("tools") or ()}
    ids = wire_names((f"call {earlier + at}" for at in range(len(say.calls))), spelling=FEATURES["mistral"].call_ids)
    return [
        {
            "id": identity,
            "function": {"name": wire_name(call.name, declared), "arguments": call.text},
            "index": index,
        }
        for index, (identity, call) in enumerate(zip(ids.values(), say.calls, strict=True))
    ]


def _thought(text: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}
