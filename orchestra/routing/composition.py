"""Composition: policies in order, each held to the contract that nothing is dropped or invented silently."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, TypeAlias, cast

from orchestra.errors import OrchestraError, PolicyError
from orchestra.fleet import Fleet
from orchestra.routing.policy import Policy, fingerprint, name_of, reject
from orchestra.types import Candidate, Mode, StepContext


def compose(*policies: Policy) -> Policy:
    """One policy that asks these in order; a rejected candidate is shown to none that follow.

    A candidate left out comes back rejected ("dropped by policy X without a reason"). Raises PolicyError, when
    called, where a policy raises, or returns a candidate it was not given, one twice, or no candidates at all.
    """
    return Composed(policies)


_CARD, _NAME = attrgetter("card"), attrgetter("card.name")
_Ask: TypeAlias = "Callable[[StepContext], Mode | None]"


class Composed:
    """Policies as one."""

    name = "composed"

    def __init__(self, policies: Sequence[Policy]) -> None:
        self.policies = tuple(policies)
        self.fingerprint = fingerprint(self.policies)
        self._asks = asks(self.policies)

    def __call__(self, context: StepContext, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """The candidates after every policy: first those still in the running, then the rejected."""
        live, rejected = apply(self.policies, context, candidates)
        return [*live, *rejected]

    def mode(self, context: StepContext) -> Mode | None:
        """The mode that the first policy with an opinion demands."""
        return demanded_mode(self._asks, context)

    def bind(self, fleet: Fleet) -> Policy:
        """These policies, each fitted to the fleet."""
        return Composed([bind(policy, fleet) for policy in self.policies])


def apply(
    policies: Sequence[Policy], context: StepContext, candidates: Sequence[Candidate]
) -> tuple[Sequence[Candidate], list[Candidate]]:
    """What the policies make of the candidates: those still in the running, and those rejected."""
    live = candidates
    rejected: list[Candidate] = []
    for policy in policies:
        given = live if isinstance(live, tuple) else list(live)  # its own: what it drops in passing shows
        try:
            answered = policy(context, given)
        except OrchestraError:
            raise
        except Exception as error:  # a user's own policy may raise anything
            raise _raised(policy, context, error) from error
        if answered is given and given == live:
            continue
        if not _same_cards(live, answered):
            answered = _audited(policy, live, answered)
        rejected += [candidate for candidate in answered if candidate.rejected is not None]
        live = [candidate for candidate in answered if candidate.rejected is None] if rejected else answered
    return live, rejected


def asks(policies: Sequence[Policy]) -> tuple[_Ask, ...]:
    """What to ask those of the policies that may demand a mode."""
    found = [cast("_Ask | None", getattr(policy, "mode", None)) for policy in policies]
    return tuple(ask for ask in found if ask is not None)


def demanded_mode(asks: Sequence[_Ask], context: StepContext) -> Mode | None:
    """The mode that the first policy with an opinion demands for this step."""
    for ask in asks:
        try:
            mode = ask(context)
        except OrchestraError:
            raise
        except Exception as error:  # as above
            raise _raised(getattr(ask, "__self__", ask), context, error) from error
        if mode is not None:
            return mode
    return None


def bind(policy: Policy, fleet: Fleet) -> Policy:
    """The policy, fitted to the fleet where it offers `bind`; PolicyError where it names what the fleet has not."""
    return _bound(policy, fleet) if hasattr(policy, "bind") else policy


@lru_cache(maxsize=256)  # a policy is fitted once per fleet, not once per decision
def _bound(policy: Any, fleet: Fleet) -> Policy:
    try:
        return policy.bind(fleet)
    except OrchestraError:
        raise
    except Exception as error:  # as above
        told = f"policy {name_of(policy)!r} raised {_told(error)} when it was fitted to the fleet"
        raise PolicyError(f"{told}; mend its bind") from error


def _raised(policy: Any, context: StepContext, error: Exception) -> PolicyError:
    step = context.step.name or context.step.id
    told = f"policy {name_of(policy)!r} raised {_told(error, f' for step {step!r}')}"
    return PolicyError(f"{told}; mend it, or let it return the candidates as it was given them")


def _told(error: Exception, when: str = "") -> str:
    """Its kind and its words, where it can say them."""
    try:
        return f"{type(error).__name__}{when}: {error}"
    except Exception:  # noqa: BLE001  # an error of a user's own may fail to be written too
        return f"{type(error).__name__}{when}"


def _same_cards(given: Sequence[Candidate], answered: object) -> bool:
    """True where the answer holds the same cards in the same order, as nearly every answer does."""
    if not isinstance(answered, list | tuple):
        return False
    theirs = cast("Sequence[Candidate]", answered)
    try:
        return list(map(_CARD, given)) == list(map(_CARD, theirs))  # identical cards compare at once
    except AttributeError:  # no candidates at all
        return False


def _audited(policy: Policy, given: Sequence[Candidate], answered: object) -> list[Candidate]:
    """The answer by name, with those it left out added as rejected; PolicyError where it is no answer at all."""
    name = name_of(policy)
    if not isinstance(answered, list | tuple):
        raise PolicyError(f"policy {name!r} returned {type(answered).__name__}; return a list of the candidates given")
    cards = {candidate.card.name: candidate.card for candidate in given}
    seen: set[str] = set()
    for candidate in cast("Sequence[object]", answered):
        if not isinstance(candidate, Candidate):
            raise PolicyError(f"policy {name!r} returned a {type(candidate).__name__} among its candidates")
        model = candidate.card.name
        if cards.get(model) is not candidate.card:
            raise PolicyError(
                f"policy {name!r} returned model {model!r}, which it was not given; known: {', '.join(sorted(cards))}"
            )
        if model in seen:
            raise PolicyError(f"policy {name!r} returned model {model!r} twice")
        seen.add(model)
    silent = f"dropped by policy {name!r} without a reason"
    dropped = [reject(candidate, name, silent) for candidate in given if candidate.card.name not in seen]
    return sorted([*cast("Sequence[Candidate]", answered), *dropped], key=_NAME)
