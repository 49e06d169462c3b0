"""What an error of an OpenAI-style server means: a trigger, a text, and how long to wait."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from orchestra.dialects.loose import mapping, parse, scalars, sequence, string
from orchestra.dialects.retry_after import duration, retry_after
from orchestra.types import CallFault, Trigger

_TEXT_LIMIT = 600

# What the error calls itself beats its status: servers agree on the words more than on the numbers.
_WORDS: tuple[tuple[re.Pattern[str], Trigger], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), trigger)
    for pattern, trigger in (
        (r"insufficient_quota|billing|exceeded your current quota|credit balance|insufficient.balance", Trigger.quota),
        (r"context_length_exceeded|exceed_context_size|context_window_exceeded", Trigger.context_overflow),
        (r"maximum context length|(prompt|input) is too long|input token count[^.]* exceeds", Trigger.context_overflow),
        (r"(exceed\w*|larger than|longer than)[^.]{0,60}\bcontext (size|window|length)", Trigger.context_overflow),
        (r"content_filter|content_policy|content management policy|responsibleai|moderation", Trigger.content_filter),
        (r"invalid_api_key|incorrect api key|authentication_error|permission_denied", Trigger.auth),
        (r"rate_limit|too many requests|resource_exhausted", Trigger.rate_limited),
        (r"overloaded|at capacity|unavailable", Trigger.overloaded),
        (r"timed? ?out|deadline", Trigger.timeout),
    )
)
_STATUS = {
    401: Trigger.auth,
    402: Trigger.quota,
    403: Trigger.auth,
    408: Trigger.timeout,
    409: Trigger.server_error,
    413: Trigger.context_overflow,
    425: Trigger.overloaded,
    429: Trigger.rate_limited,
    503: Trigger.overloaded,
    504: Trigger.timeout,
    524: Trigger.timeout,
    529: Trigger.overloaded,
}
# A status that leaves no doubt stands against words that only a message holds.
_CERTAIN = {401, 402, 408, 503, 504, 524, 529}


def http_fault(status: int, headers: Mapping[str, str], body: bytes) -> CallFault:
    """The fault of a response with an error status; header names are lower case."""
    error = _error(body)
    wait = retry_after(headers)
    return CallFault(
        _trigger(status, error),
        f"HTTP {status}: {_text(error) or 'the body says nothing'}{_advice(status)}",
        status=status,
        retry_after=_retry_delay(error) if wait is None else wait,
    )


def stream_fault(error: object, partial_text: str = "") -> CallFault:
    """The fault of an error object inside a successful response or stream."""
    details = mapping(error) or {"message": string(error)}
    code = details.get("code")
    status = code if isinstance(code, int) and 400 <= code < 600 else None
    return CallFault(
        _trigger(status, details),
        f"error inside the reply: {_text(details) or 'it says nothing'}",
        status=status,
        retry_after=_retry_delay(details),
        partial_text=partial_text,
    )


def _error(body: bytes) -> dict[str, Any]:
    try:
        data = parse(body)
    except ValueError:
        return {"message": body.decode("utf-8", "replace").strip()}
    data = mapping(sequence(data)[0] if sequence(data) else data)  # one large provider wraps its error in an array
    found = data.get("error", data)
    return mapping(found) or {"message": string(found)}


def _trigger(status: int | None, error: Mapping[str, Any]) -> Trigger:
    if status in _CERTAIN:
        return _STATUS[status]
    names = " ".join(str(error.get(key) or "") for key in ("code", "type", "status"))
    for words in (names, string(error.get("message"))):
        for pattern, trigger in _WORDS:
            if pattern.search(words) and _fits(trigger, status):
                return trigger
    if status is None:
        return Trigger.bad_request if "invalid_request" in names else Trigger.server_error
    return _STATUS.get(status, Trigger.server_error if status >= 500 else Trigger.bad_request)


def _fits(trigger: Trigger, status: int | None) -> bool:
    """Words of passing trouble count only where the status allows trouble that passes: a 400 stays our fault."""
    passing = trigger in {Trigger.overloaded, Trigger.timeout, Trigger.rate_limited}
    return not passing or status is None or status == 429 or status >= 500


def _text(error: Mapping[str, Any]) -> str:
    name = str(error.get("code") or error.get("type") or "")
    message = string(error.get("message")) or string(error.get("detail"))
    text = scalars(": ".join(part for part in (name, message) if part))
    return text if len(text) <= _TEXT_LIMIT else text[: _TEXT_LIMIT - 1] + "…"


def _advice(status: int) -> str:
    if status in (404, 405):
        return " (check the model's `model` and `base_url` in the fleet)"
    return " (redirected: check `base_url` in the fleet)" if 300 <= status < 400 else ""


def _retry_delay(error: Mapping[str, Any]) -> float | None:
    for detail in sequence(error.get("details")):
        if (seconds := duration(string(mapping(detail).get("retryDelay")))) is not None:
            return seconds
    return None
