"""CPU that a call costs inside another framework, beyond that framework's own fake model.

    python benchmarks/integrations.py

Promised: at most 0.5 ms a call. Each framework lives in a virtual environment inside this one; in one process
ours and the framework's fake take turns. Ours routes, writes and reads the wire format, judges and records against a
provider without latency; the fake hands over a finished message. All of it twice: with the ledger in a file, and in a
process of its own with `ledger=None`. The last two rows of each are `app.complete` without the framework, and the same
where 4 MB of other memory were read before each call, itself not counted.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from turns import PEERS, Side, interval, peer_python

ROUNDS = 30
PROMISED = 0.5  # ms
ROOT = Path(__file__).parents[1]
Taken: TypeAlias = Mapping[str, Sequence[float]]  # of each row milliseconds a call with ours and with the fake
SIDES = {"langchain": "langchain", "crewai": "crewai", "openai-agents": "agents.tool", "pydantic-ai": "pydantic_ai"}
"""Framework, by its extra → the module that shows it is there; its side is benchmarks/peer/<module>_side.py."""


def table(extra: str, module: str) -> None:
    """Print what calls cost in one framework; nothing where it cannot be installed."""
    python = peer_python(f"on-{extra}", f"{module}, orchestra", "--editable", f"{ROOT}[fast,{extra}]", "h11")
    if python is None:
        return
    command = python, str(PEERS / f"{extra.replace('-', '_')}_side.py")
    sides = Side(command), Side((*command, "unrecorded"))
    rounds: list[tuple[Taken, ...]] = [tuple(json.loads(side.ask()) for side in sides) for _ in range(ROUNDS)]
    for side in sides:
        side.close()
    for name in rounds[0][0]:
        recorded, unrecorded = ([taken[name] for taken in side] for side in zip(*rounds, strict=True))
        fake = statistics.median(fake for _, fake in recorded)
        print(f"{f'{extra}, {name}':52}{_beyond(recorded)}{_beyond(unrecorded)}{PROMISED:10.1f}{fake:10.2f}")


def _beyond(taken: Sequence[Sequence[float]]) -> str:
    beyond = [ours - fake for ours, fake in taken]
    low, high = interval(beyond)
    return f"{statistics.median(beyond):8.2f}{f'{low:.2f}-{high:.2f}':>16}"


def main() -> None:
    """Print a row for each kind of call in each framework."""
    heads = f"{'ledger':>8}{'95 % interval':>16}{'none':>8}{'95 % interval':>16}{'promised':>10}{'the fake':>10}"
    print(f"{'ms CPU a call beyond the fake':52}{heads}")
    for extra, module in SIDES.items():
        table(extra, module)


if __name__ == "__main__":
    main()
