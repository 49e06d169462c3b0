"""Spans of time as headers and errors write them, in seconds; whatever a stranger wrote, from none to a day."""

from __future__ import annotations

import math
import re
from datetime import datetime
from email.utils import parsedate_to_datetime

LONGEST = 86_400.0
"""Seconds; a larger number is mostly a moment, in seconds since 1970: for as long nobody would be asked again."""

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def duration(text: str) -> float | None:
    """Seconds in `6m0s`, `12ms`, `1.5s` or plain `6`; None where the text is no duration, or an endless one."""
    text = text.strip()
    pieces = _DURATION.findall(text)
    if pieces and "".join(number + unit for number, unit in pieces) == text:
        return _finite(sum(float(number) * _SECONDS[unit] for number, unit in pieces))
    return number(text)


def number(text: str, unit: float = 1.0) -> float | None:
    """A number of `unit` seconds; what lies in the past is no wait. None where the text is no number, or infinite."""
    try:
        return _finite(float(text) * unit)
    except ValueError:
        return None


def until(moment: str, now: str) -> float | None:
    """Seconds from one moment to another, in RFC 3339 or as HTTP writes dates; None where either is no such moment.

    `now` is the response's own `date`, so that a wrong clock here does not matter.
    """
    end, start = _moment(moment), _moment(now)
    return None if end is None or start is None else _finite((end - start).total_seconds())


def _finite(seconds: float) -> float | None:
    return min(LONGEST, max(0.0, seconds)) if math.isfinite(seconds) else None


def _moment(text: str) -> datetime | None:
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(text.strip())
        except (ValueError, TypeError, OverflowError):  # the year 10**20 is no ValueError
            continue
        return moment if moment.tzinfo else None
    return None
