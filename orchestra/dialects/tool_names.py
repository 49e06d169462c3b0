"""Names and ids as a provider's pattern allows them, by a bijection within one request."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from itertools import count

NAME_LIMIT = 64
ID_LIMIT = 40  # chat completions refuse longer call ids, though longer names are fine

_FOREIGN = re.compile(r"[^A-Za-z0-9_-]")


def wire_names(
    names: Iterable[str], *, known: Mapping[str, str] | None = None, limit: int = NAME_LIMIT
) -> dict[str, str]:
    """Each name with its spelling in `[A-Za-z0-9_-]{1,limit}`, no two alike.

    A name that fits stays as it is; `known` is kept and extended. The same names in the same order
    always give the same spellings, so the way back needs no record.
    """
    result = dict(known or {})
    used = set(result.values())
    waiting: list[str] = []
    for name in dict.fromkeys(names):
        if name in result:
            continue
        if name in used or not 0 < len(name) <= limit or _FOREIGN.search(name):
            waiting.append(name)
        else:
            result[name] = name
            used.add(name)
    for name in waiting:
        result[name] = _free(name, used, limit)
        used.add(result[name])
    return result


def _free(name: str, used: set[str], limit: int) -> str:
    """The name with foreign characters replaced; with a digest where that is taken, too long or says nothing."""
    plain = _FOREIGN.sub("_", name)
    if plain.strip("_") and len(plain) <= limit and plain not in used:
        return plain
    stem = (plain.strip("_") or "x")[: limit - 9]
    digests = (hashlib.sha256(f"{salt}:{name}".encode("utf-8", "surrogatepass")).hexdigest()[:8] for salt in count())
    return next(candidate for digest in digests if (candidate := f"{stem}_{digest}") not in used)
