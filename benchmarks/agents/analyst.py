"""Asks the analyst questions whose exact answers SQL knows: always-efficient, always-strong and routed, side by side.

    python benchmarks/agents/analyst.py                                        all questions, the embedded fleet
    python benchmarks/agents/analyst.py --out results.jsonl --resume           goes on where a killed run stopped
    python benchmarks/agents/analyst.py --questions mine.jsonl --data my.db --json

Every configuration answers a question before the next one is asked, in turn first and last, so that they share the
machine's moods. How an answer is judged stands in judge.py; what the figures mean, in docs/benchmarks.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])  # this checkout's benchmarks and orchestra
    from benchmarks.agents.command import main

    sys.exit(main(sys.argv[1:]))
