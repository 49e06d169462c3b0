"""recovery: Verdict → Action. One table says what a failure leads to, and one ladder how far; nothing else decides."""

from orchestra.recovery.drawing import diagram
from orchestra.recovery.failures import failures, unbroken
from orchestra.recovery.feedback import feedback
from orchestra.recovery.ladder import Ladder
from orchestra.recovery.moves import Move, next_move, tolerated
from orchestra.recovery.policy import RecoveryPolicy
from orchestra.recovery.table import TABLE, Standing
from orchestra.recovery.unknown import after_unknown

__all__ = [
    "TABLE",
    "Ladder",
    "Move",
    "RecoveryPolicy",
    "Standing",
    "after_unknown",
    "diagram",
    "failures",
    "feedback",
    "next_move",
    "tolerated",
    "unbroken",
]
