"""Milliseconds of CPU to import orchestra, beside what it stands on and does not import.

    python benchmarks/importing.py

The promise is 150 ms for `import orchestra`. Each import runs in fresh interpreters, in turn, less what a bare
interpreter takes; user and system time of the process together.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys

ROUNDS = 11
PROMISE = 150.0  # ms
CASES = {
    "import orchestra": "import orchestra",
    "... and tool, policies": "from orchestra import tool, StepPolicy, ContextPolicy, RecoveryPolicy",
    "... and Orchestra": "from orchestra import Orchestra",
    "import httpx": "import httpx",
    "import pydantic": "from pydantic import BaseModel",
    "import langgraph.graph": "import langgraph.graph",
}


def milliseconds(code: str) -> float:
    """CPU of one fresh interpreter that runs `code`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3


def main() -> None:
    """Print one row per import, least and median, and how many times the first one it takes."""
    for code in CASES.values():
        milliseconds(code)  # writes bytecode and warms the disk
    rounds = [(milliseconds("pass"), {name: milliseconds(code) for name, code in CASES.items()}) for _ in range(ROUNDS)]
    taken = {name: [max(0.0, found[name] - bare) for bare, found in rounds] for name in CASES}
    ours = statistics.median(taken["import orchestra"])
    print(f"{'ms CPU over a bare interpreter':32}{'least':>8}{'median':>8}{'ratio':>8}")
    for name, values in taken.items():
        median = statistics.median(values)
        print(f"{name:32}{min(values):8.1f}{median:8.1f}" + (f"{median / ours:8.1f}" if ours else ""))
    verdict = "kept" if ours <= PROMISE else "BROKEN"
    print(f"\nimport orchestra: {ours:.1f} ms, promised at most {PROMISE:g} ms: {verdict}")


if __name__ == "__main__":
    main()
