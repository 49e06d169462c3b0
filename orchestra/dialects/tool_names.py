"""Names and ids as a provider's pattern allows them, by a bijection within one request."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import count


@dataclass(frozen=True)
class Spelling:
    """What a name may look like: its characters (the inside of a regular expression's brackets) and how many.

    `lead`: the characters it may begin with, where they are fewer. `exact`: it has `limit` characters, no fewer.
    """

    characters: str = "A-Za-z0-9_-"
    limit: int = 64
    lead: str = ""
    exact: bool = False

    def fits(self, name: str) -> bool:
        """Whether a name may stay as it is."""
        return self._whole.fullmatch(name) is not None

    def plain(self, name: str) -> str:
        """The name with every foreign character replaced or, where nothing may stand for it, left out."""
        return self._foreign.sub("_" if self._foreign.fullmatch("_") is None else "", name)

    @cached_property
    def _whole(self) -> re.Pattern[str]:
        least = self.limit if self.exact else 1
        lead = f"(?=[{self.lead}])" if self.lead else ""
        return re.compile(f"{lead}[{self.characters}]{{{least},{self.limit}}}")

    @cached_property
    def _foreign(self) -> re.Pattern[str]:
        return re.compile(f"[^{self.characters}]")


TOOL_NAMES = Spelling()
CALL_IDS = Spelling(limit=40)  # chat completions refuse longer call ids, though longer names are fine
_DIGEST = 8


def wire_names(
    names: Iterable[str], *, known: Mapping[str, str] | None = None, spelling: Spelling = TOOL_NAMES
) -> dict[str, str]:
    """Each name in the provider's spelling, no two alike.

    A name that fits stays as it is; `known` is kept and extended. The same names in the same order
    always give the same spellings, so the way back needs no record.
    """
    result = dict(known or {})
    names = [name for name in dict.fromkeys(names) if name not in result]
    if not names:
        return result
    used = set(result.values())
    waiting: list[str] = []
    for name in names:
        if name in used or not spelling.fits(name):
            waiting.append(name)
        else:
            result[name] = name
            used.add(name)
    for name in waiting:
        result[name] = _free(name, used, spelling)
        used.add(result[name])
    return result


def _free(name: str, used: set[str], spelling: Spelling) -> str:
    """The name with foreign characters replaced; with a digest where that is taken, too long or says nothing."""
    plain = spelling.plain(name)
    if plain.strip("_") and spelling.fits(plain) and plain not in used:
        return plain
    digests = (hashlib.sha256(f"{salt}:{name}".encode("utf-8", "surrogatepass")).hexdigest() for salt in count())
    return next(candidate for digest in digests if (candidate := _with_digest(plain, digest, spelling)) not in used)


def _with_digest(plain: str, digest: str, spelling: Spelling) -> str:
    if spelling.exact:
        return digest[: spelling.limit]
    stem = plain.strip("_") or "x"
    if spelling.lead and not re.match(f"[{spelling.lead}]", stem):
        stem = f"x_{stem}"
    return f"{stem[: spelling.limit - _DIGEST - 1]}_{digest[:_DIGEST]}"
