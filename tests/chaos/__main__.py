"""`python -m tests.chaos --kills 5000 --seed 1`: kill runs, go on with them, and say what was not as promised."""

from __future__ import annotations

import argparse
import secrets
import sys
import time

from tests.chaos.killing import kill_until


def main() -> int:
    """The exit code: 0 where every promise was kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="processes to be killed, at least")
    parser.add_argument("--seed", default=secrets.token_hex(4), help="what the worlds and the moments are drawn from")
    given = parser.parse_args()
    began, tally = time.monotonic(), None
    for tally in kill_until(given.kills, given.seed):
        for one in tally.wrong:
            print(one, file=sys.stderr)
        if tally.wrong:
            break
        if tally.runs % 50 == 0:
            print(f"… {tally.kills} kills in {tally.runs} runs", flush=True)
    assert tally is not None
    print(
        f"chaos: {tally.kills} kills in {tally.runs} runs ({tally.replanned} planned anew, {tally.forked} forked), "
        f"seed {given.seed}, {len(tally.wrong)} promises broken, {time.monotonic() - began:.0f} s"
    )
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
