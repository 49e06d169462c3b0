"""`python -m tests.faults --calls 10000 --seed 1`: a storm of calls; AssertionError names a promise that was broken."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import time

from tests.faults.chaos import outage, storm


async def main() -> None:
    """Print how the calls ended, and what an outage cost its provider."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--seed", default=secrets.token_hex(4), help="what the faults and the calls are drawn from")
    given = parser.parse_args()
    began, tally = time.monotonic(), await storm(given.calls, given.seed)
    ends = ", ".join(f"{number} {name}" for name, number in tally.ends.most_common())
    print(f"calls: {tally.ends.total()}, seed {given.seed}: {ends}; {time.monotonic() - began:.0f} s")
    print(f"  {tally.requests} requests, each with its attempt; {tally.unsent} attempts that were never sent")
    print(f"  ${tally.usd:.6f} reported, as reported usage costs; nothing held, nothing open, nobody waiting")
    for alone in (False, True):
        share, seen = await outage(given.calls // 4, "complete", alone=alone)
        assert seen <= 1.2 * share, f"in an outage {share} calls came to {seen} requests"
        print(f"  in a full outage {share} calls came to {seen} requests{', no other model left' if alone else ''}")


if __name__ == "__main__":
    asyncio.run(main())
