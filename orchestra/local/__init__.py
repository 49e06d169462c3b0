"""local: models inside this process: a verified weight store and llama.cpp servers, one more source of endpoints."""

from __future__ import annotations

from orchestra.local.progress import Progress, showing
from orchestra.local.server import LocalServers
from orchestra.local.sources import Hub, Source, SourceFault
from orchestra.local.store import StoredWeights, WeightStore
from orchestra.local.weights import EMBEDDED, Weights, find_weights
from orchestra.local.wheels import Wheels

__all__ = [
    "EMBEDDED",
    "Hub",
    "LocalServers",
    "Progress",
    "Source",
    "SourceFault",
    "StoredWeights",
    "WeightStore",
    "Weights",
    "Wheels",
    "find_weights",
    "showing",
]
