"""CPU of a chat and of a stream in every dialect, beside openai's SDK and litellm on the same bytes.

    python benchmarks/dialects.py

Promised: request and reply of a chat of ten messages and ten tools at most 300 µs with the tools compiled, a stream of
51 chunks at most 1.5 ms. Those are the codecs alone. Beside the peers ours too goes through an HTTP client: each side
sends the same chat through the client it is made with, which answers from memory. The sides run in processes of their
own and take turns, round by round; each peer gets a virtual environment inside this one.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from turns import PEERS, Side, interval, peer_python

ROUNDS = 30
OURS = (sys.executable, str(PEERS / "dialects_orchestra.py"))
THEIRS = str(PEERS / "dialects_peer.py")
PROMISED = {"chat": 300.0, "stream": 1_500.0}  # µs
NEEDED = {  # litellm imports mcp as soon as it is given tools, and does not bring it
    "openai": ("openai", "openai>=3.50,<4"),
    "litellm": ("litellm, mcp", "litellm>=1.80,<2", "mcp>=2.3,<3"),
}
TITLES = {"chat": "10 messages, 10 tools, one reply", "stream": "a stream of 51 chunks"}


def codecs(dialects: Sequence[str]) -> None:
    """Print what each codec alone takes."""
    print(f"{'µs CPU, codec alone':28}" + "".join(f"{kind:>10}{'95 % interval':>18}" for kind in PROMISED))
    taken = {kind: _rounds({dialect: (*OURS, "codec", kind, dialect) for dialect in dialects}) for kind in PROMISED}
    for dialect in dialects:
        cells = [_cell([one[dialect] for one in taken[kind]]) for kind in PROMISED]
        print(f"{dialect:28}" + "".join(cells))
    for kind, most in PROMISED.items():
        worst = max(statistics.median(one[dialect] for one in taken[kind]) for dialect in dialects)
        print(f"{TITLES[kind]}: {worst:,.0f} µs at most, promised {most:,.0f}: {'kept' if worst <= most else 'BROKEN'}")


def beside_peers(data: Path) -> None:
    """Print what a call takes through an HTTP client that answers from memory, and how many times ours."""
    commands = {"orchestra": (*OURS, "client"), "httpx alone": (*OURS, "httpx")}
    for peer, (modules, *requirements) in NEEDED.items():
        if python := peer_python(peer, modules, *requirements):
            commands[peer] = (python, THEIRS, peer)
    for kind, title in TITLES.items():
        print(f"\n{f'µs CPU, {title}':44}{'median':>10}{'95 % interval':>18}{'times ours':>22}")
        taken = _rounds({name: (*command, kind, str(data)) for name, command in commands.items()})
        for name in commands:
            ratios = [one[name] / one["orchestra"] for one in taken]
            low, high = interval(ratios)
            ratio = f"{statistics.median(ratios):.2f} ({low:.2f}-{high:.2f})"
            print(f"{name:44}{_cell([one[name] for one in taken])}{ratio:>22}")


def _rounds(commands: Mapping[str, Sequence[str]]) -> list[dict[str, float]]:
    with ExitStack() as stack:
        sides = {name: Side(command) for name, command in commands.items()}
        for side in sides.values():
            stack.callback(side.close)
        return [{name: float(side.ask()) for name, side in sides.items()} for _ in range(ROUNDS)]


def _cell(values: Sequence[float]) -> str:
    low, high = interval(values)
    return f"{statistics.median(values):10,.0f}{f'{low:,.0f}-{high:,.0f}':>18}"


def main() -> None:
    """Print all tables."""
    codecs(subprocess.run([*OURS, "dialects"], check=True, capture_output=True, text=True).stdout.split())
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "chat.json"
        subprocess.run([*OURS, "data", str(data)], check=True)
        beside_peers(data)


if __name__ == "__main__":
    main()
