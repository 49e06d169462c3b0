"""openai-agents' items and canonical messages: what a model of ours wrote keeps its state and comes back unchanged."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from mimetypes import guess_type
from typing import Any, cast
from uuid import uuid4

from agents.items import TResponseOutputItem
from agents.models.fake_id import FAKE_RESPONSES_ID
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseReasoningItem

from agents import RunContextWrapper, TResponseInputItem, default_tool_error_function
from orchestra import types as t
from orchestra.dialects.loose import parse_object
from orchestra.errors import ConfigError


def tell_failure(_context: RunContextWrapper[Any], error: Exception) -> str:
    """A tool's `failure_error_function` that tells the model what happened, and counts as a failure of the tool.

    The SDK's own says only that something did; that counts, too. What another one says is taken for a result.
    """
    return f"{_FAILED}{error}"


def from_items(items: str | Iterable[TResponseInputItem], system: str | None = None) -> tuple[t.Message, ...]:
    """A conversation of the SDK as canonical messages; each part that a model of ours wrote with its state.

    Reasoning that was written elsewhere is kept without its state: it goes to no other model. Raises ConfigError for an
    item that only OpenAI's server can read.
    """
    turns: list[tuple[t.Role, list[t.Part]]] = [("system", [t.Text(system)])] if system else []
    called: dict[str, tuple[str, str]] = {}
    given: Iterable[Any] = [{"role": "user", "content": items}] if isinstance(items, str) else items
    whole = False  # a message whose content is one text is nobody's reply, and stands alone
    for item in given:
        role, parts = _read(item, called)
        content, after_whole = item.get("content"), whole
        whole = isinstance(content, str)
        apart = whole or (after_whole and content is not None)
        if turns and role == turns[-1][0] and role in _TURNS and not apart:
            turns[-1][1].extend(parts)
        elif parts:
            turns.append((role, list(parts)))
    return tuple(t.Message(role, tuple(parts)) for role, parts in turns)


def to_items(message: t.Message, mark: str = "") -> list[TResponseOutputItem]:
    """An assistant's message as the SDK's items, one a part, in order; `from_items` reads back the very same parts."""
    return [item for part in message.parts for item in part_items(part, mark)]


def new_mark() -> str:
    """What tells the calls of one reply from those of all others, for `answer_items` and `part_items`.

    The SDK takes two calls of a run that share an id for one, in other agents too, and skips or refuses the second; a
    model that counts its calls, or a codec that names them, sees only what a handoff or a filter has left of the run.
    """
    return uuid4().hex[:8]


def answer_items(reply: t.Reply, mark: str) -> list[TResponseOutputItem]:
    """The reply's items; a structured answer without what was around it, for the runner parses the text."""
    if reply.output is None:
        return to_items(reply.message, mark)
    rest = [part for part in reply.message.parts if isinstance(part, t.Reasoning)]
    origin = next((part.origin for part in reply.message.parts if isinstance(part, t.Text)), None)
    text = t.Text(json.dumps(reply.output, ensure_ascii=False), origin)
    return to_items(t.Message("assistant", (*rest, text)))


_TURNS = frozenset({"assistant", "tool"})  # of which each is several items
_ROLES: dict[str, t.Role] = {"user": "user", "system": "system", "developer": "system", "assistant": "assistant"}
_FAILED = "The tool failed: "
_STATE = "orchestra"  # the key, in an item's provider_data, of what no other provider may see


def _read(item: Mapping[str, Any], called: dict[str, tuple[str, str]]) -> tuple[t.Role, Sequence[t.Part]]:
    match item:
        case {"type": "function_call", "call_id": call_id, "name": name, "arguments": raw}:
            own = _kept(item).get("id", call_id)
            own = call_id if own in called else own
            called[call_id] = called[own] = own, name
            return "assistant", [t.ToolCall(own, name, parse_object(raw or "{}"), raw, **_state(item))]
        case {"type": "function_call_output", "call_id": str(call_id), "output": output}:
            return "tool", [_result(*called.get(call_id, (call_id, "")), output)]
        case {"type": "reasoning"}:
            summary = item.get("summary") or ()  # some servers say null
            return "assistant", [t.Reasoning("".join(one["text"] for one in summary), **_state(item))]
        case {"role": str(role), "content": content} if role in _ROLES:
            return _ROLES[role], _parts(content, _state(item))
        case _:
            kind = item.get("type") or item.get("role")
            raise ConfigError(
                f"input: an item of type {kind!r} cannot be shown to every model of a fleet; "
                "known: message, function_call, function_call_output, reasoning"
            )


def _result(call_id: str, name: str, output: Any) -> t.ToolResult:
    parts = tuple(part for part in _parts(output, {}) if isinstance(part, t.Text | t.Image | t.Document))
    said = parts[0].text if parts and isinstance(parts[0], t.Text) else ""
    failed = said.startswith((_FAILED, _STOCK_FAILURE, f"Tool {name!r} timed out after"))
    return t.ToolResult(call_id, name, parts, is_error=failed or _failed_there(name, said))


def _failed_there(name: str, said: str) -> bool:
    """Whether an MCP SDK's server says that this tool failed; the runner keeps no other sign of it.

    With `include_server_in_tool_names` the runner calls it `mcp_SERVER__TOOL`, in letters that it may have changed.
    """
    head, _, rest = said.partition(_MCP_FAILURE)
    if head or not rest:
        return False
    return name.startswith("mcp_") or rest == name or rest.startswith(f"{name}:")


_MCP_FAILURE = "Error executing tool "
_STOCK_FAILURE = default_tool_error_function(cast("Any", None), Exception())


def _parts(content: Any, state: Mapping[str, Any]) -> list[t.Part]:
    if isinstance(content, str):
        return [t.Text(content, **state)] if content else []
    return [part for block in content for part in _part(block, state)]


def _part(block: Mapping[str, Any], state: Mapping[str, Any]) -> Iterator[t.Part]:
    match block:
        case {"text": str(text)} | {"refusal": str(text)}:
            if text:
                yield t.Text(text, **state)
        case {"type": "input_image", "image_url": str(url)}:
            media, data = _data(url)
            yield t.Image(media or "image/*", data=data, url=None if data else url)
        case {"type": "input_file", "file_data": str(url)}:
            media, data = _data(url)
            name = block.get("filename") or ""
            yield t.Document(media or guess_type(name)[0] or _PDF, name, data or url)  # or base64 alone
        case {"type": "input_file", "file_url": str(url)}:
            media, data = _data(url)
            yield t.Document(media or _PDF, block.get("filename") or "", data, None if data else url)
        case _:
            raise ConfigError(
                f"input: a part {block.get('type')!r} with {', '.join(block)} cannot be shown to every model of a "
                "fleet; known: input_text, input_image with image_url, input_file with file_data or file_url"
            )


_PDF = "application/pdf"


def _data(url: str) -> tuple[str, str | None]:
    head, found, data = url.partition(";base64,")
    return (head.removeprefix("data:"), data) if found else ("", None)


def _kept(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """What `part_items` kept; whoever stores a conversation, or sends it along, may have changed it."""
    beside: Any = item.get("provider_data") or _NOTHING
    kept: Any = cast("Mapping[str, Any]", beside).get(_STATE) if isinstance(beside, Mapping) else beside
    match kept:
        case None:
            return _NOTHING
        case {"origin": [str(), str(), str()], "state": str() | None} if isinstance(kept.get("id", ""), str):
            return kept
        case _:
            raise ConfigError(
                f"input: provider_data[{_STATE!r}] of an item of type {item.get('type')!r} is not what a model of "
                "yours left there; put it back as it was, or leave provider_data out"
            )


def _state(item: Mapping[str, Any]) -> dict[str, Any]:
    kept = _kept(item)
    return {"origin": t.Origin(*kept["origin"]), "provider_state": kept["state"]} if kept else {}


_NOTHING: Mapping[str, Any] = {}


def part_items(part: t.Part, mark: str = "") -> Iterator[TResponseOutputItem]:
    """The item that says this part; none for an image or a document, with which no model of a fleet answers."""
    fields: dict[str, Any] = {"id": FAKE_RESPONSES_ID}
    if part.origin:
        kept = part.origin
        state = {"origin": [kept.provider, kept.api, kept.model], "state": part.provider_state}
        fields["provider_data"] = {_STATE: state}
    match part:
        case t.Text(text):
            content: Any = [{"type": "output_text", "text": text, "annotations": []}]
            fields |= {"type": "message", "role": "assistant", "status": "completed", "content": content}
            yield ResponseOutputMessage.model_validate(fields)
        case t.Reasoning(text):
            fields |= {"type": "reasoning", "summary": [{"type": "summary_text", "text": text}] if text else []}
            yield ResponseReasoningItem.model_validate(fields)
        case t.ToolCall(call_id, name, arguments, raw):
            said = raw if parse_object(raw or "{}") == arguments else json.dumps(arguments, ensure_ascii=False)
            if mark and part.origin:
                fields["provider_data"][_STATE]["id"], call_id = call_id, f"{call_id}-{mark}"
            fields |= {"type": "function_call", "call_id": call_id, "name": name, "arguments": said}
            yield ResponseFunctionToolCall.model_validate(fields)
        case _:
            return
