"""What a fake model may do with one request: small frozen values, the same over HTTP and in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from orchestra.types import Finish, Json


@dataclass(frozen=True, slots=True, init=False)
class CallTool:
    """The model calls a tool: `CallTool("rows", sql="SELECT 1")`. `text` holds the arguments exactly as written."""

    name: str
    text: str

    def __init__(self, name: str, /, **arguments: Json) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "text", json.dumps(arguments, ensure_ascii=False))

    @classmethod
    def written(cls, name: str, text: str) -> CallTool:
        """A call whose arguments are exactly `text`, well formed or not."""
        call = cls(name)
        object.__setattr__(call, "text", text)
        return call


@dataclass(frozen=True, slots=True)
class Say:
    """A reply: text, calls, or both.

    `usage` is (input, output) tokens, estimated where None. `chunks` is how many pieces a stream takes.
    `logprob` is the log-probability of every token, sent only where the request asks for it.
    """

    text: str = ""
    calls: tuple[CallTool, ...] = ()
    reasoning: str = ""
    refusal: str = ""
    finish: Finish | None = None
    usage: tuple[int, int] | None = None
    logprob: float = -0.1
    chunks: int = 3


@dataclass(frozen=True, slots=True)
class RawReply:
    """The model writes exactly this text, even where JSON was asked of it."""

    text: str
    finish: Finish = "stop"


Said: TypeAlias = str | CallTool | Say | RawReply


@dataclass(frozen=True, slots=True)
class Error:
    """An HTTP error: a body as given, or an OpenAI-style one for the status."""

    status: int
    body: Mapping[str, Json] | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def context_overflow(cls) -> Error:
        """The prompt is longer than the model's window."""
        return cls(400, _body("invalid_request_error", "context_length_exceeded", "maximum context length exceeded"))

    @classmethod
    def content_filter(cls) -> Error:
        """The provider's content filter refuses the request."""
        return cls(400, _body("invalid_request_error", "content_filter", "the prompt triggered the content policy"))


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset before a byte of the response."""


@dataclass(frozen=True, slots=True)
class Silence:
    """The request is accepted and never answered."""


@dataclass(frozen=True, slots=True)
class Slow:
    """The first token of `reply` comes only after so many seconds; a stream's head comes at once."""

    seconds: float
    reply: Said = "late"


@dataclass(frozen=True, slots=True)
class CutStream:
    """The connection breaks after `after` chunks of `reply`, and `pause` seconds in which those can be read."""

    reply: Said = "cut in the middle"
    after: int = 1
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Stall:
    """The stream stops after `after` chunks of `reply` and stays open."""

    reply: Said = "stalled in the middle"
    after: int = 1


@dataclass(frozen=True, slots=True)
class MalformedChunk:
    """What follows `after` chunks of `reply`, and `pause` seconds in which those can be read, is no JSON."""

    reply: Said = "garbled in the middle"
    after: int = 1
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class NoEnd:
    """`reply` is cleanly closed, but without a finish reason and without [DONE]."""

    reply: Said = "never finished"


Fixed: TypeAlias = Said | Error | Reset | Silence | Slow | CutStream | Stall | MalformedChunk | NoEnd
Behaviour: TypeAlias = Fixed | Callable[[dict[str, Any]], Fixed]


class ScriptError(BaseException):
    """A script does not fit what was asked of the model: the test is wrong, not the agent.

    No Exception, so that nothing on its way out takes it for a fault of a provider, or of a tool, and recovers from it.
    """

    ends_the_test = True


def _body(kind: str, code: str, message: str) -> dict[str, Json]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}
