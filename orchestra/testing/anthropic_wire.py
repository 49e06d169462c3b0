"""Messages as Anthropic writes them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from orchestra.dialects.features import FEATURES
from orchestra.dialects.loose import mapping, parse_object, sequence
from orchestra.testing.behaviours import CallTool, Say
from orchestra.testing.wire import Head, frame, pieces, request_tokens, tokens, wire_name
from orchestra.types import Finish


class AnthropicWire:
    """`anthropic`."""

    dialect = "anthropic"
    prefix = ""
    stream = Head(200, (("content-type", "text/event-stream; charset=utf-8"),))
    garbled = b'event: content_block_delta\ndata: {"type": "content_block_delta", "delta": {\n\n'

    def model(self, path: str, body: Mapping[str, Any]) -> str | None:
        """The `model` of the body."""
        return str(body.get("model")) if path == "/v1/messages" else None

    def streamed(self, path: str, body: Mapping[str, Any]) -> bool:
        """`stream` of the body."""
        return bool(body.get("stream"))

    def schema(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """That of `output_config.format`."""
        return mapping(mapping(mapping(body.get("output_config")).get("format")).get("schema"))

    def writer(self, say: Say, path: str, body: Mapping[str, Any]) -> AnthropicWriter:
        """A message."""
        return AnthropicWriter(say, body)

    def error(self, status: int, kind: str, message: str) -> object:
        """Anthropic's error response, with its own word for the status."""
        word = _ERRORS.get(status, "api_error" if status >= 500 else "invalid_request_error")
        return {"type": "error", "error": {"type": word, "message": message}, "request_id": "req_1"}

    def error_headers(self, status: int) -> Mapping[str, str]:
        """None that say more than the body."""
        return {}


class AnthropicWriter:
    """Writes one message, whole or in events."""

    def __init__(self, say: Say, body: Mapping[str, Any]) -> None:
        self._say = say
        self._body = body
        declared = {str(mapping(tool).get("name")) for tool in sequence(body.get("tools"))}
        earlier = json.dumps(body.get("messages")).count('"tool_use"')
        self._calls = [_tool_use(call, number, declared) for number, call in enumerate(say.calls, earlier + 1)]

    def whole(self, *, ended: bool) -> object:
        """The whole message as one object."""
        say = self._say
        content = [_thinking(say.reasoning, _signature(say.reasoning))] if say.reasoning else []
        content += [_text(say.text)] if say.text else []
        content += [use | {"input": _input(call)} for use, call in zip(self._calls, say.calls, strict=True)]
        usage = self._usage()
        return self._message(content, usage["input_tokens"]) | {"usage": usage} | (self._stop() if ended else {})

    def chunks(self) -> list[bytes]:
        """Each block's content in `Say.chunks` pieces; its start goes with its first piece, its stop with its last."""
        say = self._say
        blocks: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
        if say.reasoning:
            thoughts: list[dict[str, Any]] = [
                {"type": "thinking_delta", "thinking": piece} for piece in pieces(say.reasoning, say.chunks)
            ]
            signature = {"type": "signature_delta", "signature": _signature(say.reasoning)}
            blocks.append((_thinking("", ""), [*thoughts, signature]))
        if say.text:
            blocks.append((_text(""), [{"type": "text_delta", "text": one} for one in pieces(say.text, say.chunks)]))
        for use, call in zip(self._calls, say.calls, strict=True):
            written = ["", *pieces(call.text, say.chunks)]
            blocks.append((use, [{"type": "input_json_delta", "partial_json": piece} for piece in written]))
        chunks = [chunk for index, (block, deltas) in enumerate(blocks) for chunk in _events(index, block, deltas)]
        opening = _frame("message_start", message=self._message([], self._usage()["input_tokens"])) + _frame("ping")
        return [opening + chunk for chunk in chunks[:1]] + chunks[1:] or [opening]

    def end(self) -> list[bytes]:
        """The reason to stop with the counts, and `message_stop`."""
        return [_frame("message_delta", delta=self._stop(), usage=self._usage()), _frame("message_stop")]

    def _message(self, content: list[dict[str, Any]], sent: int) -> dict[str, Any]:
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": self._body.get("model"),
            "content": content,
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": sent, "output_tokens": 1},
        }

    def _stop(self) -> dict[str, Any]:
        say = self._say
        if say.refusal:
            details = {"type": "refusal", "category": None, "explanation": say.refusal}
            return {"stop_reason": "refusal", "stop_sequence": None, "stop_details": details}
        finish = say.finish or ("tool_calls" if say.calls else "stop")
        return {"stop_reason": _REASONS.get(finish, finish), "stop_sequence": None}

    def _usage(self) -> dict[str, int]:
        say = self._say
        written = f"{say.text}{say.reasoning}{''.join(call.text for call in say.calls)}"
        sent, received = say.usage or (request_tokens(self._body), tokens(written))
        return {"input_tokens": sent, "output_tokens": received}


_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_REASONS: dict[Finish, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",  # the nearest that this provider has
}


def _tool_use(call: CallTool, number: int, declared: set[str]) -> dict[str, Any]:
    name = wire_name(call.name, declared, FEATURES["anthropic"].tool_names)
    return {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": {}}


def _input(call: CallTool) -> object:
    """The object; where a script wrote none, its text, which no real provider would send."""
    given = parse_object(call.text)
    return call.text if given is None else given


def _events(index: int, block: dict[str, Any], deltas: list[dict[str, Any]]) -> list[bytes]:
    events = [_frame("content_block_delta", index=index, delta=delta) for delta in deltas]
    events[0] = _frame("content_block_start", index=index, content_block=block) + events[0]
    events[-1] += _frame("content_block_stop", index=index)
    return events


def _frame(name: str, **fields: Any) -> bytes:
    return frame({"type": name, **fields}, name)


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _thinking(text: str, signature: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": text, "signature": signature}


def _signature(thought: str) -> str:
    return base64.b64encode(f"signed {len(thought)}".encode()).decode()
