"""What an error of an OpenAI-style server means: a trigger, a text, and how long to wait."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from orchestra.dialects.gone import is_gone
from orchestra.dialects.loose import mapping, parse, scalars, sequence, string
from orchestra.dialects.retry_after import retry_after, should_retry
from orchestra.dialects.waits import duration
from orchestra.types import CallFault, Trigger

_TEXT_LIMIT = 600

# What the error calls itself beats its status: servers agree on the words more than on the numbers. In what it calls
# itself a word is enough; a message may hold any word, so that only what is said in so many words counts there.
_NAMES = (
    (Trigger.quota, r"insufficient_quota|billing|insufficient.balance"),
    (Trigger.quota, r"exceeded_current_quota|arrearage|\bbudget_exceeded"),  # Moonshot; Alibaba; LiteLLM
    (Trigger.quota, r"servicequotaexceeded"),  # Bedrock's InvokeModel, with a 400
    (Trigger.context_overflow, r"context_length_exceeded|exceed_context_size|context_window_exceeded"),
    # Groq refuses what its own model wrote, as if the request had been wrong.
    (Trigger.bad_reply, r"tool_use_failed|json_validate_failed"),
    (Trigger.content_filter, r"content_filter|content_policy|responsibleai|moderation|policy_violation|bio_policy"),
    (Trigger.content_filter, r"data_?inspection_?failed"),  # Alibaba
    (Trigger.auth, r"invalid_api_key|authentication|permission_denied|access_?denied"),
    (Trigger.rate_limited, r"rate_limit|too_many_requests|resource_exhausted|throttl"),
    (Trigger.overloaded, r"overloaded|over_capacity|unavailable|modelnotready"),
    (Trigger.timeout, r"time_?d?_?out|deadline"),
)
# Google calls an empty account what it calls a limit of requests, which time would lift.
_DEPLETED = ((Trigger.quota, r"prepayment credits are depleted"),)
# What is too long for a window: not a parameter, a schema or a number of images.
_INPUT = r"(request|prompt|input|messages?|conversation|tokens?)\b"
_ITS = r"( +([a-z']+|[\d,]+[ -]tokens?)){0,4}"
_WINDOW = r"context (size|window|length|limit)"
_PHRASES = (
    (Trigger.quota, r"exceeded your current quota|credit balance|insufficient (balance|credits|quota|funds)"),
    (Trigger.quota, r"billing (details|hard limit|soft limit|to be enabled|is not active|account)"),
    (Trigger.quota, r"insufficient_quota|reached your specified api usage limits"),
    (Trigger.quota, r"monthly spending limit|\w*余额不足"),  # xAI, and Fireworks with a 412; Zhipu
    (Trigger.context_overflow, r"context_length_exceeded|exceed_context_size|context_window_exceeded"),
    (Trigger.context_overflow, r"maximum context length|(prompt|input) is too long"),
    (Trigger.context_overflow, r"maximum prompt length is \d+ but|longer than the maximum model length"),  # xAI; vLLM
    (Trigger.context_overflow, r"input token count[^.]* (exceeds|but model only)|input tokens exceeds maximum"),
    (Trigger.context_overflow, r"tokens in the prompt cannot exceed|size limit exceeded by \d+ tokens"),
    (Trigger.context_overflow, r"too many input tokens|ContextWindowExceeded|loaded with context length of only"),
    (Trigger.context_overflow, rf"{_INPUT}[^.;]{{0,60}} (exceed\w*|(larg|long|great)er than){_ITS} +{_WINDOW}"),
    (Trigger.context_overflow, r"range of input length should be|exceeded model token limit"),  # Alibaba; Moonshot
    (Trigger.context_overflow, r"prompt (exceeds max length|超长)"),  # Zhipu
    # Text Generation Inference, and Together: "`inputs` tokens + `max_new_tokens` must be <= 4096"
    (Trigger.context_overflow, r"error: `inputs` (tokens \+\s+must be <=|must have less than \d+ tokens)"),
    (Trigger.content_filter, r"content (management )?policy|content[_ ](filter(ing)?|policy_violation)\b"),
    (Trigger.content_filter, r"responsible ai|ContentPolicyViolation"),
    # xAI says 403 to it, as to a bad key; DeepSeek and Zhipu name it as they name any bad request.
    (Trigger.content_filter, r"violates usage guidelines|content exists risk|\w*敏感内容"),
    (Trigger.content_filter, r"unsafe or sensitive content in"),
    (Trigger.content_filter, r"flagged (by|as|for)|(was|been|were) flagged|requires moderation|usage polic(y|ies)"),
    # Google says 400 of a bad key, and of a key used where it may not be.
    (Trigger.auth, r"incorrect api key|api key not valid|api key expired|user location is not supported"),
    (Trigger.auth, r"organization has been disabled(?! from)"),  # Anthropic, with a 400; not a part of it
    (Trigger.auth, r"invalid_api_key|authentication_error|permission_denied"),
    (Trigger.rate_limited, r"rate[ _]limit|resource_exhausted|too many requests|throttl"),
    (Trigger.overloaded, r"overloaded|at capacity|unavailable"),
    (Trigger.timeout, r"timed? ?out|deadline"),
)


def _compiled(words: Iterable[tuple[Trigger, str]], before: str = "") -> tuple[tuple[Trigger, re.Pattern[str]], ...]:
    return tuple((trigger, re.compile(f"{before}(?:{pattern})", re.IGNORECASE)) for trigger, pattern in words)


_IN_NAMES, _IN_MESSAGE, _ABOVE_NAMES = _compiled(_NAMES), _compiled(_PHRASES, r"\b"), _compiled(_DEPLETED, r"\b")
# A quoted name is the request's own: of a model, a tool, a field. `inputs` is all that the model is to read.
_QUOTED = re.compile(r"""(?<!\w)(['"`])(?!inputs`)[^\s'"`]+\1(?!\w)""")
_STATUS = {
    401: Trigger.auth,
    402: Trigger.quota,
    403: Trigger.auth,
    408: Trigger.timeout,
    409: Trigger.server_error,
    413: Trigger.context_overflow,
    424: Trigger.server_error,  # Bedrock: the model failed
    425: Trigger.overloaded,
    429: Trigger.rate_limited,
    498: Trigger.overloaded,  # Groq: no capacity for its flex tier
    499: Trigger.timeout,  # given up on the way, not by us
    503: Trigger.overloaded,
    504: Trigger.timeout,
    524: Trigger.timeout,
    529: Trigger.overloaded,
}
# What errors that come without a status call themselves where the request was wrong.
_OURS = re.compile(r"invalid_|validation|image|data_residency", re.IGNORECASE)
# A status that leaves no doubt stands against words that only a message holds.
_CERTAIN = {401, 402, 408, 503, 504, 524, 529}


def http_fault(status: int, headers: Mapping[str, str], body: bytes) -> CallFault:
    """The fault of a response with an error status; header names are lower case."""
    error = _error(body)
    wait, (trigger, of_model) = retry_after(headers, status), _meaning(status, error)
    return CallFault(
        trigger,
        f"HTTP {status}: {_text(error) or 'the body says nothing'}{_advice(status, gone=of_model)}",
        status=status,
        retry_after=_retry_delay(error) if wait is None else wait,
        should_retry=should_retry(headers),
        of_model=of_model or status == 403,
    )


def stream_fault(error: object, partial_text: str = "") -> CallFault:
    """The fault of an error object inside a successful response or stream."""
    details = mapping(error) or {"message": string(error)}
    status = next(filter(None, (_status(details.get(name)) for name in _STATUSES)), None)
    trigger, of_model = _meaning(status, details)
    return CallFault(
        trigger,
        f"error inside the reply: {_text(details) or 'it says nothing'}",
        status=status,
        retry_after=_retry_delay(details),
        partial_text=partial_text,
        of_model=of_model or status == 403,
    )


_STATUSES = ("code", "status", "status_code", "http_status_code")
"""Where an error inside a reply says its HTTP status: nearly all; Azure; Groq; Text Generation Inference."""


def _status(said: object) -> int | None:
    """An error's HTTP status; LiteLLM writes it as text."""
    number = int(said) if isinstance(said, str) and re.fullmatch(r"[45]\d\d", said, re.ASCII) else said
    return number if isinstance(number, int) and 400 <= number < 600 else None


def _error(body: bytes) -> dict[str, Any]:
    try:
        data = parse(body)
    except ValueError:
        return {"message": body.decode("utf-8", "replace").strip()}
    data = mapping(sequence(data)[0] if sequence(data) else data)  # one large provider wraps its error in an array
    found = data.get("error", data)
    return mapping(found) or {"message": string(found)}


def _meaning(status: int | None, error: Mapping[str, Any]) -> tuple[Trigger, bool]:
    """The trigger, and whether the model is not there, which is nobody's fault that the error names."""
    trigger = _trigger(status, error)
    gone = trigger in _OTHERWISE and is_gone(status, *_said(error))
    return (Trigger.auth if gone else trigger), gone


_OTHERWISE = {Trigger.bad_request, Trigger.server_error}
"""What an error is that says nothing more of itself."""


def _trigger(status: int | None, error: Mapping[str, Any]) -> Trigger:
    if status in _CERTAIN:
        return _STATUS[status]
    names, message = _said(error)
    for words, meanings in ((message, _ABOVE_NAMES), (names, _IN_NAMES), (message, _IN_MESSAGE)):
        for trigger, pattern in meanings:
            if pattern.search(words) and _fits(trigger, status):
                return trigger
    if status is None:
        return Trigger.bad_request if _OURS.search(names) else Trigger.server_error
    return _STATUS.get(status, Trigger.server_error if status >= 500 else Trigger.bad_request)


def _said(error: Mapping[str, Any]) -> tuple[str, str]:
    """What the error, and the one it hands on, call themselves; what they say, without the request's own names."""
    errors = (error, _passed_on(error))
    return " ".join(filter(None, map(_names, errors))), " ".join(_QUOTED.sub(" ", _message(one)) for one in errors)


def _names(error: Mapping[str, Any]) -> str:
    """What the error calls itself; a message of one word is a name too."""
    message = string(error.get("message"))
    said = [str(error.get(key) or "") for key in ("code", "type", "status")]
    return " ".join([*said, message if re.fullmatch(r"\w+", message) else ""])


def _passed_on(error: Mapping[str, Any]) -> dict[str, Any]:
    """The error of the server behind this one, which OpenRouter hands on as text."""
    raw = string(mapping(error.get("metadata")).get("raw"))
    return _error(raw.encode(errors="replace")) if raw else {}


def _fits(trigger: Trigger, status: int | None) -> bool:
    """Words of passing trouble count only where the status allows trouble that passes: a 400 stays our fault."""
    passing = trigger in {Trigger.overloaded, Trigger.timeout, Trigger.rate_limited}
    return not passing or status is None or status == 429 or status >= 500


def _text(error: Mapping[str, Any]) -> str:
    name = str(error.get("code") or error.get("type") or "")
    message = _message(error)
    text = scalars(": ".join(part for part in (name, message) if part))
    return text if len(text) <= _TEXT_LIMIT else text[: _TEXT_LIMIT - 1] + "…"


def _message(error: Mapping[str, Any]) -> str:
    """A text, or what FastAPI says of each field that it refuses: `{loc, msg}`."""
    message = error.get("message")
    detail = error.get("detail") or mapping(message).get("detail")
    fields = [mapping(one) for one in sequence(detail)]
    said = [f"{'.'.join(map(str, sequence(one.get('loc'))))}: {string(one.get('msg'))}" for one in fields]
    text = string(message) or string(detail) or "; ".join(said)
    # OpenRouter says "Provider returned error", and what that was beside it.
    return " ".join(filter(None, (text, string(mapping(error.get("metadata")).get("raw")))))


def _advice(status: int, *, gone: bool) -> str:
    if gone or status in (404, 405):
        return " (check the model's `model` and `base_url` in the fleet)"
    return " (redirected: check `base_url` in the fleet)" if 300 <= status < 400 else ""


def _retry_delay(error: Mapping[str, Any]) -> float | None:
    for detail in sequence(error.get("details")):
        if (seconds := duration(string(mapping(detail).get("retryDelay")))) is not None:
            return seconds
    return None
