"""CPU per model+tool turn beside langchain's create_agent, memory of 1,000 runs at once, ledger bytes per attempt.

    python benchmarks/turns.py

Promised: at most 1.0 ms a turn with ledger and checkpoints off, 2.5 ms with both on; 1.5 GB; 4 KB. A run makes ten
tool turns and an answer, and its whole CPU, of all threads, is divided by ten. `a further turn` is a fifth of what a
run of ten turns takes beyond one of five. Ours plans first, which create_agent does not, and speaks the wire format
with its model, where create_agent's fake hands over finished messages. The sides run in processes of their own and
take turns, round by round; the peer gets a virtual environment inside this one.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import venv
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

ROUNDS = 40
PEERS = Path(__file__).parent / "peer"
OURS = (sys.executable, str(PEERS / "turns_orchestra.py"))
PROMISED = {"off": 1.0, "on": 2.5}  # ms


class Side:
    """One side of the comparison: a process that does a round when told."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = " ".join(command)
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._read() == "ready"

    def ask(self, what: str = "") -> str:
        """Have a round done, or something else: the line that the process says of it."""
        assert self._process.stdin
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _read(self) -> str:
        assert self._process.stdout
        if not (line := self._process.stdout.readline()):
            raise SystemExit(f"{self._command} ended with {self._process.wait()}")
        return line.strip()


def peer_python(peer: str, modules: str, *requirements: str) -> str | None:
    """The interpreter of a virtual environment that holds the peer, made on first use; None where that fails."""
    home = Path(sys.prefix) / "peers" / peer
    python = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    try:
        if subprocess.run([python, "-c", f"import {modules}"], capture_output=True, check=False).returncode:
            raise OSError(f"{peer} is not there")
    except OSError:
        try:
            venv.create(home, with_pip=True)
            pip = [python, "-m", "pip", "-qq", "--disable-pip-version-check", "install", *requirements]
            subprocess.run(pip, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"{peer} is left out: it cannot be installed into {home}: {error}\n")
            return None
    return str(python)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % bootstrap interval of the median."""
    draw = random.Random(0)
    found = sorted(statistics.median(draw.choices(values, k=len(values))) for _ in range(1000))
    return found[25], found[974]


def turns(peer: str | None) -> None:
    """Print CPU per turn: tools that are coroutines, and tools that run in threads."""
    of = "of create_agent"
    head = f"{'median':>8}{'95 % interval':>18}{'promised':>10}{of:>18}{'a further turn':>20}{of:>18}"
    print(f"{'ms CPU per model+tool turn':34}{head}")
    for kind in ("async", "sync"):
        commands: dict[str, tuple[str, ...]] = {name: (*OURS, "rounds", name, kind) for name in PROMISED}
        if peer:
            commands["create_agent"] = (peer, str(PEERS / "turns_langchain.py"), kind)
        with ExitStack() as stack:
            sides = {name: Side(command) for name, command in commands.items()}
            for side in sides.values():
                stack.callback(side.close)
            taken = [{name: _turn(side) for name, side in sides.items()} for _ in range(ROUNDS)]
        for name in commands:
            _row(f"{kind} tool, {_TITLES[name]}", name, taken)


def _turn(side: Side) -> tuple[float, float]:
    """Milliseconds of CPU: a run's by its ten turns, and those of a further turn."""
    ten, five = map(float, side.ask().split())
    return ten / 10, (ten - five) / 5


_TITLES = {"off": "keeping nothing", "on": "ledger, checkpoints", "create_agent": "create_agent"}


def _row(title: str, name: str, taken: Sequence[dict[str, tuple[float, float]]]) -> None:
    values, further = ([one[name][which] for one in taken] for which in (0, 1))
    promise = f"{PROMISED[name]:10.1f}" if name in PROMISED else " " * 10
    ratio = beside = ""
    if name in PROMISED and "create_agent" in taken[0]:
        ratio, beside = (_shown([one[name][i] / one["create_agent"][i] for one in taken]) for i in (0, 1))
    low, high = interval(values)
    shown = f"{statistics.median(values):8.2f}{f'{low:.2f}-{high:.2f}':>18}{promise}{ratio:>18}{_shown(further):>20}"
    print(f"{title:34}{shown}{beside:>18}")


def _shown(values: Sequence[float]) -> str:
    low, high = interval(values)
    return f"{statistics.median(values):.2f} ({low:.2f}-{high:.2f})"


def crowd(runs: int = 1000, steps: int = 10) -> None:
    """Print the memory of many runs at once, ledger and checkpoints on."""
    found = json.loads(_output("crowd", str(runs), str(steps)))
    print(
        f"\n{runs:,} runs of {steps} steps at once: peak {found['peak'] / 1e9:.2f} GB, promised at most 1.5; "
        f"{found['seconds']:.0f} s of CPU, {found['seconds'] / runs / steps * 1e3:.1f} ms a step"
    )


def growth() -> None:
    """Print what an attempt adds to the ledger file, content not kept."""
    for models in (2, 20):
        size = float(_output("bytes", str(models))) / 1024
        print(f"ledger with {models:2} models: {size:.2f} KB per attempt, promised at most 4")


def _output(*options: str) -> str:
    return subprocess.run([*OURS, *options], check=True, capture_output=True, text=True).stdout


def main() -> None:
    """Print all three tables."""
    turns(peer_python("langchain", "langchain.agents", "langchain>=1.4,<2"))
    crowd()
    growth()


if __name__ == "__main__":
    main()
