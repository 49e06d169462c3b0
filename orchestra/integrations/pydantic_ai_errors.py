"""A call's end in pydantic-ai's words: FallbackModel goes on where models failed, unless a rule bound the call."""

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

    Not so where money was capped, data tagged, or a model kept out by a rule: another model, which knows none of it,
    must not answer then unasked. Nor for what only a person or the caller can mend.
    """
    try:
        yield
    except CallError as error:
        if error.ruled or not isinstance(error, BadRequest | DeadlineExceeded | Exhausted | NoCandidate):
            raise
        raise _both(type(error))(error, step) from error


class _Failed(CallError, ModelAPIError):
    def __init__(self, error: CallError, step: str) -> None:
        ModelAPIError.__init__(self, step, str(error))
        vars(self).update(vars(error))  # attempts, and what its kind has beside them


@cache
def _both(kind: type[CallError]) -> type[_Failed]:
    """The kind under its own name, so that whoever catches it still does."""
    return cast("type[_Failed]", type(kind.__name__, (_Failed, kind), {}))
