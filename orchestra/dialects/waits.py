"""Spans of time as headers and errors write them, in seconds; whatever a stranger wrote, from none to a day."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

LONGEST = 86_400.0
"""Seconds; nobody would be asked again for as long as some ask."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_IN_2001, _IN_5138 = 1e9, 1e11
"""Seconds since 1970: what is less is no moment, what is more is in milliseconds."""

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def duration(text: str) -> float | None:
    """Seconds in `6m0s`, `12ms`, `1.5s` or plain `6`; None where the text is no duration."""
    text = text.strip()
    pieces = _DURATION.findall(text)
    if pieces and "".join(number + unit for number, unit in pieces) == text:
        return _bounded(sum(float(number) * _SECONDS[unit] for number, unit in pieces))
    return number(text)


def number(text: str, unit: float = 1.0) -> float | None:
    """A number of `unit` seconds; what lies in the past is no wait. None where the text is no number."""
    try:
        return _bounded(float(text) * unit)
    except ValueError:
        return None


def ahead(text: str, now: str) -> float | None:
    """Seconds in a duration, or until a moment: in RFC 3339, as HTTP writes dates, or in (milli)seconds since 1970.

    `now` is the response's own `date`, so that a wrong clock here does not matter. None where the text says neither, or
    a moment and `now` is none.
    """
    seconds = duration(text)
    if seconds is not None and seconds < LONGEST:
        return seconds
    end, start = _moment(text), _moment(now)
    return seconds if end is None or start is None else _bounded((end - start).total_seconds())


def _bounded(seconds: float) -> float | None:
    return None if math.isnan(seconds) else min(LONGEST, max(0.0, seconds))


def _moment(text: str) -> datetime | None:
    for read in (_since_1970, datetime.fromisoformat, _http_date):
        try:
            moment = read(text.strip())
        except (ValueError, TypeError, OverflowError):  # the year 10**20 is no ValueError
            continue
        return moment if moment.tzinfo else None
    return None


def _since_1970(text: str) -> datetime:
    seconds = float(text)
    if seconds < _IN_2001:
        raise ValueError(text)
    return _EPOCH + timedelta(seconds=seconds if seconds < _IN_5138 else seconds / 1000)


def _http_date(text: str) -> datetime:
    """In UTC, as RFC 9110 (5.6.7) has all of them: asctime's form names no zone, and `-0000` is none in particular."""
    moment = parsedate_to_datetime(text)
    return moment.replace(tzinfo=UTC) if text[-1:].isdigit() and moment.tzinfo is None else moment
