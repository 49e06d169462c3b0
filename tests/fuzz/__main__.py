"""`python -m tests.fuzz --streams 100000 --schemas 4154`: break streams, bend schemas, and say what did not hold."""

from __future__ import annotations

import argparse
import secrets
import sys
import time

from tests.fuzz.replies import DIALECTS
from tests.fuzz.schemas import bent, tools
from tests.fuzz.streams import fuzz

SHOWN = 10


def main() -> int:
    """The exit code: 0 where everything held."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--streams", type=int, default=2_000, help="broken streams of each dialect")
    parser.add_argument("--schemas", type=int, default=150, help="tools to be compiled for every dialect")
    parser.add_argument("--seed", default=secrets.token_hex(4), help="what everything is drawn from")
    given = parser.parse_args()
    wrong = sum(_streams(dialect, given.streams, given.seed) for dialect in DIALECTS if given.streams)
    wrong += _schemas(given.schemas, given.seed) if given.schemas else 0
    print(f"fuzz: seed {given.seed}, {wrong} findings")
    return 1 if wrong else 0


def _streams(dialect: str, number: int, seed: str) -> int:
    began = time.process_time()
    found = [one for one in fuzz(dialect, number, seed) if one]
    for one in found[:SHOWN]:
        print(one, file=sys.stderr)
    print(
        f"fuzz: {dialect}: {number:,} streams, {len(found)} findings, {time.process_time() - began:.0f} s", flush=True
    )
    return len(found)


def _schemas(number: int, seed: str) -> int:
    began = time.process_time()
    checked, found = bent(tools(number, seed))
    for one in found[:SHOWN]:
        print(one, file=sys.stderr)
    made = (
        f"{checked.valid:,} valid, {checked.invented:,} with something invented, {checked.invalid:,} invalid arguments"
    )
    without = len(checked.unchecked) + len(checked.faulty)
    print(
        f"fuzz: {checked.tools:,} schemas in {len(checked.dialects)} dialects, {made}, "
        f"{without} without arguments, {len(found)} findings, {time.process_time() - began:.0f} s"
    )
    return len(found)


if __name__ == "__main__":
    sys.exit(main())
