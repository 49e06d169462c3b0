"""Budgets of a fleet, and the labels by which an attempt is booked to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Period: TypeAlias = Literal["run", "hour", "day", "month"]
EACH = "*"
"""Matches every value that is given, and gives each an account of its own."""


@dataclass(frozen=True, slots=True)
class Labels:
    """What an attempt's money is for; "" where it is not said. `run` is an id, `key` a key's name, never its value."""

    run: str = ""
    tenant: str = ""
    feature: str = ""
    step: str = ""
    model: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Budget:
    """What all attempts that match may cost together in a period: at most `usd`, per run or by the clock in UTC.

    `match` says for any of the labels but the run which values match; a label that is not named may be anything.
    """

    usd: float
    per: Period = "day"
    match: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    def account(self, labels: Labels) -> tuple[str, ...] | None:
        """Which of the budget's accounts pays, by the values of the labels that have one each; None: it is none of its.

        Without `"*"` all that matches shares one account, `()`.
        """
        shared: list[str] = []
        for name, values in self.match.items():
            value: str = getattr(labels, name)
            if EACH in values and value:
                shared.append(value)
            elif value not in values:
                return None
        return tuple(shared)

    def __str__(self) -> str:
        matched = " and ".join(_in_words(name, values) for name, values in self.match.items())
        return f"${self.usd:g} a {self.per}{f' for {matched}' if matched else ''}"


def _in_words(name: str, values: tuple[str, ...]) -> str:
    return f"each {name}" if EACH in values else f"{name} {' or '.join(map(repr, values))}"
