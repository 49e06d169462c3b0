"""Errors that say that the model is not there: retired, misspelt, not deployed, or not this account's.

Providers say the same of all four, most with a 404, and none means that the request was wrong: another key, region or
model serves it.
"""

from __future__ import annotations

import re
from typing import Final

MAY_BE_GONE: Final = frozenset({None, 400, 404, 410, 422})
"""Statuses of such errors; None of one inside a reply."""


def is_gone(names: str, message: str) -> bool:
    """Whether an error says so by what it calls itself, or in so many words, in which names are no longer quoted."""
    return bool(_NAMES.search(names) or _WORDS.search(message.strip()))


_NAMES: Final = re.compile(
    r"\bmodel_?(not_?(found|exist\w*|available)|decommissioned|retired)|\binvalid_model\b|\bDeploymentNotFound",
    re.IGNORECASE,
)
_MODEL = r"\b(models?|deployment)\b[:/ ]{0,3}\S{0,120}"  # and its name, where that is not quoted
_WORDS: Final = re.compile(
    rf"{_MODEL} {{0,3}}((is |was )?not (found|exist)|(does not|doesn't) exist)"
    rf"|{_MODEL} {{0,3}}((has been|was|is) (decommissioned|retired)|is no longer (available|supported|served))"
    r"|model version has reached the end of its life"
    r"|^(invalid )?model: \S+$|invalid model name|is not a valid model|no endpoints found for \S+$"
    r"|could not resolve the foundation model|model identifier is invalid|deployment for this resource does not exist",
    re.IGNORECASE,
)
