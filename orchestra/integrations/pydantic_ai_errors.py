"""A call's end in pydantic-ai's words: FallbackModel goes on where models failed, unless a rule bound the call."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from pydantic_ai.exceptions import ModelAPIError

from orchestra import errors
from orchestra.errors import CallError
from orchestra.integrations.pydantic_ai_messages import failed_attempts


@contextmanager
def told(step: str) -> Generator[None]:
    """What ends a call within; where the models failed, it is a ModelAPIError as well, with the plain one as its cause.

    Not so where money was capped, data tagged, or a model kept out by a rule: another model, which knows none of it,
    must not answer then unasked. Nor for what only a person or the caller can mend.
    """
    try:
        yield
    except CallError as error:
        kind = None if error.ruled else _KINDS.get(type(error))
        if kind is None:
            raise
        raise kind(error, step) from error


@contextmanager
def counted() -> Generator[None]:
    """What ends a call within carries its attempts: they are paid for, so the run counts what they took."""
    try:
        yield
    except CallError as error:
        # where the framework's own models put them, and its runs look
        vars(error)["_pydantic_ai_failed_attempts"] = [*failed_attempts(error.attempts)]
        raise


class _Failed(CallError, ModelAPIError):
    """Its kinds have the names of the plain ones, so that whoever catches those still does."""

    def __init__(self, error: CallError, step: str) -> None:
        ModelAPIError.__init__(self, step, str(error))
        vars(self).update(vars(error))  # attempts, and what its kind has beside them


class BadRequest(_Failed, errors.BadRequest):
    """No model takes the request."""


class DeadlineExceeded(_Failed, errors.DeadlineExceeded):
    """The models were too slow."""


class Exhausted(_Failed, errors.Exhausted):
    """The ladder is at its end."""


class NoCandidate(_Failed, errors.NoCandidate):
    """No model can do what the request needs."""


_KINDS: dict[type[CallError], type[_Failed]] = {
    errors.BadRequest: BadRequest,
    errors.DeadlineExceeded: DeadlineExceeded,
    errors.Exhausted: Exhausted,
    errors.NoCandidate: NoCandidate,
}
