"""count_words: how often each word stands in a text. Models guess at this; code does not."""

from __future__ import annotations

import re
from collections import Counter

from orchestra import ToolRejected, tool

MOST = 5


@tool(read_only=True)
def count_words(text: str) -> dict[str, object]:
    """Count the words of a text: how many there are, how many different ones, and the most frequent.

    Args:
        text: the whole text, as it stands in the task
    """
    words = [word.lower() for word in re.findall(r"[^\W_]+(?:['-][^\W_]+)*", text)]
    if not words:
        raise ToolRejected("the text holds no words; give the text itself")  # the model reads this and mends its call
    counted = Counter(words)
    return {"words": len(words), "different": len(counted), "most_frequent": dict(counted.most_common(MOST))}
