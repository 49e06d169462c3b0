"""How long a provider asks to wait: every spelling of it, in seconds."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, or None where the headers (names in lower case) do not say.

    `retry-after-ms`, then `retry-after` in seconds or as a date (measured from the response's own
    `date`, so a wrong clock here does not matter), then the reset of the limit that is used up.
    """
    for found in (
        _number(headers.get("retry-after-ms", ""), 0.001),
        _number(headers.get("retry-after", "")),
        _until(headers.get("retry-after", ""), headers.get("date", "")),
    ):
        if found is not None:
            return found
    return _reset(headers)


def duration(text: str) -> float | None:
    """Seconds in `6m0s`, `12ms`, `1.5s` or plain `6`; None where the text is no duration."""
    text = text.strip()
    pieces = _DURATION.findall(text)
    if pieces and "".join(number + unit for number, unit in pieces) == text:
        return sum(float(number) * _SECONDS[unit] for number, unit in pieces)
    return _number(text)


def _number(text: str, unit: float = 1.0) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return max(0.0, value * unit) if math.isfinite(value) else None


def _until(moment: str, now: str) -> float | None:
    end, start = _date(moment), _date(now)
    return None if end is None or start is None else max(0.0, (end - start).total_seconds())


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _reset(headers: Mapping[str, str]) -> float | None:
    """The longest reset among limits at zero; the nearest one where no limit says it is at zero."""
    resets: dict[str, float] = {}
    for kind in ("requests", "tokens"):
        seconds = duration(headers.get(f"x-ratelimit-reset-{kind}", ""))
        if seconds is not None:
            resets[kind] = seconds
    spent = [resets[kind] for kind in resets if headers.get(f"x-ratelimit-remaining-{kind}", "").strip() == "0"]
    return max(spent) if spent else min(resets.values(), default=None)
