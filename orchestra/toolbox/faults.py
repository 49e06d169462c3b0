"""What ends a tool's work early, apart from its own exceptions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class ToolRejected(Exception):
    """Raised by a tool to say that these arguments make no sense; the text goes to the model as it is.

    A step that has to look things up and all of whose calls were rejected has no result, whatever its model says of it:
    a stronger one goes on, and at last the step fails. What is well asked for and not there is a result, or a
    ToolFailed.
    """


class ToolFailed(Exception):
    """Raised by a tool whose failure is worth reading line by line; the text goes to the model as it is."""


class Replan(Exception):
    """Raised by a tool when the world is no longer what the plan assumed; the text says what has changed."""


class ToolTimeout(Exception):
    """A tool did not finish in its time; the text names the seconds."""


def told(error: ValidationError, whole: str) -> list[str]:
    """What a pydantic model refuses, one fault a text; `whole` names what is at fault where no field of it is."""
    return [f"{'.'.join(map(str, one['loc'])) or whole}: {one['msg']}" for one in error.errors()]
