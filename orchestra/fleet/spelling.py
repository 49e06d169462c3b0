"""What is known, and which of it was probably meant: the end of every error text about a name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def known(word: str, names: Iterable[str]) -> str:
    """`known: a, b, c`, and the nearest spelling to `word` where one is near."""
    listed = sorted(names)
    near = difflib.get_close_matches(word, listed, n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"known: {', '.join(listed) or 'none'}{hint}"
