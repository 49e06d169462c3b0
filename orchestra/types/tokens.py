"""Token counts where the provider has not said: a rule of thumb, the same everywhere."""

from __future__ import annotations

import json
import math

BYTES_PER_TOKEN = 3.6  # English prose runs at 4 to 4.5, code and JSON at 3 to 3.5

# json.dumps would build an encoder for every call of a history.
as_json = json.JSONEncoder(ensure_ascii=False, default=dict).encode


def estimate(text: str) -> int:
    """About how many tokens `text` has: UTF-8 bytes / 3.6, rounded up.

    Bytes rather than characters, since scripts beyond ASCII take more tokens a character.
    """
    size = len(text) if text.isascii() else len(text.encode(errors="replace"))
    return math.ceil(size / BYTES_PER_TOKEN)
