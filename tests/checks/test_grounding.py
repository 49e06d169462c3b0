from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.checks import Expect, judge
from orchestra.checks.grounding import ungrounded
from orchestra.types import Finish, ModelReply, Part, Text, ToolCall, ToolSpec, Trigger

ROWS = '{"rows": [{"n": 124}]}'


def say(*parts: Part, finish: Finish = "stop") -> ModelReply:
    return ModelReply(parts, finish)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("There are 124.", ROWS),
        ("There are 124.0 of them", ROWS),
        ("3,700.66 g", '{"mass": 3700.66225166}'),
        ("3'700.7 g, about 3701", '{"mass": 3700.66225166}'),
        ("3 701 g", '{"mass": 3700.66225166}'),
        ("12,5 percent", "12.5"),
        ("19.8 %", '{"share": 0.19767}'),
        ("a share of 0.198", "19.767 %"),
        ("5 below", '{"change": -5}'),
        ("in 2007, 2008 and 2009", "[2007,2008,2009]"),
        ("2007,2008,2009", "2007 2008 2009"),
        ("on 9 March 2025", '{"day": "2025-03-09"}'),
        ("step s1 says that Q3 was good", "nothing"),
        ("no digits at all", ""),
        ("1. Adelie: 152\n2) Gentoo: 124", '{"Adelie": 152, "Gentoo": 124}'),
        ("\uff11\uff12\uff14", ROWS),
        ("id 12345678901234567890123456789012345678901234567890", "12345678901234567890123456789012345678901234567890"),
    ],
)
def test_a_number_follows_from_a_source_in_whatever_spelling(text: str, source: str) -> None:
    assert ungrounded(text, ["a question", source]) == ()


@pytest.mark.parametrize(
    ("text", "source", "missing"),
    [
        ("The shortest is 13.1 mm.", '{"rows": [{"mm": null}]}', ("13.1",)),
        ("121", ROWS, ("121",)),
        ("73.8095238095238 %", '"7.38095238095238"', ("73.8095238095238",)),
        ("3700.67", "3700.66225166", ("3700.67",)),
        ("12 and 1,500", "124", ("12", "1500")),
        ("100", "124", ("100",)),
        ("9" * 40, "8" * 40, ("9" * 40,)),
    ],
)
def test_a_number_that_follows_from_nothing_is_named(text: str, source: str, missing: tuple[str, ...]) -> None:
    assert ungrounded(text, [source]) == missing


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("There are 3 species: Adelie, Chinstrap and Gentoo.", "nothing"),
        ("There are 3.", '{"rows": [{"species": "a"}, {"species": "b"}, {"species": "c"}]}'),
        ("There are 3.", "[s1] List the species\nAdelie, Chinstrap, and Gentoo"),
        ("There are 0.", '{"rows": [], "note": "no rows"}'),
    ],
)
def test_a_number_may_count_the_items_of_a_list(text: str, source: str) -> None:
    assert ungrounded(text, [source]) == ()


@pytest.mark.parametrize("text", ["2113", "587", "1030050", "0.565", "1.77", "56.5 %", "76.9 % more", "43.5 % less"])
def test_what_is_computed_right_from_two_numbers_was_not_invented(text: str) -> None:
    assert ungrounded(text, ["763 mm in one town", "and 1350 mm in another"]) == ()


def test_a_small_whole_number_is_not_taken_for_a_rounded_quotient() -> None:
    assert ungrounded("2", ["763", "1350"]) == ("2",)
    assert ungrounded("2", ["675", "1350"]) == ()


def test_among_many_numbers_none_counts_as_computed_because_some_two_always_fit() -> None:
    few, many = (" ".join(str(number) for number in range(1000, 1000 + count)) for count in (30, 31))
    assert ungrounded("2003", [few]) == ()
    assert ungrounded("2003", [many]) == ("2003",)


def test_nothing_is_divided_by_zero() -> None:
    assert ungrounded("7.5", ["0 and 3"]) == ("7.5",)


@pytest.mark.parametrize("blank", ["\n", " ", " \n", "> ", "1.\n"])
def test_an_answer_of_blanks_alone_is_read_in_time(blank: str) -> None:
    assert ungrounded(blank * 200_000 + "x 7", ["1"]) == ("7",)


def test_an_endless_nesting_and_a_huge_text_are_read_in_time() -> None:
    assert ungrounded("7", ["[" * 100_000, "12 " * 100_000]) == ("7",)


@settings(deadline=None)
@given(st.decimals(min_value=Decimal("0.01"), max_value=10**9, places=2), st.integers(0, 2))
def test_every_number_stands_in_its_own_source_however_it_is_rounded(number: Decimal, digits: int) -> None:
    assert ungrounded(f"It is {number:,.{digits}f}.", [f'{{"value": {number}}}']) == ()


@settings(deadline=None)
@given(st.text(max_size=60), st.lists(st.text(max_size=60), max_size=3))
def test_any_text_can_be_read_and_follows_from_itself(text: str, sources: list[str]) -> None:
    assert ungrounded(text, [*sources, text]) == ()
    ungrounded(text, sources)


def test_an_answer_with_an_invented_number_is_doubted_and_the_number_named() -> None:
    verdict = judge(say(Text("There are 121 of 344.")), Expect(grounds=("How many?", ROWS)))
    assert verdict.trigger is Trigger.low_confidence
    assert verdict.evidence == ("121, 344 stand neither in what was given nor in a tool's result",)
    (one,) = judge(say(Text("121")), Expect(grounds=(ROWS,))).evidence
    assert one == "121 stands neither in what was given nor in a tool's result"


def test_only_prose_is_held_against_its_grounds_and_only_where_there_are_any() -> None:
    call = ToolCall("1", "rows", {"sql": "SELECT 5"})
    tools = (ToolSpec("rows", "", {"type": "object"}),)
    assert judge(say(Text("121")), Expect()).accepted
    assert judge(say(Text("124")), Expect(grounds=(ROWS,))).accepted
    assert judge(say(Text("121"), call), Expect(tools=tools, grounds=(ROWS,))).accepted
    assert judge(say(Text("121")), Expect(output_schema={"type": "integer"}, grounds=(ROWS,))).accepted
