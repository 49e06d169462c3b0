"""Tools for models that cannot call them natively: every reply is JSON under a schema of typed calls.

The tools stand in the system prompt; the reply is `{"tool": NAME, "arguments": {…}}` or `{"answer": …}`,
enforced by the server through `response_format`. Earlier calls and results become plain text turns.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchestra.dialects.loose import is_object, mapping, parse_object, scalars, sequence, string
from orchestra.dialects.tool_schema import rerooted
from orchestra.types import Json, Message, Part, Request, Text, ToolCall, ToolResult, ToolSpec
from orchestra.types.message import apart


def reply_schema(request: Request) -> dict[str, Json]:
    """The schema of a reply: one typed call, or the answer unless a call is required."""
    branches: list[Json] = [_call_schema(tool, index) for index, tool in enumerate(request.tools)]
    if request.tool_choice != "required":
        pointer = f"#/anyOf/{len(branches)}/properties/answer"
        answer = rerooted(request.output_schema, pointer) if request.output_schema is not None else {"type": "string"}
        branches.append(_object({"answer": answer}))
    return {"anyOf": branches}


def instructed(messages: Sequence[Message], text: str) -> tuple[Message, ...]:
    """The messages with `text` at the end of the first system message, which is made where there is none."""
    if messages and messages[0].role == "system":
        return Message.system(f"{apart(messages[0].parts)}\n\n{text}"), *messages[1:]
    return Message.system(text), *messages


def instructions(request: Request) -> str:
    """What the model is told: the tools as signatures, and the two forms a reply may have.

    The same where a call is required, which the reply's schema sees to: the prompt's cache holds when it no longer is.
    """
    return (
        "Tools:\n"
        + "\n".join(_signature(tool) for tool in request.tools)
        + '\nTo call a tool, reply {"tool": name, "arguments": {...}}.'
        + '\nWhen you know the answer, reply {"answer": ...}.'
        + "\nReply with one JSON object only."
    )


def reminder(request: Request) -> str:
    """What stands behind results, where a small model otherwise repeats its call or their JSON."""
    if request.tool_choice == "required":
        return ""
    form = "..." if request.output_schema is not None else '"the answer in a sentence"'
    return f'When this holds the answer, reply {{"answer": {form}}}.'


def flattened(messages: Iterable[Message], reminder: str = "") -> tuple[Message, ...]:
    """The messages with calls and results as text, in the form in which the model is asked to write them.

    `reminder` follows every turn of results without an error; in all of them, so that the prompt's beginning stays
    the same from turn to turn and its cache holds.
    """
    return tuple(_flat(message, reminder) for message in messages)


def _call_schema(tool: ToolSpec, index: int) -> dict[str, Json]:
    arguments = rerooted(tool.schema, f"#/anyOf/{index}/properties/arguments")
    return _object({"tool": {"const": tool.name}, "arguments": arguments})


def _object(properties: Mapping[str, Json]) -> dict[str, Json]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _signature(tool: ToolSpec) -> str:
    required = sequence(tool.schema.get("required"))
    properties = mapping(tool.schema.get("properties"))
    named = ", ".join(
        f"{name}{'' if name in required else '?'}: {_kind(mapping(schema))}" for name, schema in properties.items()
    )
    lines = [f"- {tool.name}({named}): {tool.description}".rstrip(": ")]
    lines += [
        f"    {name}: {described}"
        for name, schema in properties.items()
        if (described := string(mapping(schema).get("description")))
    ]
    return "\n".join(lines)


def _kind(schema: dict[str, Any]) -> str:
    if choices := sequence(schema.get("enum")):
        return " | ".join(_dumps(choice) for choice in choices)
    kind = schema.get("type")
    if kind == "array":
        return f"array of {_kind(mapping(schema.get('items')))}"
    if isinstance(kind, str) and kind != "object":
        return kind
    shown = {key: value for key, value in schema.items() if key != "description"}
    return _dumps(shown) if shown else "any"


def _flat(message: Message, reminder: str) -> Message:
    if not any(isinstance(part, ToolCall | ToolResult) for part in message.parts):
        return message
    parts = [one for part in message.parts for one in _in_words(part)]
    failed = any(isinstance(part, ToolResult) and part.is_error for part in message.parts)
    if reminder and message.role == "tool" and not failed:
        parts.append(Text(reminder))
    return Message("user" if message.role == "tool" else message.role, _joined(parts))


def _in_words(part: Part) -> Iterator[Part]:
    """A call or a result as text, with the media that a result holds behind it; anything else as it is."""
    if isinstance(part, ToolCall):
        called = {"tool": part.name, "arguments": part.arguments}
        yield Text(part.raw if part.arguments is None else _dumps(called))
    elif isinstance(part, ToolResult):
        said = apart(part.content)
        yield Text(f"{'Error from' if part.is_error else 'Result of'} {part.name}: {said or '(nothing)'}")
        yield from (item for item in part.content if not isinstance(item, Text))
    else:
        yield part


def _joined(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Neighbouring texts as one, a line apart, since only their places told them apart.

    A text with a state stays as it is: a state goes with the very text that it came with.
    """
    result: list[Part] = []
    for part in parts:
        last = result[-1] if result else None
        if isinstance(part, Text) and isinstance(last, Text) and part.provider_state is None:
            text = f"\n{part.text}"
            if last.provider_state is None:
                result[-1] = replace(last, text=last.text + text)
            else:
                result.append(replace(part, text=text))
        else:
            result.append(part)
    return tuple(result)


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


class AnswerText:
    """Hands on the text of `{"answer": "…"}` while it is still being written, and nothing else."""

    def __init__(self, *, structured: bool) -> None:
        self._structured = structured
        self._raw: list[str] = []
        self._unread = ""
        self._opened = False
        self._shown: list[str] = []

    @property
    def shown(self) -> str:
        """What was handed on."""
        return "".join(self._shown)

    def add(self, piece: str) -> str:
        """The answer's text that this piece completes; empty while the reply may still be a call."""
        self._raw.append(piece)
        if self._structured or not self._begun(piece):
            return ""
        text, end = _written(self._unread, 0)
        self._unread = self._unread[end:]
        self._shown.append(text)
        return text

    def close(self) -> str:
        """What is left to hand on once the reply is complete."""
        parts, _ = read("".join(self._raw), structured=self._structured)
        news = "".join(part.text for part in parts if isinstance(part, Text)).removeprefix(self.shown)
        self._shown.append(news)
        return news

    def _begun(self, piece: str) -> bool:
        """Whether the answer has begun; it has to within `_SOON` characters, so that they are not searched for ever."""
        if not self._opened and len(self._unread) >= _SOON:
            return False
        self._unread += piece
        if not self._opened and (opening := _OPENING.match(self._unread[:_SOON])):
            self._opened, self._unread = True, self._unread[opening.end() :]
        return self._opened


_SOON = 200
_OPENING = re.compile(r'\s*\{\s*"answer"\s*:\s*"')
# Whole characters only: an escape that is not complete, or half of a surrogate pair, waits for its rest.
_WHOLE = re.compile(
    r'(?:[^"\\]|\\["\\/bfnrt]|\\u(?:[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F]|(?![dD][89abAB])[0-9a-fA-F]{2})[0-9a-fA-F]{2})*'
)
_CALL = re.compile(r'\s*\{\s*"tool"\s*:\s*"((?:[^"\\]|\\.)*)"(\s*,\s*"arguments"\s*:\s*)?')
_FENCED = re.compile(r"\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*", re.DOTALL)


def read(raw: str, *, structured: bool) -> tuple[tuple[Text | ToolCall, ...], tuple[str, ...]]:
    """The parts that the model's text stands for, and what was mended to read it.

    A call whose arguments do not parse has None for them; a text that is neither call nor answer is itself the text.
    """
    fenced = _FENCED.fullmatch(raw)
    text, mended = (fenced[1], ("removed the code fence around the reply",)) if fenced else (raw, ())
    data = parse_object(text)
    if data is None:
        return _unfinished(raw), ()
    if isinstance(name := data.get("tool"), str):
        arguments: object = data.get("arguments", {})
        known = arguments if is_object(arguments) else None
        return (ToolCall("", name, known, raw=_as_written(text) or _dumps(arguments)),), mended
    if "answer" not in data:
        return _texts(raw), ()
    answer = data["answer"]
    return _texts(answer if isinstance(answer, str) and not structured else _dumps(answer)), mended


def _as_written(text: str) -> str:
    """The arguments' own text, which may say more than its value: a key given twice, say."""
    call = _CALL.match(text)
    return text[call.end() : json.JSONDecoder().raw_decode(text, call.end())[1]] if call and call[2] else ""


def _unfinished(raw: str) -> tuple[Text | ToolCall, ...]:
    if call := _CALL.match(raw):
        return (ToolCall("", call[1], None, raw=raw[call.end() :]),)
    return _texts(_answer_so_far(raw) or raw)


def _answer_so_far(raw: str) -> str:
    opening = _OPENING.match(raw)
    return _written(raw, opening.end())[0] if opening else ""


def _written(raw: str, start: int) -> tuple[str, int]:
    """What the string literal whose inside begins at `start` says, as far as it is whole, and where that ends."""
    whole = _WHOLE.match(raw, start)
    assert whole is not None  # it matches the empty text too
    return scalars(json.loads(f'"{whole[0]}"', strict=False)), whole.end()


def _texts(text: str) -> tuple[Text, ...]:
    return (Text(scalars(text)),) if text else ()
