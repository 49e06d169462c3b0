"""Ends of calls in pydantic-ai's words: where models failed its FallbackModel goes on, where a rule refused it ends."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from typing import cast

from pydantic_ai.exceptions import ModelAPIError

from orchestra.errors import BadRequest, CallError, DeadlineExceeded, Exhausted, NoCandidate


@contextmanager
def told(step: str) -> Generator[None]:
    """What ends a call within; where the models failed, it is a ModelAPIError as well, with the plain one as its cause.

    Not so for money, data tags and policies that refuse, nor for what only a person or the caller can mend: another
    model must not answer then unasked.
    """
    try:
        yield
    except CallError as error:
        if not _failed(error):
            raise
        raise _both(type(error))(error, step) from error


_CANNOT = frozenset({"capability", "deprecated", "dialect", "window"})  # gates that tell what a model cannot do


def _failed(error: CallError) -> bool:
    if isinstance(error, NoCandidate):
        return all(one.gate in _CANNOT for one in error.rejections)
    return isinstance(error, BadRequest | DeadlineExceeded | Exhausted)


class _Failed(CallError, ModelAPIError):
    def __init__(self, error: CallError, step: str) -> None:
        ModelAPIError.__init__(self, step, str(error))
        vars(self).update(vars(error))  # attempts, and what its kind has beside them


@cache
def _both(kind: type[CallError]) -> type[_Failed]:
    """The kind under its own name, so that whoever catches it still does."""
    return cast("type[_Failed]", type(kind.__name__, (_Failed, kind), {}))
