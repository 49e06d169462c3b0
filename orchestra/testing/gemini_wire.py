"""generateContent as Google writes it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any

from orchestra.dialects.features import FEATURES
from orchestra.dialects.loose import mapping, parse_object, sequence, string
from orchestra.testing.behaviours import CallTool, Say
from orchestra.testing.wire import Head, frame, pieces, request_tokens, tokens, wire_name

_PATH = re.compile(r"/v1\w*/(?:models|tunedModels)/(.+):(?:g|streamG)enerateContent")


class GeminiWire:
    """`gemini`."""

    dialect = "gemini"
    prefix = ""
    stream = Head(200, (("content-type", "text/event-stream"),))
    garbled = b'data: {"candidates": [{"content": {\n\n'

    def model(self, path: str, body: Mapping[str, Any]) -> str | None:
        """The model in the path."""
        found = _PATH.fullmatch(path)
        return found[1] if found else None

    def streamed(self, path: str, body: Mapping[str, Any]) -> bool:
        """By the method at the path's end."""
        return path.endswith(":streamGenerateContent")

    def schema(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """`generationConfig.responseJsonSchema`."""
        return mapping(mapping(body.get("generationConfig")).get("responseJsonSchema"))

    def writer(self, say: Say, path: str, body: Mapping[str, Any]) -> GeminiWriter:
        """A GenerateContentResponse."""
        return GeminiWriter(say, self.model(path, body) or "", body)

    def error(self, status: int, kind: str, message: str) -> object:
        """Google's error object."""
        return {"error": {"code": status, "message": message, "status": _STATUS.get(status, "UNKNOWN")}}

    def error_headers(self, status: int) -> Mapping[str, str]:
        """None that say more than the body."""
        return {}


_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_FINISH = {"length": "MAX_TOKENS", "content_filter": "SAFETY", "other": "OTHER"}


class GeminiWriter:
    """Writes one reply, whole or in chunks.

    As Gemini 3 does, it gives every call an id and the first one of a reply a signature; calls come whole, and one
    whose arguments are no JSON object does not come at all but ends the reply.
    """

    def __init__(self, say: Say, model: str, body: Mapping[str, Any]) -> None:
        self._say = say
        self._body = body
        self._model = model
        self._earlier = sum("functionCall" in part for part in _parts(body))
        self._malformed = next((call for call in say.calls if parse_object(call.text) is None), None)
        self._calls = [] if self._malformed else [self._call(number, call) for number, call in enumerate(say.calls, 1)]

    def whole(self, *, ended: bool) -> object:
        """The whole reply as one object."""
        say = self._say
        said = [{"text": say.reasoning, "thought": True}] if say.reasoning else []
        said += [{"text": text} for text in (say.text, say.refusal) if text]
        candidate = self._candidate([*said, *self._calls]) | (self._finish() if ended else {})
        return self._envelope(candidate | self._logprobs(say.text)) | {"usageMetadata": self._usage()}

    def chunks(self) -> list[bytes]:
        """The reply's content in `Say.chunks` pieces a text; calls come whole."""
        say = self._say
        parts: list[dict[str, Any]] = [{"text": piece, "thought": True} for piece in pieces(say.reasoning, say.chunks)]
        parts += [{"text": piece} for text in (say.text, say.refusal) for piece in pieces(text, say.chunks)]
        return [
            frame(
                self._envelope(self._candidate([part]) | self._logprobs("" if "thought" in part else part.get("text")))
            )
            for part in (*parts, *self._calls)
        ]

    def end(self) -> list[bytes]:
        """A last chunk with the finish reason and the usage."""
        last = self._envelope(self._candidate([{"text": ""}]) | self._finish())
        return [frame(last | {"usageMetadata": self._usage()})]

    def _call(self, number: int, call: CallTool) -> dict[str, Any]:
        place = self._earlier + number
        declared = [string(function.get("name")) for function in _declared(self._body)]
        name = wire_name(call.name, declared, FEATURES["gemini"].tool_names)
        part = {"functionCall": {"id": f"gc_{place}", "name": name, "args": parse_object(call.text)}}
        if number > 1:
            return part
        return part | {"thoughtSignature": base64.b64encode(f"thought {place}".encode()).decode()}

    def _finish(self) -> dict[str, Any]:
        if call := self._malformed:
            message = f"Malformed function call: {call.name}({call.text})"
            return {"finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": message}
        return {"finishReason": _FINISH.get(self._say.finish or "stop", "STOP")}

    def _candidate(self, parts: list[dict[str, Any]]) -> dict[str, Any]:
        return {"content": {"parts": parts, "role": "model"}, "index": 0}

    def _envelope(self, candidate: dict[str, Any]) -> dict[str, Any]:
        return {"candidates": [candidate], "modelVersion": self._model, "responseId": "response-1"}

    def _logprobs(self, text: str | None) -> dict[str, Any]:
        if not (text and mapping(self._body.get("generationConfig")).get("responseLogprobs")):
            return {}
        token = {"token": text, "logProbability": self._say.logprob}
        return {"avgLogprobs": self._say.logprob, "logprobsResult": {"chosenCandidates": [token]}}

    def _usage(self) -> dict[str, Any]:
        say = self._say
        written = f"{say.text}{say.reasoning}{say.refusal}{self._calls or ''}"
        sent, received = say.usage or (request_tokens(self._body), tokens(written))
        return {"promptTokenCount": sent, "candidatesTokenCount": received, "totalTokenCount": sent + received}


def _parts(body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for content in sequence(body.get("contents")):
        yield from map(mapping, sequence(mapping(content).get("parts")))


def _declared(body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for tool in sequence(body.get("tools")):
        yield from map(mapping, sequence(mapping(tool).get("functionDeclarations")))
