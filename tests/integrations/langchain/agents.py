"""A weak and a strong model over real HTTP, for agents of LangChain's `create_agent`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import contextmanager
from typing import Any

from orchestra import Fleet, Orchestra, StepPolicy
from orchestra.testing import Behaviour, CallTool, FakeProvider
from orchestra.types import ModelCard, Price

LOW = StepPolicy([{"tier": "efficient"}])
GOOD = CallTool("rows", sql="SELECT 1")
ANSWER = "It is 42."
FREE = Price(0, 0)
TIERS = {"small": "efficient", "strong": "capable"}


def till(result: str, says: Behaviour, answer: Behaviour = ANSWER) -> Callable[[dict[str, Any]], Any]:
    """A model that says the same until it is shown this result, and then answers."""

    def model(body: dict[str, Any]) -> Any:
        shown = body["messages"][-1]
        return answer if shown["role"] == "tool" and shown["content"] == result else says

    return model


@contextmanager
def fleet(models: Mapping[str, Any], dialects: Mapping[str, str] | None = None):
    """The models served by a FakeProvider, and the fleet of them; all but `small` are of a higher tier."""
    spoken = {name: (dialects or {}).get(name, "openai-chat") for name in models}
    with FakeProvider(models) as provider:
        cards = [
            ModelCard(name, name, dialect, dialect, TIERS[name], provider.base_url_of(dialect), FREE, 100_000)
            for name, dialect in spoken.items()
        ]
        yield provider, Fleet.from_cards(cards)


def app_of(known: Fleet, **options: Any) -> Orchestra:
    """An app whose every step starts at the lowest tier."""
    return Orchestra(known, **({"policies": [LOW], "ledger": None} | options))
