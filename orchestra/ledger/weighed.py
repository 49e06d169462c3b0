"""How a decision's candidates are stored: all that was weighed, and nothing again and again.

What a fleet says of a model (facts, rank, quality, sources) is a row of the table `cards`, named by a hash of its text
and written once per file. What policies say alike of several candidates (settings, escalation, reasons, rejection)
stands once in the decision, in `terms`. A candidate's own are its numbers, to seven digits, which stand in columns.
"""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, cast

from orchestra.ledger.redact import Redactor
from orchestra.ledger.sparse import text
from orchestra.ledger.store import Store
from orchestra.types import Candidate, Settings


class Cards:
    """Packs candidates into plain JSON and unpacks them, with the help of a file's table of cards.

    Into that table comes what `redactor` leaves of a card.
    """

    def __init__(self, store: Store, redactor: Redactor) -> None:
        self._store, self._redactor = store, redactor
        self._stored: dict[str, dict[str, Any]] = {}
        self._names: dict[tuple[Any, ...], tuple[str, Candidate]] = {}  # ids stay whose as long as it is held

    def pack(self, candidates: Sequence[Candidate]) -> dict[str, Any]:
        """A decision's `candidates`, in columns, and `terms`. Their cards are in the file when this returns."""
        columns: dict[str, list[Any]] = {"card": self._names_of(candidates)}
        for (name, default), values in zip(_NUMBERS, zip(*map(_numbers, candidates), strict=True), strict=False):
            if values.count(default) < len(values):
                columns[name] = [value and float(f"{value:.7g}") for value in values]
        said = [_terms(one) for one in candidates]
        if said.count(_NO_TERMS) == len(said):
            return {"candidates": columns}
        terms: dict[tuple[Any, ...], int | None] = {_NO_TERMS: None}
        numbers = [terms.setdefault(one, len(terms) - 1) for one in said]
        return {"candidates": columns | {"terms": numbers}, "terms": [_said(one) for one in terms][1:]}

    def look_again(self) -> None:
        """At every card, before it is written next."""
        self._names.clear()

    def unpack(self, decision: Mapping[str, Any]) -> dict[str, Any]:
        """The decision's JSON with its candidates as objects, which is how older rows have them. Raises ValueError."""
        packed, rest = decision.get("candidates"), dict(decision)
        if not isinstance(packed, Mapping):
            return rest
        columns, terms = cast("Mapping[str, list[Any]]", packed), rest.pop("terms", ())
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        return rest | {"candidates": [self._whole(row, terms) for row in rows]}

    def _names_of(self, candidates: Iterable[Candidate]) -> list[str]:
        new: dict[str, str] = {}
        names = [self._name(candidate, new) for candidate in candidates]
        if new:
            self._store.write(*((_ADD, (name, facts)) for name, facts in new.items()))
            self._stored |= {name: json.loads(facts) for name, facts in new.items()}
        return names

    def _name(self, candidate: Candidate, new: dict[str, str]) -> str:
        key = (id(candidate.card), id(candidate.sources), candidate.rank, candidate.quality)
        known = self._names.get(key)
        if known and known[0] in self._stored:
            return known[0]
        facts = self._facts(candidate)
        name = urlsafe_b64encode(hashlib.sha256(facts.encode()).digest()[:6]).decode()
        if name not in self._stored:
            new[name] = facts
        if len(self._names) >= _MOST:
            self._names.clear()
        self._names[key] = name, candidate
        return name

    def _facts(self, candidate: Candidate) -> str:
        said = {name: getattr(candidate, name) for name in _FACTS}
        facts = text(said)
        return text(self._redactor.value(said)) if self._redactor.suspects(facts) else facts

    def _whole(self, row: dict[str, Any], terms: Sequence[dict[str, Any]]) -> dict[str, Any]:
        number: int | None = row.pop("terms", None)
        said = {} if number is None else terms[number]
        return row | self._card(row["card"]) | said

    def _card(self, name: str) -> dict[str, Any]:
        if name not in self._stored:
            row = self._store.use("read", lambda db: db.execute(_CARD, (name,)).fetchone())
            if row is None:
                raise ValueError(f"card {name!r} is not in its table")
            self._stored[name] = json.loads(row[0])
        return self._stored[name]


_FACTS = ("card", "rank", "quality", "sources")
_TERMS = ("settings", "escalate", "reasons", "rejected")
_NO_TERMS = (Settings(), None, (), None)
_NUMBERS = (("cost", ...), ("latency", ...), ("health", 1.0), ("score", 0.0), ("preference", 0.0))  # with defaults
_MOST = 1024
_ADD = "INSERT OR IGNORE INTO cards (name, facts) VALUES (?, ?)"
_CARD = "SELECT facts FROM cards WHERE name = ?"


_numbers = attrgetter(*(name for name, _ in _NUMBERS))


def _terms(one: Candidate) -> tuple[Any, ...]:
    return one.settings, one.escalate and tuple(one.escalate), tuple(one.reasons), one.rejected


def _said(terms: tuple[Any, ...]) -> dict[str, Any]:
    both = zip(_TERMS, terms, _NO_TERMS, strict=True)
    return {name: value for name, value, default in both if value != default}
