"""Exit codes, and which error ends with which."""

from __future__ import annotations

from enum import IntEnum

from orchestra.errors import BudgetExceeded, ConfigError, DeadlineExceeded, NoCandidate, OrchestraError


class Exit(IntEnum):
    """How a command ended; `means` is what the help and docs/cli.md say of it."""

    ok = 0
    failed = 1
    usage = 2
    limit = 3
    waiting = 4
    interrupted = 130
    broken_pipe = 141

    @property
    def means(self) -> str:
        """What this code tells the caller."""
        return _MEANINGS[self]


_MEANINGS = {
    Exit.ok: "done",
    Exit.failed: "the run, or a check, failed",
    Exit.usage: "the command line, fleet, agent or weights are wrong",
    Exit.limit: "no model may serve it, or budget or deadline are spent",
    Exit.waiting: "a person is asked: answer, then resume",
    Exit.interrupted: "interrupted",
    Exit.broken_pipe: "the reader of the output went away",
}


def exit_code(error: OrchestraError) -> Exit:
    """The exit code for an error that ended a command."""
    if isinstance(error, ConfigError):
        return Exit.usage
    if isinstance(error, NoCandidate | BudgetExceeded | DeadlineExceeded):
        return Exit.limit
    return Exit.failed
