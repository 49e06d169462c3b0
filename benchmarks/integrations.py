"""CPU that a call costs inside another framework, beyond that framework's own fake model.

    python benchmarks/integrations.py

Promised: at most 0.5 ms a call, ledger on. Each framework lives in a virtual environment of its own inside this one; in
one process ours and the framework's fake take turns. Ours routes, writes and reads the wire format, judges and records
against a provider without latency; the fake hands over a finished message. The last two rows of each are `app.complete`
without the framework, and the same where 4 MB of other memory were read before each call, itself not counted.
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path

from turns import PEERS, Side, interval, peer_python

ROUNDS = 30
PROMISED = 0.5  # ms
ROOT = Path(__file__).parents[1]
SIDES = {"langchain": "langchain", "crewai": "crewai", "openai-agents": "agents.tool", "pydantic-ai": "pydantic_ai"}
"""Framework, by its extra → the module that shows it is there; its side is benchmarks/peer/<module>_side.py."""


def table(extra: str, module: str) -> None:
    """Print what calls cost in one framework; nothing where it cannot be installed."""
    python = peer_python(f"on-{extra}", f"{module}, orchestra", "--editable", f"{ROOT}[fast,{extra}]", "h11")
    if python is None:
        return
    side = Side((python, str(PEERS / f"{extra.replace('-', '_')}_side.py")))
    rounds: list[dict[str, list[float]]] = [json.loads(side.ask()) for _ in range(ROUNDS)]
    side.close()
    for name in rounds[0]:
        beyond = [ours - fake for ours, fake in (taken[name] for taken in rounds)]
        low, high = interval(beyond)
        fake = statistics.median(taken[name][1] for taken in rounds)
        shown = f"{statistics.median(beyond):8.2f}{f'{low:.2f}-{high:.2f}':>18}{PROMISED:10.1f}{fake:14.2f}"
        print(f"{f'{extra}, {name}':52}{shown}")


def main() -> None:
    """Print a row for each kind of call in each framework."""
    print(f"{'ms CPU a call beyond the fake':52}{'median':>8}{'95 % interval':>18}{'promised':>10}{'the fake':>14}")
    for extra, module in SIDES.items():
        table(extra, module)


if __name__ == "__main__":
    main()
