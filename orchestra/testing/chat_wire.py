"""Chat completions as OpenAI-style servers write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestra.dialects.loose import mapping
from orchestra.testing.behaviours import Say
from orchestra.testing.wire import Head, frame, pieces, request_tokens, tokens, wire_name


class ChatWire:
    """`openai-chat`."""

    dialect = "openai-chat"
    prefix = "/v1"
    stream = Head(200, (("content-type", "text/event-stream"),))
    garbled = b'data: {"choices": [{"delta": {\n\n'

    def model(self, path: str, body: Mapping[str, Any]) -> str | None:
        """The `model` of the body."""
        return str(body.get("model")) if path == "/chat/completions" else None

    def streamed(self, path: str, body: Mapping[str, Any]) -> bool:
        """`stream` of the body."""
        return bool(body.get("stream"))

    def schema(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """That of `response_format`."""
        return mapping(mapping(mapping(body.get("response_format")).get("json_schema")).get("schema"))

    def writer(self, say: Say, path: str, body: Mapping[str, Any]) -> ChatWriter:
        """A chat completion."""
        return ChatWriter(say, body)

    def error(self, status: int, kind: str, message: str) -> object:
        """OpenAI's error object."""
        return {"error": {"message": message, "type": kind, "param": None, "code": kind}}

    def error_headers(self, status: int) -> Mapping[str, str]:
        """None that say more than the body."""
        return {}


class ChatWriter:
    """Writes one chat completion, whole or in chunks."""

    def __init__(self, say: Say, body: Mapping[str, Any]) -> None:
        self._say = say
        self._body = body
        earlier = sum(len(message.get("tool_calls") or ()) for message in body.get("messages", ()))
        declared = {tool["function"]["name"] for tool in body.get("tools", ())}
        self._calls: list[dict[str, Any]] = [
            {
                "id": f"call_{earlier + number}",
                "type": "function",
                "function": {"name": wire_name(call.name, declared), "arguments": call.text},
            }
            for number, call in enumerate(say.calls, 1)
        ]
        self._finish = say.finish or ("tool_calls" if say.calls else "stop")

    def whole(self, *, ended: bool) -> object:
        """The whole reply as one object."""
        say = self._say
        message = {"role": "assistant", "content": say.text or None, "refusal": say.refusal or None}
        if say.reasoning:
            message["reasoning_content"] = say.reasoning
        choice = {
            "index": 0,
            "message": message | ({"tool_calls": self._calls} if self._calls else {}),
            "finish_reason": self._finish if ended else None,
            "logprobs": self._logprobs(say.text),
        }
        return self._envelope("chat.completion", [choice]) | {"usage": self._usage()}

    def chunks(self) -> list[bytes]:
        """The reply's content in `Say.chunks` pieces a part; each call's first piece names it."""
        say = self._say
        deltas: list[dict[str, Any]] = [{"reasoning_content": piece} for piece in pieces(say.reasoning, say.chunks)]
        deltas += [{"content": piece} for piece in pieces(say.text, say.chunks)]
        deltas += [{"refusal": piece} for piece in pieces(say.refusal, say.chunks)]
        for index, call in enumerate(self._calls):
            named = {**call, "function": {**call["function"], "arguments": ""}}
            deltas.append({"tool_calls": [{"index": index, **named}]})
            deltas += [
                {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}
                for piece in pieces(call["function"]["arguments"], say.chunks)
            ]
        if deltas:
            deltas[0] = {"role": "assistant", **deltas[0]}
        return [self._chunk(delta) for delta in deltas]

    def end(self) -> list[bytes]:
        """The finish reason, the usage where it was asked for, and [DONE]."""
        frames = [self._chunk({}, self._finish)]
        if mapping(self._body.get("stream_options")).get("include_usage"):
            frames.append(frame(self._envelope("chat.completion.chunk", []) | {"usage": self._usage()}))
        return [*frames, b"data: [DONE]\n\n"]

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        logprobs = self._logprobs(delta.get("content", ""))
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": logprobs}
        return frame(self._envelope("chat.completion.chunk", [choice]))

    def _envelope(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {"id": "chatcmpl-1", "object": kind, "created": 0, "model": self._body.get("model"), "choices": choices}

    def _logprobs(self, text: str) -> dict[str, Any] | None:
        if not (self._body.get("logprobs") and text):
            return None
        token: dict[str, Any] = {"token": text, "logprob": self._say.logprob, "bytes": None, "top_logprobs": []}
        return {"content": [token], "refusal": None}

    def _usage(self) -> dict[str, Any]:
        written = f"{self._say.text}{self._say.reasoning}{self._say.refusal}{self._calls or ''}"
        sent, received = self._say.usage or (request_tokens(self._body), tokens(written))
        return {"prompt_tokens": sent, "completion_tokens": received, "total_tokens": sent + received}
