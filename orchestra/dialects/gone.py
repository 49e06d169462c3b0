"""Errors that say that the model is not there: retired, misspelt, not deployed, or not this account's.

Providers say the same of all four, most with a 404, and none means that the request was wrong: another key, region or
model serves it.
"""

from __future__ import annotations

import re
from typing import Final


def is_gone(status: int | None, names: str, message: str) -> bool:
    """Whether an error says so by its status, by what it calls itself, or in so many words.

    `status` is None of an error inside a reply. Names that the message quotes are left out of it.
    """
    if status not in _STATUSES:
        return False
    said = " ".join(message.split())
    return status == 410 or bool(_NAMES.search(names) or _WORDS.search(said))


_STATUSES: Final = frozenset({None, 400, 404, 410, 422})
_NAMES: Final = re.compile(
    r"\bmodel_?(not_?(found|exist\w*|available|supported)|decommissioned|retired)|\binvalid_model\b|\bDeploymentNotFound",
    re.IGNORECASE,
)
# The model is what the sentence is about, its name quoted or not: a file, a tool or a field "of the model" is not.
_MODEL = r"(^|[.-] )((the|this|publisher|requested|specified) )*(models?|deployment)\b[:/ ]{0,2}\S{0,120} ?"
_WORDS: Final = re.compile(
    rf"{_MODEL}((is |was )?not (found|exist\b)|(does not|doesn't) exist)"
    rf"|{_MODEL}(has been|was|is) (decommissioned|retired|removed)|{_MODEL}(version )?has reached (the|its) end of "
    rf"|{_MODEL}is no longer (available|supported|served)"
    rf"|{_MODEL}is marked by provider as legacy|^not found the model\b|^模型不存在"  # Bedrock; Moonshot; Zhipu
    r"|^(invalid )?model: \S+$|invalid model name passed|is not a valid model id|^no endpoints found for \S+$"
    r"|could not resolve the foundation model|model identifier is invalid|deployment for this resource does not exist",
    re.IGNORECASE,
)
