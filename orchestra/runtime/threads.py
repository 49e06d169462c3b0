"""Threads: one run at a time is at work on a thread, for a second one would hide the first there."""

from __future__ import annotations

import time
from typing import Any, cast

from orchestra.errors import RunOwned
from orchestra.ledger import Lease, Ledger
from orchestra.ledger.lease import owned
from orchestra.ledger.memory import MemoryLeases


def claim(ledger: Ledger, thread: str, saver: Any) -> Lease:
    """The thread's lease, in the ledger beside whose file its checkpoints lie. Raises RunOwned while it is held.

    Where they lie in a `saver` of the caller's own it is this process's: nobody knows whose else that saver is.
    """
    name = f"of thread {thread}"
    if saver is None:
        return ledger.claim(name)
    try:
        return _own.claim(f"{id(saver)} {name}")
    except RunOwned as held:
        raise owned(cast("str", ledger.without_secrets(name)), held.owner) from None


_own = MemoryLeases(time.time)
