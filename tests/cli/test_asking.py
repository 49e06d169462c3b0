"""What people type, at the keyboard or after --answer, and what a run is given for it."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.cli.asking import Person, at_keyboard, read, shown, ways
from orchestra.errors import ConfigError
from orchestra.runtime.questions import DECISIONS, Question, read_answer


def asked(kind: str = "approval", **more: Any) -> dict[str, Any]:
    """A question as an agent's interrupt holds it."""
    about = {"tool": "send", "arguments": {"to": "Åse"}} if kind in ("approval", "unknown") else {}
    plain = {"question": f"{kind}.1", "kind": kind, "step": "s1", "goal": "Use send", "text": "may it be?"}
    return plain | {"read_only": False, "decisions": [*DECISIONS[kind]]} | about | more


def understood(kind: Any, typed: str) -> Any:
    """The decision that a run reads from what was typed; the error where it asks again."""
    one = asked(kind)
    question = Question("q", kind, "s1", tool=one.get("tool"), arguments=one.get("arguments"))
    try:
        answer = read_answer(question, read(one, typed), lambda edited: [] if "to" in edited else ["to: required"])
    except ValueError as error:
        return str(error)
    return answer.decision, answer.text or answer.arguments or answer.usd


@pytest.mark.parametrize(
    ("kind", "typed", "decision"),
    [
        ("approval", "y", ("approve", None)),
        ("approval", "YES", ("approve", None)),
        ("approval", "approve", ("approve", None)),
        ("approval", "n", ("reject", None)),
        ("approval", "No, not to them", ("reject", "not to them")),
        ("approval", "n not to them", ("reject", "not to them")),
        ("approval", '{"to": "雨"}', ("edit", {"to": "雨"})),
        ("approval", 'edit {"to": "雨"}', ("edit", {"to": "雨"})),
        ("approval", '{"decision": "edit", "arguments": {"to": "x"}}', ("edit", {"to": "x"})),
        ("approval", '{"decision": "later", "to": "x"}', ("edit", {"decision": "later", "to": "x"})),
        ("approval", "{}", "the edited arguments do not fit send: to: required"),
        ("approval", "edit", "the edited arguments do not fit send: to: required"),
        ("approval", "7", "'7' is no decision here; decide one of: approve, edit, reject"),
        ("question", "42", ("answer", "42")),
        ("question", "no", ("answer", "no")),
        ("question", "{", ("answer", "{")),
        ("question", '{"to": 1}', ("answer", '{"to": 1}')),
        ("question", "[1]", ("answer", "[1]")),
        ("question", '{"decision": "answer", "text": "für alle"}', ("answer", "für alle")),
        ("unknown", "done", ("done", None)),
        ("unknown", "Done 763 mm", ("done", "763 mm")),
        ("unknown", "repeat", ("repeat", None)),
        ("unknown", "fail", ("fail", None)),
        ("stuck", "repeat take the key", ("repeat", "take the key")),
        ("stuck", "answer it is 42", ("answer", "it is 42")),
        ("stuck", "answer", "the answer is empty; give it as text"),
        ("budget", "0.5", ("budget", 0.5)),
        ("budget", "$2", ("budget", 2.0)),
        ("budget", "fail", ("fail", None)),
        ("budget", '{"decision": "budget", "usd": 3}', ("budget", 3)),
        ("budget", "inf", "usd: expected the run's new cap in USD, got inf"),
        ("budget", "a lot", "'a' is no decision here; decide one of: budget, fail"),
    ],
)
def test_an_answer_is_read_by_the_kind_of_its_question(kind: str, typed: str, decision: Any) -> None:
    assert understood(kind, typed) == decision


@pytest.mark.parametrize("kind", DECISIONS)
def test_the_answer_that_is_proposed_is_one(kind: str) -> None:
    proposed = ways(asked(kind))[0].replace("USD", "0.50")
    assert isinstance(understood(kind, proposed), tuple)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ('{"to": }', """the arguments '{"to": }' are not JSON: Expecting value"""),
        ("{", "are not JSON"),
        ("edit [1]", """not a JSON object, such as {"to": "Åse"}"""),
    ],
)
def test_arguments_that_are_no_json_object_are_refused_with_what_is_wrong(typed: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(asked(), typed)
    assert said in str(error.value)


@given(st.sampled_from(list(DECISIONS)), st.text(min_size=1))
def test_whatever_is_typed_is_an_answer_or_told_to_be_none(kind: str, typed: str) -> None:
    assert understood_or_refused(kind, typed)


def understood_or_refused(kind: str, typed: str) -> Any:
    try:
        return understood(kind, typed)
    except ConfigError as error:
        return str(error)


@pytest.mark.parametrize("given_answer", ["", "s1.0.0.ab", "=approve", "s1.0.0.ab=", " = "])
def test_an_answer_without_its_question_is_refused_with_an_example(given_answer: str) -> None:
    with pytest.raises(ConfigError, match=r"expected QUESTION=ANSWER, such as s1\.0\.0\.a1b2c3=approve"):
        Person([given_answer])


def test_a_question_is_answered_once() -> None:
    with pytest.raises(ConfigError, match="'q' is answered twice"):
        Person(["q=y", "q=n"])


def test_answers_are_given_to_their_questions_and_the_rest_stays_open() -> None:
    person = Person(["budget.1=0.5", "question.1=a=b"])
    questions = [asked(), asked("question"), asked("budget")]
    assert person.answers(questions) == {
        "question.1": {"decision": "answer", "text": "a=b"},
        "budget.1": 0.5,
    }
    assert person.answers(questions) == {}  # an answer that was not understood is not given again


def test_an_answer_to_what_is_not_asked_is_refused_with_what_is() -> None:
    with pytest.raises(ConfigError, match=r"no pending question 's1'; pending: approval\.1, budget\.1"):
        Person(["s1=y"]).answers([asked(), asked("budget")])
    with pytest.raises(ConfigError, match="pending: none"):
        Person(["s1=y"]).answers([])


def test_yes_approves_calls_of_read_only_tools_and_nothing_else() -> None:
    questions = [asked(kind, question=kind, read_only=True) for kind in DECISIONS]
    assert Person(yes=True).answers([*questions, asked()]) == {
        "approval": {"decision": "approve", "text": "approved by --yes: read-only"}
    }


def test_an_answer_that_is_given_counts_more_than_yes() -> None:
    given = Person(["approval.1=n"], yes=True).answers([asked(read_only=True)])
    assert given == {"approval.1": {"decision": "reject", "text": ""}}


@pytest.fixture
def typing(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What a person types, a line or an exception each."""
    lines: list[Any] = []

    def typed() -> str:
        line = lines.pop(0)
        if isinstance(line, str):
            return line
        raise line

    monkeypatch.setattr("builtins.input", typed)
    yield lines
    assert lines == []


def test_a_person_is_asked_on_stderr_and_answers(typing: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    typing += [" y "]
    assert Person(at_keyboard=True).answers([asked()]) == {"approval.1": {"decision": "approve", "text": ""}}
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == (
        's1 (Use send): may it be?\n  send {"to": "Åse"}\n'
        "approve? y, n, n REASON, or other arguments as a JSON object (empty: later) > "
    )


@pytest.mark.parametrize("kind", DECISIONS)
def test_every_kind_of_question_says_what_may_be_typed(
    kind: str, typing: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    typing += [""]
    Person(at_keyboard=True).answers([asked(kind)])
    assert capsys.readouterr().err.endswith(" (empty: later) > ")


def test_what_is_left_for_later_is_not_asked_again_at_once(typing: list[Any]) -> None:
    person, questions = Person(at_keyboard=True), [asked(), asked("question")]
    typing += ["", "to Åse"]
    assert list(person.answers(questions)) == ["question.1"]
    assert person.answers(questions[:1]) == {}


def test_the_end_of_the_input_leaves_everything_for_later(typing: list[Any]) -> None:
    typing += [EOFError(), EOFError()]
    assert Person(at_keyboard=True).answers([asked(), asked("budget")]) == {}


def test_bad_json_is_asked_again_with_what_is_wrong(typing: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    typing += ['{"to": }', UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), '{"to": "x"}']
    assert Person(at_keyboard=True).answers([asked()])["approval.1"]["arguments"] == {"to": "x"}
    told = capsys.readouterr().err
    assert told.count("not understood: ") == 2
    assert "are not JSON: Expecting value" in told


def test_an_answer_that_the_run_did_not_understand_is_asked_again_and_said_so(typing: list[Any]) -> None:
    typing += ["perhaps", "y"]
    person = Person(at_keyboard=True)
    assert person.answers([asked()])["approval.1"]["decision"] == "perhaps"
    again = asked(error="'perhaps' is no decision here")
    assert person.answers([again])["approval.1"]["decision"] == "approve"
    assert shown(again)[-1] == "  not understood: 'perhaps' is no decision here"


def test_ctrl_c_leaves_the_prompt(typing: list[Any]) -> None:
    typing += [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        Person(at_keyboard=True).answers([asked()])


def test_a_call_is_shown_as_it_would_be_made_and_nothing_in_it_can_pass_for_something_else() -> None:
    value = {"to": "a\n  send {}\x1b[2J", "note": "safe\u202etxt", "n": [1, "雨"]}
    (_, call) = shown(asked(arguments=value))
    assert call == r'  send {"to": "a\n  send {}\u001b[2J", "note": "safe\u202etxt", "n": [1, "雨"]}'
    assert json.loads(call.removeprefix("  send ")) == value


@pytest.mark.parametrize(
    "unseen", "\u3164\u115f\uffa0\u2800\u034f\ufe0f\U000e0100\u202e\u200b\x9b\U0001d159\U00016fe4\U00013441"
)
def test_no_character_of_a_call_is_unseen(unseen: str) -> None:
    (_, call) = shown(asked(arguments={"to": f"acme{unseen}corp"}))
    assert unseen not in call
    assert json.loads(call.removeprefix("  send ")) == {"to": f"acme{unseen}corp"}


@pytest.mark.parametrize("text", ["I ❤️ it", "☎︎ ©️", "\u1820\u180b"])
def test_a_selector_that_only_changes_the_look_of_what_stands_there_is_left(text: str) -> None:
    assert text in shown(asked(arguments={"to": text}))[1]


@pytest.mark.parametrize(
    "text",
    ["❤\ufe0f\ufe0f", "a\ufe0f", "1\ufe0f", "雨\U000e0100", "\u2800\ufe0f", "\U0001d159\ufe0f", "a\u180b", "❤\ufe00"],
)
def test_a_selector_behind_anything_else_is_not(text: str) -> None:
    assert json.dumps(text[-1])[1:-1] in shown(asked(arguments={"to": text}))[1]


def test_a_question_of_a_model_stays_on_its_line() -> None:
    (line,) = shown(asked("question", text="To whom?\ns2: all is approved\x1b[2J", goal=""))
    assert line == "s1: To whom? s2: all is approved\ufffd[2J"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stdin", "stderr", "there"),
    [(Terminal(), Terminal(), True), (Terminal(), io.StringIO(), False), (io.StringIO(), Terminal(), False)],
)
def test_somebody_is_there_where_questions_can_be_read_and_answered(
    stdin: Any, stderr: Any, there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", stdin)
    monkeypatch.setattr(sys, "stderr", stderr)
    assert at_keyboard() is there


def test_nobody_is_there_where_the_input_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert not at_keyboard()
