"""Responses as OpenAI's servers write them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from orchestra.dialects.loose import mapping, sequence
from orchestra.testing.behaviours import Say
from orchestra.testing.wire import Head, frame, pieces, request_tokens, tokens, wire_name


class ResponsesWire:
    """`openai-responses`."""

    dialect = "openai-responses"
    prefix = "/v1"
    stream = Head(200, (("content-type", "text/event-stream"),))
    garbled = b'event: response.output_text.delta\ndata: {"type": "response.output_text.delta", "delta": {\n\n'

    def model(self, path: str, body: Mapping[str, Any]) -> str | None:
        """The `model` of the body."""
        return str(body.get("model")) if path == "/responses" else None

    def streamed(self, path: str, body: Mapping[str, Any]) -> bool:
        """`stream` of the body."""
        return bool(body.get("stream"))

    def schema(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """That of `text.format`."""
        return mapping(mapping(mapping(body.get("text")).get("format")).get("schema"))

    def writer(self, say: Say, path: str, body: Mapping[str, Any]) -> ResponsesWriter:
        """A response."""
        return ResponsesWriter(say, body)

    def error(self, status: int, kind: str, message: str) -> object:
        """OpenAI's error object."""
        return {"error": {"message": message, "type": kind, "param": None, "code": kind}}

    def error_headers(self, status: int) -> Mapping[str, str]:
        """None that say more than the body."""
        return {}


class ResponsesWriter:
    """Writes one response, whole or as events. Reasoning comes encrypted where the request asks for that."""

    def __init__(self, say: Say, body: Mapping[str, Any]) -> None:
        self._say = say
        self._body = body
        self._include = sequence(body.get("include"))
        self._incomplete = _INCOMPLETE.get(say.finish or "")
        self._output = list(self._items())
        self._events = list(self._told())

    def whole(self, *, ended: bool) -> object:
        """The whole response; one that did not end is still in progress."""
        return self._response(self._status if ended else "in_progress", self._output)

    def chunks(self) -> list[bytes]:
        """The output's events, `Say.chunks` pieces a part; those without content go with the next that has some."""
        found = [b""]
        for number, event in enumerate(self._events):
            found[-1] += frame(event | {"sequence_number": number}, event["type"])
            if event["type"].endswith(".delta"):
                found.append(b"")
        *content, rest = found
        return [*content[:-1], content[-1] + rest] if content else [rest]

    def end(self) -> list[bytes]:
        """`response.completed`, or `response.incomplete`."""
        kind, response = f"response.{self._status}", self._response(self._status, self._output)
        return [frame({"type": kind, "response": response, "sequence_number": len(self._events)}, kind)]

    @property
    def _status(self) -> str:
        return "incomplete" if self._incomplete else "completed"

    def _items(self) -> Iterator[dict[str, Any]]:
        say, given = self._say, [mapping(item) for item in sequence(self._body.get("input"))]
        turn, done = len(given), {"status": "completed"}
        if say.reasoning:
            yield self._reasoning(f"rs_{turn}")
        if content := self._content():
            yield {"type": "message", "id": f"msg_{turn}", "role": "assistant", "content": content} | done
        earlier = sum(item.get("type") == "function_call" for item in given)
        declared = {tool["name"] for tool in self._body.get("tools", ())}
        for number, call in enumerate(say.calls, earlier + 1):
            name = wire_name(call.name, declared)
            called = {"type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}"}
            yield called | {"name": name, "arguments": call.text} | done

    def _reasoning(self, identity: str) -> dict[str, Any]:
        summary = [{"type": "summary_text", "text": self._say.reasoning}]
        sealed = {"encrypted_content": f"sealed-{identity}=="} if "reasoning.encrypted_content" in self._include else {}
        return {"type": "reasoning", "id": identity, "summary": summary} | sealed

    def _content(self) -> list[dict[str, Any]]:
        text, refusal = self._say.text, self._say.refusal
        logprobs: list[dict[str, Any]] = [{**token, "bytes": []} for token in self._logprobs(text)]
        said: dict[str, Any] = {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}
        return [said] * bool(text) + [{"type": "refusal", "refusal": refusal}] * bool(refusal)

    def _told(self) -> Iterator[dict[str, Any]]:
        yield {"type": "response.created", "response": self._response("in_progress", [])}
        for index, item in enumerate(self._output):
            yield {"type": "response.output_item.added", "output_index": index, "item": item | _begun(item)}
            yield from self._inside(item, {"output_index": index, "item_id": item["id"]})
            yield {"type": "response.output_item.done", "output_index": index, "item": item}

    def _inside(self, item: dict[str, Any], at: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if "arguments" in item:
            yield from self._pieces("function_call_arguments", "arguments", item["arguments"], at)
        for index, part in enumerate(item.get("summary", ())):
            place = at | {"summary_index": index}
            yield from self._part("reasoning_summary_part", "reasoning_summary_text", part, place)
        for index, part in enumerate(item.get("content", ())):
            yield from self._part("content_part", part["type"], part, at | {"content_index": index})

    def _part(self, name: str, kind: str, part: dict[str, Any], at: dict[str, Any]) -> Iterator[dict[str, Any]]:
        key = "refusal" if "refusal" in part else "text"
        yield {"type": f"response.{name}.added", **at, "part": part | {key: ""}}
        yield from self._pieces(kind, key, part[key], at)
        yield {"type": f"response.{name}.done", **at, "part": part}

    def _pieces(self, kind: str, key: str, text: str, at: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for piece in pieces(text, self._say.chunks):
            logprobs = {"logprobs": self._logprobs(piece)} if kind == "output_text" else {}
            yield {"type": f"response.{kind}.delta", **at, "delta": piece} | logprobs
        logprobs = {"logprobs": self._logprobs(text)} if kind == "output_text" else {}
        yield {"type": f"response.{kind}.done", **at, key: text} | logprobs

    def _response(self, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
        body, reason = self._body, self._incomplete if status == "incomplete" else None
        return {
            "id": "resp_1",
            "object": "response",
            "created_at": 0,
            "status": status,
            "error": None,
            "incomplete_details": {"reason": reason} if reason else None,
            "instructions": None,
            "metadata": {},
            "model": body.get("model"),
            "output": output,
            "parallel_tool_calls": body.get("parallel_tool_calls", True),
            "tool_choice": body.get("tool_choice", "auto"),
            "tools": body.get("tools", []),
            "usage": None if status == "in_progress" else self._usage(),
        }

    def _logprobs(self, text: str) -> list[dict[str, Any]]:
        if "message.output_text.logprobs" not in self._include:
            return []
        return [{"token": text, "logprob": self._say.logprob, "top_logprobs": []}]

    def _usage(self) -> dict[str, Any]:
        sent, received = self._say.usage or (request_tokens(self._body), tokens(json.dumps(self._output)))
        reasoned = min(received, tokens(self._say.reasoning)) if self._say.reasoning else 0
        return {
            "input_tokens": sent,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": received,
            "output_tokens_details": {"reasoning_tokens": reasoned},
            "total_tokens": sent + received,
        }


_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter", "other": "max_messages"}
_EMPTY: Mapping[str, Any] = {
    "content": [],
    "summary": [],
    "arguments": "",
    "encrypted_content": "",
    "status": "in_progress",
}


def _begun(item: dict[str, Any]) -> dict[str, Any]:
    """How an item begins, before anything of it is written."""
    return {name: empty for name, empty in _EMPTY.items() if name in item}
