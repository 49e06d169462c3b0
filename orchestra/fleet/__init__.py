"""fleet: the models a user may use. task → **fleet candidates → gates** → scores → Decision."""

from orchestra.fleet.breaker_policy import BreakerPolicy
from orchestra.fleet.candidates import revise
from orchestra.fleet.fleet import DEFAULT_TIERS, Fleet, ProviderLimits
from orchestra.fleet.gates import gate
from orchestra.fleet.network import Network
from orchestra.fleet.prices import bound, cost
from orchestra.fleet.tokens import estimate, message_tokens

__all__ = [
    "DEFAULT_TIERS",
    "BreakerPolicy",
    "Fleet",
    "Network",
    "ProviderLimits",
    "bound",
    "cost",
    "estimate",
    "gate",
    "message_tokens",
    "revise",
]
