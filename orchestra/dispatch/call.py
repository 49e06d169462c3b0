"""Call: what dispatch is asked to do; Accepted: how it ends well; Endpoints: where models are served."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from orchestra.checks import Expect
from orchestra.dispatch.purse import Purse
from orchestra.ledger import Recorder
from orchestra.recovery import Ladder
from orchestra.transport import Signature
from orchestra.types import (
    Attempt,
    AttemptChanged,
    Cost,
    Decision,
    Labels,
    ModelCard,
    ModelReply,
    Priority,
    ReasoningDelta,
    Request,
    TextDelta,
    Verdict,
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model is served, and with which key or, where requests are signed instead, with which signature.

    `headers` go with every request, beside those of the dialect.
    """

    base_url: str
    key: str | None = field(repr=False)
    signature: Signature | None = field(default=None, repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be told, whatever the server quotes."""
        own = ((self.key,) if self.key else ()) + tuple(value for _, value in self.headers)
        return own + self.signature.secrets if self.signature else own


class Endpoints(Protocol):
    """Finds endpoints at the moment of dispatch. A card here is as one target serves it."""

    def ready(self, card: ModelCard) -> bool:
        """Whether its key is set; where not, no attempt is made there as long as the model has another target."""
        ...

    def renewed(self, card: ModelCard, refused: Endpoint) -> bool:
        """Whether it would be asked with another key, header or signature than those that were refused. Never waits."""
        ...

    def at_hand(self, card: ModelCard) -> Endpoint | None:
        """As `resolve`, where there is nothing to wait for; else None."""
        ...

    async def resolve(self, card: ModelCard) -> Endpoint:
        """The endpoint of a card. Raises ConfigError where a key or URL is missing, or weights cannot be had."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """One turn of a step, to be brought to an accepted reply.

    `ladder` is where the step stands, `deadline` on the dispatcher's clock in seconds. With `commit`, text and
    reasoning are handed on as they arrive unless `request.output_schema` or `hold` is set; else nothing is before it is
    accepted. Text that may be a call written as text, or stands where a call is required, waits for its acceptance as
    well.
    `keep` makes the journal entry of the accepted reply, which is written in one transaction with its verdict.
    Where slots are scarce, tenants share them and then each one's runs, by `priority`, and of one run's calls the
    highest `rank` goes first. `labels` say the tenant and, where the fleet has budgets, what else those look at, but
    for the model and the key, which differ from attempt to attempt. `data_tags` are the tags that a place must have for
    this call's data to go there.
    """

    request: Request
    decision: Decision
    expect: Expect
    ladder: Ladder
    deadline: float
    purse: Purse
    recorder: Recorder
    step: str
    turn: int = 0
    commit: bool = False
    hold: bool = False
    rank: float = 0.0
    priority: Priority = "normal"
    labels: Labels = Labels()
    data_tags: tuple[str, ...] = ()
    keep: Callable[[Accepted], tuple[str, object]] | None = None

    @property
    def hands_on(self) -> bool:
        """True where pieces of a reply are handed on before it is judged; JSON is of no use in pieces."""
        return self.commit and not self.hold and self.request.output_schema is None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The accepted reply with its verdict, where the step stands now, and what it took.

    `cost` is the sum over `attempts`.
    """

    reply: ModelReply
    verdict: Verdict
    ladder: Ladder
    attempts: tuple[Attempt, ...]
    cost: Cost

    @property
    def degraded(self) -> bool:
        """Whether a model of a lower tier than decided has answered."""
        return self.ladder.degraded


DispatchEvent: TypeAlias = TextDelta | ReasoningDelta | AttemptChanged | Accepted
