"""Searching with a stranger's regular expression: in a process of its own, which can be stopped; `re` cannot."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

from orchestra.toolbox.faults import ToolRejected

SECONDS = 5

_PROGRAM = """
import json, re, signal, sys
if hasattr(signal, "alarm"):
    signal.alarm(int(sys.argv[1]))
job = json.load(sys.stdin)
try:
    pattern = re.compile(job["pattern"], re.IGNORECASE)
except (re.error, RecursionError, OverflowError, MemoryError) as error:
    json.dump({"error": str(error) or type(error).__name__}, sys.stdout)
else:
    hits = [[(i, m.start()) for i, line in enumerate(text) if (m := pattern.search(line))] for text in job["texts"]]
    json.dump({"hits": hits}, sys.stdout)
"""


def search(pattern: str, texts: Sequence[Sequence[str]], *, seconds: int = SECONDS) -> list[list[tuple[int, int]]]:
    """For each text, given as lines, the index of every line that matches and where in it; case does not count.

    Raises ToolRejected for a pattern that cannot be compiled, or does not finish within `seconds`.
    """
    job = json.dumps({"pattern": pattern, "texts": texts})
    command = [sys.executable, "-I", "-S", "-c", _PROGRAM, str(seconds + 1)]  # the alarm is for when we are gone
    try:
        ended = subprocess.run(command, input=job, capture_output=True, timeout=seconds, encoding="ascii", check=True)  # noqa: S603  # our own command
    except subprocess.TimeoutExpired:
        raise ToolRejected(
            f"{pattern!r:.200} took more than {seconds} seconds; write a simpler pattern, without nested repeats"
        ) from None
    except subprocess.CalledProcessError:
        raise ToolRejected(f"{pattern!r:.200} needs too much memory; write a simpler pattern") from None
    answer = json.loads(ended.stdout)
    if "error" in answer:
        raise ToolRejected(f"{pattern!r:.200} is no regular expression: {answer['error']}; or search for words instead")
    return [[(index, start) for index, start in hits] for hits in answer["hits"]]
