"""`make demo`: one question over a real table, on two models inside this process.

The 1.5B model plans and is the stronger rung, the 0.5B model executes; no key, and no network once the weights are
there. Shown: the plan, each step's model and why, what went wrong and what was done about it, and what it took.
"""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

from orchestra import Fleet
from orchestra.ledger import AttemptView, Comparison, Estimate, Ledger, attempts, compare

HERE = Path(__file__).parent
QUESTION = "How many grams heavier is the average Gentoo penguin than the average Adelie penguin?"
FLEET = Path(os.environ.get("ORCHESTRA_FLEET", HERE / "fleet.toml"))
LEDGER = Path(".orchestra") / "ledger.db"


def orchestra(*words: str | Path) -> int:
    """Run the command line as a user would, and show what is typed."""
    shown = " ".join(f'"{word}"' if " " in str(word) else str(word) for word in words)
    print(f"\n$ orchestra {shown}", flush=True)
    return subprocess.run([sys.executable, "-m", "orchestra.cli", *map(str, words)], check=False).returncode  # noqa: S603  # our own


def show_failures(failed: list[AttemptView]) -> None:
    """Each refused reply as the model wrote it; its sha256 is what the trace names."""
    print("\n== What went wrong, and what was done about it")
    if not failed:
        print("Nothing in this run: every reply passed its checks. (examples/03_escalate.py provokes a failure.)")
    for one in failed:
        later = one.later[0] if one.later else None
        trigger, evidence = (one.trigger, one.evidence) if one.trigger or not later else (later.trigger, later.evidence)
        action, to_model = (one.action, one.to_model) if one.trigger or not later else (later.action, later.to_model)
        print(f"{one.step}, {one.model}: {trigger}: {'; '.join(evidence)}")
        print(f"  then: {action}" + (f" → {to_model}" if to_model else ""))
        print(textwrap.indent(textwrap.shorten(one.raw, 400), "  raw reply: "))
        print(f"  sha256: {one.raw_sha256}")


def _shown(found: Comparison) -> list[tuple[str, Estimate]]:
    rows = [("this run", found.actual), ("always cheapest", found.cheapest), ("always strongest", found.strongest)]
    return [(name, estimate) for name, estimate in rows if estimate is not None]


def main() -> int:
    data = HERE / "data" / "penguins.csv"
    code = orchestra("run", "analyst", QUESTION, "--data", data, "--fleet", FLEET, "--ledger", LEDGER, "--content")
    orchestra("trace", "--ledger", LEDGER)
    ledger = Ledger(LEDGER)
    rows = ledger.events(ledger.runs(1)[0].run)
    ledger.close()
    show_failures([one for one in attempts(rows) if one.trigger or one.later])
    print("\n== What it took")
    fleet = Fleet.from_toml(FLEET.read_text(encoding="utf-8"))
    found = compare(rows, fleet.models)
    for name, estimate in _shown(found):
        seconds = "unknown" if estimate.seconds is None else f"{estimate.seconds:.1f} s"
        tokens = f"{estimate.input + estimate.output:,} tokens"
        print(f"{name:17} {estimate.model or '':8} {tokens:>14} {seconds:>9}  {estimate.method}")
    print("\n".join(found.findings))
    return code


sys.exit(main())
