"""Redaction, by both nets, in every kind of value."""

from __future__ import annotations

import json
import re
from enum import Enum
from pathlib import Path
from urllib.parse import quote
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.ledger import AttemptEnded, AttemptStarted, Decided, Event, Judged, Ledger, Planned, ToolStarted, redact
from orchestra.ledger.redact import MARK, SHORTEST, Redactor
from orchestra.ledger.sparse import row_text, text
from orchestra.types import (
    Candidate,
    Decision,
    Json,
    ModelCard,
    Plan,
    Reason,
    Settings,
    Step,
    StepContext,
    Trigger,
    Usage,
)

PLANTED = {
    "openai": "sk-proj-Zq8PLANTED0123456789abcdef",
    "old openai": "sk-Zq8PLANTED0123456789abcdef",
    "anthropic": "sk-ant-api03-PLANTED_xyz-0123456789",
    "google": "AIzaSyPLANTED0123456789abcdefghijklmno",
    "aws": "AKIAPLANTED012345678",
    "aws session": "ASIAPLANTED012345678",
    **{f"github {kind}": f"gh{kind}_PLANTED0123456789abcdefghijklmnop" for kind in "posur"},
    "github fine": "github_pat_11PLANTED0_abcdefghijklmnop",
    "gitlab": "glpat-PLANTED0123456789ab",
    "slack": "xoxb-1234-PLANTED0123",
    "slack app": "xapp-1-PLANTED0123",
    "hugging face": "hf_PLANTED0123456789abcdef",
    "groq": "gsk_PLANTED0123456789abcdef",
    "google oauth": "ya29.PLANTED0123456789abcdef",
    "stripe": "sk_live_PLANTED0123456789",
    "stripe test": "rk_test_PLANTED0123456789",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJQTEFOVEVEIn0.PLANTED_sig-natureXYZ",
}
SECRET_ID = "2706eeb6-e28e-4a49-b274-e61bb0dfa6d3"
SENTENCES = ["{}", "used {} here", "ключ={}。", '{{"a": ["{}"]}}', "a\\n{}", "x%2F{}", "({})", "'{}',", "…{}…"]


@pytest.mark.parametrize("sentence", SENTENCES)
@pytest.mark.parametrize("name", PLANTED)
def test_what_has_the_shape_of_a_key_is_replaced_wherever_it_stands(name: str, sentence: str) -> None:
    assert "PLANTED" not in redact(sentence.format(PLANTED[name]))
    assert MARK in redact(sentence.format(PLANTED[name]))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Authorization: Bearer PLANTED0123", f"Authorization: {MARK}"),
        ("sent Bearer PLANTED0123 along", f"sent Bearer {MARK} along"),
        ("authorization=Basic UExBTlRFRA==", f"authorization={MARK}"),
        ("api_key=PLANTED&b=1", f"api_key={MARK}&b=1"),
        ("X-Api-Key: PLANTED", f"X-Api-Key: {MARK}"),
        ("Cookie: PLANTED", f"Cookie: {MARK}"),
        ("credentials=PLANTED", f"credentials={MARK}"),
        ("client_secret: PLANTED", f"client_secret: {MARK}"),
        ("passphrase=PLANTED pwd=PLANTED", f"passphrase={MARK} pwd={MARK}"),
        ("password = 'PLANTED with spaces' ok", f"password = {MARK} ok"),
        ('{"password": "PLANTED \\" quoted", "b": 1}', f'{{"password": {MARK}, "b": 1}}'),
        ('{\\"api_key\\": \\"PLANTED\\", \\"b\\": 1}', f'{{\\"api_key\\": {MARK}, \\"b\\": 1}}'),
        ("f(token='PLANTED', user='ana')", f"f(token={MARK}, user='ana')"),
        ("DB_PASSWORD=PLANT,ED;HOST=x", f"DB_PASSWORD={MARK};HOST=x"),
        ("get https://ana:PLANTED@host/x?key=PLANTED&b=1", f"get https://{MARK}@host/x?key={MARK}&b=1"),
        ("postgres://ana:PLAN@TED@db:5432/x", f"postgres://{MARK}@db:5432/x"),
        ("https:\\/\\/ana:PLANTED@host", f"https:\\/\\/{MARK}@host"),
        ("blob?sv=1&sig=PLANTED&x=1", f"blob?sv=1&sig={MARK}&x=1"),
        ("s3?X-Amz-Signature=PLANTED&x=1", f"s3?X-Amz-Signature={MARK}&x=1"),
        ("-----BEGIN RSA PRIVATE KEY-----\nPLANTED\n-----END RSA PRIVATE KEY-----.", f"{MARK}."),
        ("-----BEGIN PRIVATE KEY-----\nPLANTED cut", MARK),
    ],
)
def test_what_is_named_as_a_secret_is_replaced_and_its_surroundings_stay(text: str, expected: str) -> None:
    assert redact(text) == expected
    assert redact(expected) == expected


@pytest.mark.parametrize("quote", ['"', "'"])
def test_a_long_run_of_backslashes_is_read_in_time(quote: str) -> None:
    run = "\\" * 200_000
    assert redact(f"token: \\{quote}{run}x") == f"token: {MARK}"
    assert redact(f"token: \\{quote}x{run}{quote} y") == f"token: {MARK} y"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "task-list-of-everything and risk-assessment-report",
        "1,200 tokens in context; max_tokens=800",
        "the primary key is id; keys: a, b",
        "mail ana@example.org about https://example.org/a@b",
        "a bearer of bad news",
        "ab" * 32,
        "Κλειδί 鍵 🔑",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert redact(text) is text


@pytest.mark.parametrize("secret", ['pa"ss\\wörd 鍵', "plain-secret", "with space+plus/slash", "line\nbreak-secret"])
@pytest.mark.parametrize(
    "written",
    [
        str,
        repr,
        json.dumps,
        lambda text: json.dumps(text, ensure_ascii=False),
        lambda text: quote(text, safe=""),
        quote,
    ],
)
def test_a_known_secret_is_replaced_in_every_way_it_is_written(secret: str, written: object) -> None:
    text = written(secret)
    found = redact(f"<{text}>", [secret])
    assert MARK in found
    assert found.replace(MARK, "").strip("<>\"'") == ""


def test_a_secret_that_begins_another_leaves_no_tail() -> None:
    assert redact("abcdef-ghijkl abcdef", ["abcdef", "abcdef-ghijkl"]) == f"{MARK} {MARK}"


def test_blanks_around_a_known_secret_do_not_hide_it_and_short_ones_are_left_alone() -> None:
    assert redact("key zzplanted", ["zzplanted\n"]) == f"key {MARK}"
    assert redact("an x in the box", ["x", "", "  ", "y" * (SHORTEST - 1)]) == "an x in the box"


def test_mappings_lists_and_keys_are_redacted_however_deep() -> None:
    value = {
        "headers": {"X-Api-Key": "PLANTED", "Accept": "json"},
        "password": ["PLANTED", 12345, None, True],
        "pin token": 4711,
        PLANTED["openai"]: [{"deep": (f"see {PLANTED['github p']}",)}],
        "schema": {"properties": {"password": {"type": "string"}}},
    }
    found = redact(value)
    assert "PLANTED" not in json.dumps(found)
    assert found["headers"] == {"X-Api-Key": MARK, "Accept": "json"}
    assert found["password"] == [MARK, MARK, None, True]
    assert found["pin token"] == MARK
    assert found["schema"] == {"properties": {"password": {"type": "string"}}}


def test_a_value_without_secrets_comes_back_as_the_same_object() -> None:
    event = ToolStarted("c", "t", arguments={"sql": "select 1", "list": [1, 2.5, None, "x"]})
    assert redact(event) is event


def test_the_vocabulary_is_no_secret_even_where_a_secret_reads_like_it() -> None:
    event = AttemptEnded("a", "m", trigger=Trigger.overloaded, sent="unknown", raw="it was overloaded")
    found = redact(event, ["overloaded", "unknown"])
    assert found == AttemptEnded("a", "m", trigger=Trigger.overloaded, sent="unknown", raw=f"it was {MARK}")


def test_a_decision_is_redacted_down_to_its_candidates_cards() -> None:
    card = ModelCard("m", "m", "p", "openai-chat", "efficient", base_url="http://ana:PLANTED@host/v1")
    candidate = Candidate(card, 0, 0.5, None, 1.0, reasons=(Reason("p", "password: PLANTED"),))
    context = StepContext(Step("s", "use token=PLANTED"), signals={"secret": "PLANTED"})
    event = Decided(context, Decision("m", "efficient", "cost", candidates=(candidate, candidate)))
    redactor = Redactor()
    for _ in range(2):  # cards are remembered
        found = redactor.value(event)
        assert "PLANTED" not in repr(found)
        assert found.decision.candidates[0].card.base_url == f"http://{MARK}@host/v1"


def test_cards_are_remembered_for_a_few_fleets_not_for_ever() -> None:
    redactor = Redactor(["PLANTED"])
    cards = [ModelCard(f"m{number}", "PLANTED", "p", "d", "t") for number in range(600)]
    assert {redactor.value(card).model for card in cards + cards} == {MARK}
    assert len(redactor._cards) <= 256


def test_exceptions_as_evidence_lose_their_secrets() -> None:
    error = ValueError(f"401 for url https://host/v1?key=PLANTED with {PLANTED['anthropic']!r}")
    assert "PLANTED" not in repr(redact(Judged("a", "m", Trigger.auth, (str(error), repr(error)))))


@settings(deadline=None, max_examples=50)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_redacting_twice_is_redacting_once(value: object) -> None:
    once = redact(value, ["secret-one"])
    assert redact(once, ["secret-one"]) == once


@settings(deadline=None)
@given(st.text(), st.text(), st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=8))
def test_no_known_secret_survives_in_json_text(before: str, after: str, secret: str) -> None:
    if len(secret.strip()) < SHORTEST or secret.strip() in MARK:
        return
    assert secret.strip() not in redact(
        json.dumps({"k": before + secret.strip() + after}, ensure_ascii=False), [secret]
    )


SECRETS = [
    'pa"ss\\wörd 鍵',
    "plain-word",
    'qu"oted-word',
    "back\\slashed",
    "Schlüsselwört",
    "line\nbreak-word",
    "emoji 🔑 word",
]


@pytest.mark.parametrize("said", [*SECRETS, PLANTED["openai"], "x\nsk-Zq8PLANTED012345", "my toKen: PLANTED"])
@pytest.mark.parametrize("beside", [None, 1])  # json's text and orjson's
@pytest.mark.parametrize("content", [False, True])
def test_a_secret_is_found_in_the_text_that_is_written_however_json_escapes_it(
    file: Path, said: str, content: bool, beside: Json
) -> None:
    ledger = Ledger(file, content=content, secrets=SECRETS)
    ledger.append("run", "s", Judged("a", "m", reason=f"before {said} after"))
    ledger.append("run", "s", ToolStarted("c", "t", arguments={"a": {said: [said, beside]}}))
    first, second = (row.event for row in ledger.events("run"))
    assert isinstance(first, Judged)
    assert isinstance(second, ToolStarted)
    assert MARK in first.reason
    assert first.reason.startswith("before ")
    assert (MARK in repr(second.arguments)) == content
    assert said not in first.reason + repr(second.arguments)
    ledger.close()


@settings(deadline=None, max_examples=300)
@given(
    st.recursive(
        st.none()
        | st.integers()
        | st.text()
        | st.sampled_from([*PLANTED.values(), *SECRETS, "password=PLANTED", "api_key", "token", "first_token", "key"]),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.text() | st.sampled_from(["password", "api_key", "page token", "key", "tokens"]), inner
            )
        ),
    )
)
def test_what_a_visit_would_change_is_suspected_in_its_json(value: Json) -> None:
    redactor, event = Redactor(SECRETS), ToolStarted("c", "t", arguments={"a": value})
    assert redactor.value(event) is event or (redactor.suspects(text(event)) and redactor.suspects(row_text(event)))


@pytest.mark.parametrize("beside", [None, 1])  # json's text and orjson's
@pytest.mark.parametrize("name", ["pa\u017f\u017fword", "\u017fecret", "cook\u0131e", "cook\u0130e", "to\u212aen"])
def test_a_name_is_one_of_a_secret_whatever_its_case_in_every_script(name: str, beside: Json) -> None:
    event = ToolStarted("c", "t", arguments={name: "PLANTED", "said": f"{name}=PLANTED", "b": beside})
    assert "PLANTED" not in repr(redact(event))
    assert Redactor().suspects(row_text(event))


@pytest.mark.parametrize("kept", [UUID(SECRET_ID), Enum("Kept", {"it": SECRET_ID}).it])
def test_a_secret_that_is_stored_as_the_text_of_a_value_is_not_stored(file: Path, kept: object) -> None:
    ledger = Ledger(file, secrets=[SECRET_ID])
    ledger.append("run", "s", Planned(Plan("t", (Step("s", metadata={"id": kept, "ids": [kept]}),))))
    [row] = ledger.events("run")
    assert row.event.plan.steps[0].metadata == {"id": MARK, "ids": [MARK]}
    ledger.close()


def test_a_uuid_that_is_no_secret_stays_itself() -> None:
    value = {"id": UUID(SECRET_ID)}
    assert redact(value) is value


def test_no_character_but_four_is_a_letter_of_a_marker_in_another_case() -> None:
    beyond = (chr(code) for code in range(128, 0x110000))
    assert [c for c in beyond if re.match("[a-z]", c, re.IGNORECASE)] == ["\u0130", "\u0131", "\u017f", "\u212a"]


@pytest.mark.parametrize(
    "event",
    [
        AttemptStarted("a", "m", key="", call="c"),
        AttemptEnded("a", "m", usage=Usage(1, 2), first_token=0.5, seconds=1.0, raw="a token: PLANTED"),
        Decided(StepContext(Step("s"), tokens=9), Decision("m", "t", "cost", settings=Settings(max_tokens=9))),
    ],
)
def test_the_names_of_our_own_fields_are_no_suspicion(
    file: Path, event: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(file)
    monkeypatch.setattr(Redactor, "value", lambda *_: pytest.fail("was visited"))
    ledger.append("run", "s", event)
    ledger.close()


def test_a_word_that_ends_as_a_marker_does_is_no_suspicion() -> None:
    suspects = Redactor().suspects
    assert [text for text in ("token", "spoken", "secret", "secretly", "discretion") if suspects(text)] == [
        "token",
        "secret",
        "secretly",
    ]


def test_a_card_is_written_without_a_secret_that_is_learnt_after_it_was_written_first(file: Path) -> None:
    ledger = Ledger(file)
    card = ModelCard("m", "m-learnt-later", "p", "openai-chat", "efficient")
    event = Decided(
        StepContext(Step("s")), Decision("m", "t", "cost", candidates=(Candidate(card, 0, 0.5, None, 1.0),))
    )
    ledger.append("run", "s", event)
    ledger.hide(["learnt-later"])
    ledger.append("run", "s", event)
    found = [row.event.decision.candidates[0].card.model for row in ledger.events("run")]
    assert found == ["m-learnt-later", f"m-{MARK}"]
    ledger.close()
