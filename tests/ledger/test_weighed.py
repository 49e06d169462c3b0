"""What a decision weighed: stored whole, and nothing of it again and again."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.errors import LedgerError
from orchestra.ledger import Decided, Ledger, weighed
from orchestra.ledger.redact import Redactor
from orchestra.ledger.sparse import text
from orchestra.ledger.store import Store
from orchestra.ledger.weighed import Cards
from orchestra.types import Candidate, Decision, ModelCard, Price, Reason, Settings, Step, StepContext, from_json
from tests.ledger.stories import card


def decided(candidates: Sequence[Candidate]) -> Decided:
    return Decided(StepContext(Step("s")), Decision("m", "t", "cost", candidates=tuple(candidates)), "fp")


def fleet(size: int, *reasons: Reason, **more: object) -> list[Candidate]:
    cards = [
        card(f"vendor-model-{n:02}", ("efficient", "capable")[n % 2], Price(0.1 * n, 0.3 * n)) for n in range(size)
    ]
    return [
        Candidate(
            one,
            n % 2,
            0.5 + n / 100,
            0.0012345 * n,
            1.25 + n / 7,
            score=-n / 3,
            reasons=reasons,
            sources={"quality": "tier", "cost": "card", "latency": "default speed", "health": "not measured"},
            **more,
        )
        for n, one in enumerate(cards)
    ]


NUMBERS = st.integers(-999_999, 999_999).map(lambda number: number / 1000)
REASONS = st.builds(Reason, st.sampled_from(["step", "context"]), st.text(max_size=5))
CANDIDATES = st.builds(
    Candidate,
    st.sampled_from([card("a"), card("b", "capable", None), card("ü\ud800", price=Price(1, 2, 0.5))]).map(
        lambda one: dataclasses.replace(one, speed=None, prompt_speed=None)
    ),
    st.integers(0, 3),
    NUMBERS,
    st.none() | NUMBERS,
    NUMBERS,
    health=NUMBERS,
    score=NUMBERS,
    preference=NUMBERS,
    settings=st.builds(Settings, st.none() | st.integers(1, 9), st.none() | st.just("low")),
    escalate=st.none() | st.lists(st.text(max_size=3)).map(tuple),
    reasons=st.lists(REASONS, max_size=2).map(tuple),
    rejected=st.none() | REASONS,
    sources=st.dictionaries(st.sampled_from(["cost", "quality"]), st.text(max_size=4)),
)


@settings(deadline=None, max_examples=50)
@given(st.lists(CANDIDATES, max_size=6))
def test_all_that_was_weighed_is_read_back_by_whoever_opens_the_file(candidates: list[Candidate]) -> None:
    store = Store(None)
    packed = json.loads(text(Cards(store, Redactor()).pack(candidates)))
    read = from_json(Decision, {"model": "m", "tier": "t", "mode": "cost", **Cards(store, Redactor()).unpack(packed)})
    assert read.candidates == tuple(candidates)
    store.close()


def test_scores_are_read_back_to_seven_digits(ledger: Ledger) -> None:
    exact = -0.27405322410117516
    (candidate,) = fleet(1)
    ledger.append("run", "s", decided([dataclasses.replace(candidate, score=exact, cost=1e-9 / 3)]))
    event = ledger.events("run")[0].event
    assert isinstance(event, Decided)
    (read,) = event.decision.candidates
    assert (read.score, read.cost) == (-0.2740532, 3.333333e-10)


def test_cards_are_written_once_per_file_and_what_policies_say_alike_once_per_decision(file: Path) -> None:
    first, second = Ledger(file), Ledger(file)
    reasons = (Reason("step", "rule 1 starts the step at tier efficient"),)
    for ledger in (first, second, first):
        ledger.append("run", "s", decided(fleet(20, *reasons, settings=Settings(800, "low"))))
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("SELECT count(*) FROM cards").fetchone() == (20,)
        rows = [row for (row,) in db.execute("SELECT data FROM events")]
    assert len(set(rows)) == 1
    assert rows[0].count("rule 1 starts") == 1
    assert rows[0].count("max_tokens") == 1
    assert len(rows[0]) < 1_600
    first.close()
    second.close()


def test_sql_reads_what_was_weighed(ledger: Ledger, file: Path) -> None:
    ledger.append("run", "s", decided(fleet(3)))
    query = """
    SELECT facts ->> '$.card.name', data ->> ('$.decision.candidates.cost[' || key || ']')
    FROM events, json_each(data, '$.decision.candidates.card') JOIN cards ON name = value WHERE events.type = 'decided'
    """
    with closing(sqlite3.connect(file)) as db:
        assert db.execute(query).fetchall() == [
            ("vendor-model-00", 0.0),
            ("vendor-model-01", 0.0012345),
            ("vendor-model-02", 0.002469),
        ]


def test_a_decision_that_was_written_before_there_were_cards_is_read_as_it_was(file: Path, ledger: Ledger) -> None:
    candidates = [{"card": {"name": "m", "model": "m", "provider": "p", "dialect": "d", "tier": "t"}, "rank": 1}]
    candidates[0] |= {"quality": 0.5, "cost": None, "latency": 2.0, "reasons": [{"policy": "p", "text": "why"}]}
    decision = {"model": "m", "tier": "t", "mode": "cost", "candidates": candidates}
    data = {"context": {"step": {"id": "s"}}, "decision": decision, "policies": "fp"}
    with closing(sqlite3.connect(file)) as other:
        other.execute(
            "INSERT INTO events (run, step, time, type, data) VALUES ('r', 's', 0, 'decided', ?)", [json.dumps(data)]
        )
        other.commit()
    event = ledger.events("r")[0].event
    weighed_then = Candidate(ModelCard("m", "m", "p", "d", "t"), 1, 0.5, None, 2.0, reasons=(Reason("p", "why"),))
    assert isinstance(event, Decided)
    assert event.decision.candidates == (weighed_then,)


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        ("DELETE FROM cards", "card '.*' is not in its table"),
        ("UPDATE events SET data = json_set(data, '$.decision.candidates.cost', json('[1, 2]'))", "zip"),
        ("UPDATE events SET data = json_set(data, '$.decision.candidates.terms', json('[9]'))", "index"),
    ],
)
def test_a_row_that_lost_what_it_refers_to_is_named(file: Path, sql: str, fault: str) -> None:
    ledger = Ledger(file)
    ledger.append("run", "s", decided(fleet(1)))
    ledger.close()
    with closing(sqlite3.connect(file)) as other:
        other.execute("DROP TRIGGER events_never_change")
        other.execute(sql)
        other.commit()
    again = Ledger(file)
    with pytest.raises(LedgerError, match=f"has a row 1 that this orchestra cannot read: .*{fault}"):
        again.events("run")
    again.close()


def test_a_card_that_could_not_be_written_is_written_with_the_next_decision(file: Path, ledger: Ledger) -> None:
    with closing(sqlite3.connect(file)) as other:
        other.execute("CREATE TRIGGER no BEFORE INSERT ON cards BEGIN SELECT RAISE(ABORT, 'not now'); END")
    event = decided(fleet(2))
    with pytest.raises(LedgerError, match="not now"):
        ledger.append("run", "s", event)
    with closing(sqlite3.connect(file)) as other:
        other.execute("DROP TRIGGER no")
    ledger.append("run", "s", event)
    assert len(ledger.events("run")) == 1


def test_fleets_without_end_do_not_fill_the_memory(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weighed, "_MOST", 4)
    for size in (3, 3, 6):
        ledger.append("run", "s", decided(fleet(size)))
    assert len(ledger._rows._cards._names) <= 4
    read = [row.event.decision.candidates for row in ledger.events("run")]
    assert [len(one) for one in read] == [3, 3, 6]


def test_what_a_strangers_policy_gives_as_lists_is_stored_too(ledger: Ledger) -> None:
    odd = dataclasses.replace(fleet(1)[0], reasons=[Reason("p", "why")], escalate=["up"])
    ledger.append("run", "s", decided([odd]))
    event = ledger.events("run")[0].event
    assert isinstance(event, Decided)
    assert (event.decision.candidates[0].reasons, event.decision.candidates[0].escalate) == (
        (Reason("p", "why"),),
        ("up",),
    )
