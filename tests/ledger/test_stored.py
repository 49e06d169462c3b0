"""How events are stored and read back."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import math
from types import MappingProxyType
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.errors import LedgerError
from orchestra.ledger import (
    AttemptEnded,
    AttemptStarted,
    Decided,
    Event,
    Planned,
    RunStarted,
    ToolStarted,
    sparse,
    stored,
)
from orchestra.ledger.redact import Redactor
from orchestra.ledger.store import Store
from orchestra.ledger.weighed import Cards
from orchestra.types import (
    Candidate,
    Cost,
    Decision,
    ModelCard,
    Plan,
    Price,
    Reason,
    Settings,
    Step,
    StepContext,
    TextDelta,
)

CARDS = Cards(Store(None), Redactor())


def encode(event: Event) -> str:
    return stored.encode(event, CARDS)


def decode(kind: str, text: str) -> Event:
    return stored.decode(kind, text, CARDS)


TEXT = st.text(alphabet=st.characters())  # lone surrogates and NUL too
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=8,
)


@settings(deadline=None, max_examples=50)
@given(TEXT, TEXT, st.dictionaries(TEXT, JSON))
def test_whatever_people_and_models_write_is_read_back_as_it_was(
    call: str, tool: str, arguments: dict[str, object]
) -> None:
    event = ToolStarted(call, tool, arguments=arguments)
    assert decode(event.type, encode(event)) == event


def test_whatever_may_be_null_is_null_where_it_is_left_out() -> None:
    for cls in get_args(Event):
        for field in dataclasses.fields(cls):
            assert "None" not in str(field.type) or field.default is None


def test_each_kind_of_event_is_read_back() -> None:
    from_types = {cls.type: cls for cls in get_args(Event)}
    for name, cls in from_types.items():
        event = cls(**{field.name: _sample(name, field.name) for field in dataclasses.fields(cls) if _required(field)})
        assert decode(name, encode(event)) == event


def _required(field: dataclasses.Field[object]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _sample(event: str, name: str) -> object:
    values = {
        "plan": Plan("task", (Step("a"),)),
        "context": StepContext(Step("a")),
        "decision": "approve" if event == "human_answered" else Decision("m", "t", "cost"),
        "state": "open" if event == "breaker_changed" else "done",
        "why": "backoff",
        "seconds": 1.5,
        "kind": "approval" if event == "human_asked" else "act",
        "needs": (),
        **dict.fromkeys(("turn", "before", "after", "pruned", "summarised"), 3),
        "exact": True,
    }
    return values.get(name, name)


def test_a_decision_keeps_what_chose_and_what_was_weighed_and_leaves_out_the_rest_of_the_cards() -> None:
    card = ModelCard("m", "wire-m", "p", "gemini", "t", price=Price(0, 2), window=99, keys=("env:K",), regions=("eu",))
    full = Candidate(
        card,
        2,
        0.5,
        None,
        1.5,
        health=0.25,
        score=0.1,
        preference=3.0,
        settings=Settings(800, "low"),
        escalate=("up",),
        reasons=(Reason("p", "why"),),
        rejected=Reason("q", "why not"),
        sources={"cost": "unknown price"},
    )
    context = StepContext(
        Step("s", tags=("x",), metadata={"k": [1]}), tokens=9, deadline=2.0, signals={"label": "easy"}
    )
    event = Decided(context, Decision("m", "t", "latency", candidates=(full,), cost=None), "fp")
    slim = dataclasses.replace(full, card=ModelCard("m", "wire-m", "p", "gemini", "t", price=Price(0, 2)))
    expected = Decided(context, dataclasses.replace(event.decision, candidates=(slim,)), "fp")
    assert decode("decided", encode(event)) == expected
    assert "window" not in encode(event)


def test_a_small_decision_is_stored_small() -> None:
    card = ModelCard("m", "m", "p", "d", "t")
    twenty = Decision("m", "t", "cost", candidates=tuple(Candidate(card, 0, 0.5, 0.1, 1.0) for _ in range(20)))
    assert len(encode(Decided(StepContext(Step("s")), twenty))) < 1_000


def test_fields_of_an_event_itself_are_stored_at_their_defaults_too_except_null_which_sql_finds_anyway() -> None:
    assert json.loads(encode(AttemptEnded("a", "m", cost=Cost(None)))) == {
        "attempt": "a",
        "model": "m",
        "sent": "yes",
        "cost": {"usd": None, "estimated": False},
        "seconds": 0.0,
        "raw_sha256": "",
        "raw": "",
    }


def test_attempts_of_ledgers_that_knew_no_keys_places_and_calls_are_read_as_before() -> None:
    old = '{"attempt":"a","model":"m","turn":1,"rung":0,"degraded":false,"notes":["n"],"reserved":0.5}'
    assert decode("attempt_started", old) == AttemptStarted("a", "m", turn=1, notes=("n",), reserved=0.5)


def test_without_content_nothing_that_people_or_models_wrote_is_stored() -> None:
    said = "PLANTED"
    events: list[Event] = [
        RunStarted("agent", said),
        Planned(Plan(said, (Step("a", "goal"),))),
        Decided(StepContext(Step("a"), text=said), Decision("m", "t", "cost")),
        AttemptEnded("a", "m", raw=said),
        ToolStarted("c", "t", arguments={"sql": said}),
    ]
    stored_without = [stored.encode(event, CARDS, content=False) for event in events]
    assert said not in "".join(stored_without)
    assert all(said in encode(event) for event in events)
    assert decode("planned", stored_without[1]) == Planned(Plan("", (Step("a", "goal"),)))


@pytest.mark.parametrize("number", [math.inf, -math.inf, 10**30, 6e-05, -0.0], ids=str)
def test_a_number_that_json_does_not_know_or_spells_otherwise_is_read_back_as_it_was(number: float) -> None:
    event = Decided(StepContext(Step("s"), signals={"n": [number]}), Decision("m", "t", "cost"))
    assert repr(decode(event.type, encode(event))) == repr(event)


@pytest.mark.parametrize(
    "said", ["鍵 \u2028 ключ", "half \ud800 of one", "\x00\x7f\x1b"], ids=["beyond ASCII", "half", "control"]
)
def test_text_is_read_back_by_any_reader_of_json_however_it_is_written(said: str) -> None:
    assert json.loads(encode(ToolStarted("c", said, arguments={said: said})))["arguments"] == {said: said}


def test_a_key_that_is_a_number_is_its_text_in_the_file() -> None:
    assert '"arguments":{"1":2}' in encode(ToolStarted("c", "t", arguments={1: 2}))


def test_mappings_of_any_kind_are_stored_as_objects() -> None:
    event = ToolStarted("c", "t", arguments=MappingProxyType({"a": (1, 2)}))
    assert decode("tool_started", encode(event)) == ToolStarted("c", "t", arguments={"a": [1, 2]})


def test_a_value_of_one_field_is_stored_as_an_object_too() -> None:
    assert sparse.text(TextDelta("x")) == sparse.row_text(TextDelta("x")) == '{"type":"text","text":"x"}'


def _loop() -> dict[str, object]:
    loop: dict[str, object] = {}
    loop["again"] = loop
    return loop


@pytest.mark.parametrize(
    "wrong",
    [{"a": object()}, {"a": {1, 2}}, _loop(), {("a",): 1}, {"a": dt.date.min}],
    ids=["object", "set", "loop", "key", "date"],
)
def test_what_is_not_json_is_refused_naming_the_event(wrong: dict[str, object]) -> None:
    with pytest.raises(LedgerError, match="'tool_started' holds something that is not plain JSON"):
        encode(ToolStarted("c", "t", arguments=wrong))


def test_an_unknown_type_is_refused_naming_those_that_are_known() -> None:
    with pytest.raises(ValueError, match="'dreamt' is unknown; known: run_started, "):
        decode("dreamt", "{}")
