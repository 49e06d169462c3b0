"""Refusals in plain words, recognised conservatively: a wrong alarm costs an escalation."""

from __future__ import annotations

import re

LONGEST = 400

_SORRY = r"(?:(?:i'?m|i am) (?:very |really |so )?sorry|sorry|apologies|i apologi[sz]e|unfortunately)"
_CANNOT = r"i(?: can'?t| cannot| can not| won'?t| will not|(?: am|'m)(?: unable| not able) to)"
_DO = r"(?:assist|help|comply|fulfil|fulfill|do that|do this|answer (?:that|this)|engage|continue with (?:that|this))\b"
_REFUSAL = re.compile(
    rf"(?:{_SORRY}[,.;!:]? (?:but )?)?(?:as an ai(?: language)?(?: model| assistant)?, )?{_CANNOT} {_DO}"
)


def is_refusal(text: str) -> bool:
    """True where a short text (at most 400 characters) begins by declining to do the task at all.

    English only. "I cannot find such a row" is an answer, "I'm sorry, but I can't help with that" is a refusal.
    """
    if len(text) > LONGEST:
        return False
    start = " ".join(text.casefold().replace("\u2019", "'").split())
    return _REFUSAL.match(start) is not None
