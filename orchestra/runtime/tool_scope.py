"""What binds a run that a tool of another run begins: the limits of that one, and what is left of them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

from orchestra.dispatch import Dispatcher
from orchestra.runtime.scope import Limits, RunScope


@dataclass(slots=True)
class Around:
    """The run whose tool is at work, in the app that has this dispatcher. `over`: the tool has come to its end."""

    dispatcher: Dispatcher
    scope: RunScope
    over: bool = False

    def limits(self, own: Limits) -> Limits:
        """The limits of a run within: its own, all data tags, and what it does not say of itself as the run around."""
        outer = self.scope.limits
        return replace(
            own,
            mode=own.mode or outer.mode,
            tenant=outer.tenant if own.tenant is None else own.tenant,
            feature=outer.feature if own.feature is None else own.feature,
            priority=outer.priority if own.priority == "normal" else own.priority,
            data_tags=tuple(dict.fromkeys((*outer.data_tags, *own.data_tags))),
            allow_unknown_price=self._unknown(own),
        )

    def narrowed(self, own: RunScope) -> RunScope:
        """The scope of a run within, which takes no more money and time than the run around has left.

        What a tool left at work after its end has its own time.
        """
        purse = own.purse.anew(shared=self.scope.purse.accounts)
        return replace(own, purse=purse, deadline=own.deadline if self.over else min(own.deadline, self.scope.deadline))

    def _unknown(self, own: Limits) -> bool:
        """Whether unknown prices are allowed: where a cap is set, who sets it has to allow them."""
        outer = self.scope.limits.allow_unknown_price
        if own.allow_unknown_price:
            return outer or not self.scope.purse.capped
        return outer and own.budget is None


def around(dispatcher: Dispatcher) -> Around | None:
    """The innermost run whose tool's code is running here, of the app that has this dispatcher."""
    for found in reversed(_AROUND.get()):
        if found.dispatcher is dispatcher:
            return found
    return None


@contextmanager
def a_tool_of(dispatcher: Dispatcher, scope: RunScope) -> Generator[None]:
    """Runs that begin in this block are begun by a tool of that run."""
    here = Around(dispatcher, scope)
    token = _AROUND.set((*_AROUND.get(), here))
    try:
        yield
    finally:
        _AROUND.reset(token)
        here.over = True


_AROUND: ContextVar[tuple[Around, ...]] = ContextVar("orchestra_tools", default=())
