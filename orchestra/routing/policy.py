"""Policy: the seam of routing. A policy drops or re-scores candidates, each with a reason."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

from orchestra.fleet.candidates import revise
from orchestra.types import Candidate, Reason, StepContext

# Preferences of the built-in policies. A higher one beats any score; each is out of reach of the ones below.
ASKED = 10_000.0  # the model that a call names
STAY = 1_000.0  # the step keeps the model it has
NAMED = 10.0  # a place in a rule's `prefer`
MOVED = 2.0  # the tier to which the context moves the start
TIER = 1.0  # the tier where a rule starts the step
LIMIT = 1.5  # taken from a candidate that would break a limit: it sinks below those that would not


class Policy(Protocol):
    """A pure function from (context, candidates) to candidates; a function or any object with `__call__` will do.

    It returns the candidates it was given, revised (`revise`), or refused (`reject`). An attribute `name` is how
    reasons and rejections call it. Optional: `mode(context)`, the mode it demands for a step; `fingerprint`, a text
    that changes when its choices may; `bind(fleet)`, the policy fitted to a fleet (then it must be hashable).
    """

    def __call__(self, context: StepContext, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """The candidates as this policy sees them."""
        ...


def reject(candidate: Candidate, policy: str, text: str) -> Candidate:
    """The candidate, refused by `policy` because of `text`."""
    return revise(candidate, rejected=Reason(policy, text))


def name_of(policy: Policy) -> str:
    """The policy's `name`, else that of its function or class."""
    named = getattr(policy, "name", None) or getattr(policy, "__name__", None)
    return named if isinstance(named, str) else type(policy).__name__


def fingerprint(policies: Sequence[Policy]) -> str:
    """A sha256 prefix that changes when the policies, their order or their settings do.

    A policy without a `fingerprint` counts by its module and name: of a plain function's body nothing is known.
    """
    return hashed(full_names(policies), policies)


def full_names(policies: Sequence[Policy]) -> tuple[str, ...]:
    """Each with its module, as fingerprints have it."""
    return tuple(map(_full_name, policies))


def hashed(names: tuple[str, ...], policies: Sequence[Policy]) -> str:
    """The fingerprint of policies of these names."""
    return _hashed(names, tuple(map(_said, policies)))


@lru_cache  # every decision is recorded with it, and it hardly ever changes
def _hashed(names: tuple[str, ...], said: tuple[str | None, ...]) -> str:
    texts = [name if text is None else f"{name}:{text}" for name, text in zip(names, said, strict=True)]
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16]


def _full_name(policy: Policy) -> str:
    named: Any = policy if hasattr(policy, "__qualname__") else type(policy)
    return f"{named.__module__}.{named.__qualname__}"


def _said(policy: Policy) -> str | None:
    said = getattr(policy, "fingerprint", None)
    return said if isinstance(said, str) else None
