"""64 calls at a time: requests per second and CPU beside the openai SDK and litellm's Router; memory that stays flat.

    python benchmarks/dispatch.py

Promised: at most 250 µs of CPU over the transport alone for one message with the ledger on, 550 µs with ten messages
and ten tools; 8 times litellm's Router and 4 times the openai SDK in requests per second; at most 5 MB more after
100,000 calls. All sides ask one server, which answers at once, in processes of their own, and take turns round by
round; each peer gets a virtual environment inside this one. Ours streams, as it always does, and keeps a ledger.
The straight line does so too, and nothing else: what is between it and ours is what we are for. The compiled build
(docs/compiled.md) is measured beside the sources it was made from, where `make .venv/optimised` has made it.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from turns import PEERS, Side, interval, peer_python

ROUNDS = 20
CALLS = 100_000
OURS = (sys.executable, str(PEERS / "dispatch_orchestra.py"))
COMPILED = Path(sys.prefix) / "optimised"
BUILDS = {"orchestra": OURS, "compiled orchestra": ("env", f"PYTHONPATH={COMPILED}", *OURS)}
ADDED = {"short": 250.0, "long": 550.0}  # µs
TITLES = {"short": "one message", "long": "10 messages, 10 tools"}
FASTER = {"openai SDK": 4.0, "litellm Router": 8.0}
GROWTH = 5.0  # MB
NEEDED = {
    "openai SDK": ("openai", "openai", "openai>=3.50,<4"),
    "litellm Router": ("litellm", "litellm", "litellm>=1.80,<2"),
}


class Round(NamedTuple):
    """What one round of one side took."""

    rate: float
    cpu: float


class Caller(Side):
    """A side that makes calls."""

    def calls(self) -> Round:
        """Requests per second, and microseconds of CPU per call."""
        return Round(*map(float, self.ask().split()))

    def bytecodes(self) -> str:
        """Bytecodes per call, and of how many functions."""
        executed, functions = map(float, self.ask("bytecodes").split())
        return f"{executed:11,.0f}{functions:11,.0f}"


def commands(url: str) -> dict[str, Sequence[str]]:
    """What is measured, by its row's title."""
    found: dict[str, Sequence[str]] = {}
    for transport in ("aiohttp", "httpx"):
        for what, title in (("transport", "{} alone"), ("app", "orchestra on {}")):
            found[title.format(transport)] = (*OURS, what, transport, "short", url)
    found[f"aiohttp alone, {TITLES['long']}"] = (*OURS, "transport", "aiohttp", "long", url)
    found[f"orchestra on aiohttp, {TITLES['long']}"] = (*OURS, "app", "aiohttp", "long", url)
    if COMPILED.is_dir():
        ours = BUILDS["compiled orchestra"]
        found["compiled orchestra on aiohttp"] = (*ours, "app", "aiohttp", "short", url)
        found[f"compiled orchestra on aiohttp, {TITLES['long']}"] = (*ours, "app", "aiohttp", "long", url)
    else:
        print("The compiled build is left out: make .venv/optimised\n")
    found["a straight line on aiohttp"] = (sys.executable, str(PEERS / "dispatch_least.py"), url)
    for title, (peer, *needed) in NEEDED.items():
        if python := peer_python(peer, *needed):
            found[title] = (python, str(PEERS / "dispatch_peer.py"), peer, url)
    return found


def crowds(url: str) -> None:
    """Print every side's rate and CPU, then what was promised."""
    taken, executed = _rounds(commands(url))
    print(
        f"{'64 calls at a time':54}{'requests/s':>11}{'95 % interval':>16}{'µs CPU a call':>15}{'95 % interval':>16}",
        end="",
    )
    print(f"{'bytecodes':>11}{'functions':>11}")
    for name in taken[0]:
        rates, cpus = [one[name].rate for one in taken], [one[name].cpu for one in taken]
        print(f"{name:54}{_cells(rates, 11)}{_cells(cpus, 15)}{executed[name]}")
    print()
    for ours in BUILDS:
        if f"{ours} on aiohttp" in taken[0]:
            _promises(ours, taken)


def _promises(ours: str, taken: Sequence[Mapping[str, Round]]) -> None:
    for size, most in ADDED.items():
        tail = "" if size == "short" else f", {TITLES[size]}"
        added = [one[f"{ours} on aiohttp{tail}"].cpu - one[f"aiohttp alone{tail}"].cpu for one in taken]
        _verdict(f"{ours}: µs CPU added, {TITLES[size]}, ledger on", added, most, "at most")
    for peer, least in FASTER.items():
        if peer in taken[0]:
            ratios = [one[f"{ours} on aiohttp"].rate / one[peer].rate for one in taken]
            _verdict(f"{ours}: times the requests/s of the {peer}", ratios, least, "at least")


def _rounds(sides: Mapping[str, Sequence[str]]) -> tuple[list[dict[str, Round]], dict[str, str]]:
    with ExitStack() as stack:
        callers = {name: Caller(command) for name, command in sides.items()}
        for caller in callers.values():
            stack.callback(caller.close)
        taken = [{name: caller.calls() for name, caller in callers.items()} for _ in range(ROUNDS)]
        return taken, {name: caller.bytecodes() for name, caller in callers.items()}


def _cells(values: Sequence[float], width: int) -> str:
    low, high = interval(values)
    return f"{statistics.median(values):{width},.0f}{f'{low:,.0f}-{high:,.0f}':>16}"


def _verdict(what: str, values: Sequence[float], promised: float, bound: str) -> None:
    median, (low, high) = statistics.median(values), interval(values)
    kept = median <= promised if bound == "at most" else median >= promised
    shown = f"{median:,.1f} ({low:,.1f}-{high:,.1f})"
    print(f"{what:68}{shown:>26}, promised {bound} {promised:g}: {'kept' if kept else 'BROKEN'}")


def memory(url: str) -> None:
    """Print how far the peak of memory rises over many calls."""
    for ours, command in BUILDS.items():
        if command is OURS or COMPILED.is_dir():
            asked = [*command, "memory", str(CALLS), url]
            told = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
            _verdict(f"{ours}: MB more after {CALLS:,} calls", [int(told) / 1e6], GROWTH, "at most")


@contextmanager
def server() -> Iterator[str]:
    """The base_url of the one server."""
    command = [sys.executable, str(PEERS / "dispatch_server.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        process.communicate()


def main() -> None:
    """Print it all."""
    with server() as url:
        crowds(url)
        memory(url)


if __name__ == "__main__":
    main()
