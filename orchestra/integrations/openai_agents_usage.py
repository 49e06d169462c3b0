"""openai-agents' account of a reply: every request is counted, for those that came to nothing are paid for as well."""

from __future__ import annotations

from typing import Any

from agents.usage import RequestUsage, Usage
from openai.types.responses import ResponseUsage
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails

from orchestra import types as t


def usage_of(reply: t.Reply) -> Usage:
    """The requests that were sent, and the tokens that their providers counted, with an entry for each of them."""
    used = [attempt.usage or t.Usage() for attempt in reply.attempts if attempt.sent != "no"]
    entries = [RequestUsage(**_counts(one)) for one in used if one.input or one.output]
    return Usage(requests=len(used), request_usage_entries=entries, **_counts(sum(used, t.Usage())))


def told(usage: Usage) -> ResponseUsage:
    """The same as a response of a stream says it."""
    found = _said(usage)
    # where the SDK's own models that make several requests for a response put them, and its runner looks
    object.__setattr__(found, "_agents_sdk_request_usages", [_said(one) for one in usage.request_usage_entries])
    object.__setattr__(found, "_agents_sdk_request_count", usage.requests)
    return found


def _counts(used: t.Usage) -> dict[str, Any]:
    return {
        "input_tokens": used.input,
        "output_tokens": used.output,
        "total_tokens": used.input + used.output,
        "input_tokens_details": InputTokensDetails(
            cached_tokens=used.cached_input, cache_write_tokens=used.cache_write
        ),
        "output_tokens_details": OutputTokensDetails(reasoning_tokens=used.reasoning),
    }


def _said(usage: Usage | RequestUsage) -> ResponseUsage:
    return ResponseUsage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        total_tokens=usage.total_tokens,
        input_tokens_details=usage.input_tokens_details,
        output_tokens_details=usage.output_tokens_details,
    )
