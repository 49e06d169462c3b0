"""Converse as Amazon Bedrock answers it, streams in Amazon's binary messages."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator, Mapping
from typing import Any
from zlib import crc32

from orchestra.dialects.loose import mapping, parse_object, sequence, string
from orchestra.testing.behaviours import Say
from orchestra.testing.wire import Head, pieces, request_tokens, tokens, wire_name


class BedrockWire:
    """`bedrock-converse`."""

    dialect = "bedrock-converse"
    prefix = ""
    stream = Head(200, (("content-type", "application/vnd.amazon.eventstream"),))

    @property
    def garbled(self) -> bytes:
        """A message whose last byte, of the checksum, is another."""
        message = event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "?"}})
        return message[:-1] + bytes([message[-1] ^ 1])

    def model(self, path: str, body: Mapping[str, Any]) -> str | None:
        """The model's id or ARN in the path."""
        found = _PATH.fullmatch(path)
        return found[1] if found else None

    def streamed(self, path: str, body: Mapping[str, Any]) -> bool:
        """Which of the two operations it is."""
        return path.endswith("/converse-stream")

    def schema(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """That of `outputConfig.textFormat`, a text itself."""
        structure = mapping(mapping(mapping(body.get("outputConfig")).get("textFormat")).get("structure"))
        return parse_object(string(mapping(structure.get("jsonSchema")).get("schema"))) or {}

    def writer(self, say: Say, path: str, body: Mapping[str, Any]) -> BedrockWriter:
        """A reply of Converse."""
        return BedrockWriter(say, body)

    def error(self, status: int, kind: str, message: str) -> object:
        """The exception of the status, named in the body as AWS's JSON protocols allow."""
        return {"__type": _exception(status), "message": message}

    def error_headers(self, status: int) -> Mapping[str, str]:
        """Its name as AWS's REST protocols have it, with the address that some services put behind it."""
        return {"x-amzn-errortype": f"{_exception(status)}:http://internal.amazon.com/coral/com.amazon.bedrock/"}


class BedrockWriter:
    """Writes one reply, whole or in events. Bedrock has no refusals: one is text that a filter let through."""

    def __init__(self, say: Say, body: Mapping[str, Any]) -> None:
        self._say, self._body = say, body
        self._text = say.text + say.refusal
        blocks = [block for message in sequence(body.get("messages")) for block in sequence(message.get("content"))]
        earlier = sum("toolUse" in block for block in blocks)
        tools = map(mapping, sequence(mapping(body.get("toolConfig")).get("tools")))
        declared = {string(mapping(tool.get("toolSpec")).get("name")) for tool in tools}
        self._calls = [
            ({"toolUseId": f"tooluse_{number}", "name": wire_name(call.name, declared)}, call.text)
            for number, call in enumerate(say.calls, earlier + 1)
        ]
        finish = say.finish or ("refusal" if say.refusal else "tool_calls" if say.calls else "stop")
        self._stop = _STOP[finish]

    def whole(self, *, ended: bool) -> object:
        """The whole reply as one object."""
        said = self._say
        content: list[dict[str, Any]] = []
        if said.reasoning:
            content.append({"reasoningContent": {"reasoningText": {"text": said.reasoning, "signature": SIGNATURE}}})
        if self._text:
            content.append({"text": self._text})
        for named, written in self._calls:
            arguments = parse_object(written)
            content.append({"toolUse": {**named, "input": written if arguments is None else arguments}})
        reply = {"output": {"message": {"role": "assistant", "content": content}}, **self._counted()}
        return reply | ({"stopReason": self._stop} if ended else {})

    def chunks(self) -> list[bytes]:
        """The reply's content in `Say.chunks` pieces a block; each block's end comes with its last piece."""
        start = event("messageStart", {"role": "assistant"})
        blocks = [_block(index, *block) for index, block in enumerate(self._blocks())]
        chunks = [chunk for block in blocks for chunk in block]
        return [start + chunks[0], *chunks[1:]] if chunks else [start]

    def end(self) -> list[bytes]:
        """The stop reason, and the usage."""
        return [event("messageStop", {"stopReason": self._stop}), event("metadata", self._counted())]

    def _blocks(self) -> Iterator[tuple[list[dict[str, Any]], dict[str, Any] | None]]:
        """Each block's deltas, and what its start says."""
        said = self._say
        if thoughts := [{"reasoningContent": {"text": piece}} for piece in pieces(said.reasoning, said.chunks)]:
            yield [*thoughts, {"reasoningContent": {"signature": SIGNATURE}}], None
        if texts := [{"text": piece} for piece in pieces(self._text, said.chunks)]:
            yield texts, None
        for named, written in self._calls:
            inputs = pieces(written, said.chunks) or [""]
            yield [{"toolUse": {"input": piece}} for piece in inputs], {"toolUse": named}

    def _counted(self) -> dict[str, Any]:
        written = f"{self._text}{self._say.reasoning}{self._calls or ''}"
        sent, received = self._say.usage or (request_tokens(self._body), tokens(written))
        usage = {"inputTokens": sent, "outputTokens": received, "totalTokens": sent + received}
        return {"usage": usage, "metrics": {"latencyMs": 1}}


SIGNATURE = "c2lnbmVk"
"""What signs every thought here."""


def event(name: str, payload: Mapping[str, Any]) -> bytes:
    """One event of a stream."""
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return aws_message(headers, json.dumps(payload).encode())


def exception(name: str, message: str) -> bytes:
    """An error in the middle of a stream, such as `throttlingException`."""
    headers = {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}
    return aws_message(headers, json.dumps({"message": message}).encode())


def aws_message(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message of Amazon's event stream encoding; all its headers are texts (type 7)."""
    head = b"".join(_text(name, "!B") + b"\x07" + _text(value, "!H") for name, value in headers.items())
    prelude = struct.pack("!II", len(head) + len(payload) + 16, len(head))
    prelude += struct.pack("!I", crc32(prelude))
    message = prelude + head + payload
    return message + struct.pack("!I", crc32(message))


def _text(text: str, length: str) -> bytes:
    data = text.encode()
    return struct.pack(length, len(data)) + data


def _block(index: int, deltas: list[dict[str, Any]], start: dict[str, Any] | None) -> list[bytes]:
    chunks = [event("contentBlockDelta", {"contentBlockIndex": index, "delta": delta}) for delta in deltas]
    if start:
        chunks.insert(0, event("contentBlockStart", {"contentBlockIndex": index, "start": start}))
    chunks[-1] += event("contentBlockStop", {"contentBlockIndex": index})
    return chunks


def _exception(status: int) -> str:
    return _EXCEPTIONS.get(status, "InternalServerException")


_PATH = re.compile(r"/model/(.+)/converse(?:-stream)?")
_STOP = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "content_filtered",
    "refusal": "content_filtered",
    "other": "malformed_model_output",
}
_EXCEPTIONS = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
}
