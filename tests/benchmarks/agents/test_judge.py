"""The judge: what is right is accepted in any words, what contradicts it never is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.agents.expected import Expected, Right, expected
from benchmarks.agents.judge import Judgement, judge, meets
from benchmarks.agents.reading import Number, find_names, find_numbers, plain

SPECIES = ("Adelie", "Chinstrap", "Gentoo")
COUNTS = expected([("Adelie", 152), ("Chinstrap", 68), ("Gentoo", 124)], SPECIES)
HOW_MANY = "How many penguins are there?"


def said(right: Expected, answer: str, question: str = HOW_MANY) -> str:
    return judge(right, question, answer).reason


@pytest.mark.parametrize(
    "answer",
    ["124", "There are 124 Gentoo.", "**124** penguins", "It is 124.0.", "124 (one hundred and twenty-four)"],
)
def test_a_count_is_right_however_it_is_put(answer):
    assert judge(expected([(124,)]), HOW_MANY, answer) == Judgement(correct=True)


@pytest.mark.parametrize("answer", ["121", "125 or so", "1,240", "-124", "about one hundred", "", "12 4", "1.24"])
def test_a_count_is_met_exactly(answer):
    assert said(expected([(124,)]), answer) == "does not say 124"


def test_thousands_may_be_separated_and_powers_written():
    assert not said(expected([(1_234_567,)]), "It is 1,234,567 in all.")
    assert not said(expected([(1500.0,)]), "1.5e3")


@pytest.mark.parametrize("answer", ["4201.75", "4202", "4201.754385964912", "about 4,200 g", "4.2e3"])
def test_a_measured_number_is_right_within_rounding_and_half_a_percent(answer):
    assert not said(expected([(4201.754385964912,)]), answer)


@pytest.mark.parametrize("answer", ["4000", "4180", "42", "4.2 kg"])
def test_a_measured_number_further_off_is_wrong(answer):
    assert said(expected([(4201.754385964912,)]), answer)


def test_one_digit_is_no_rounding_of_a_fraction():
    assert said(expected([(2.63,)]), "3")
    assert not said(expected([(2.63,)]), "2.6")


def test_a_second_number_contradicts():
    assert said(expected([(124,)]), "There are 124, or 152 of them.") == "also says 152"
    assert said(expected([(124,)]), "Is it 1 or 124?") == "also says 1"


def test_the_questions_own_numbers_do_not_contradict():
    question = "How many penguins weigh more than 5000 grams?"
    assert not said(expected([(61,)]), "61 penguins are above 5000 grams.", question)


@pytest.mark.parametrize(
    "answer",
    [
        "5484.8 - 4679.7 = 805.1",
        "Males weigh 5484.8 g and females 4679.7 g: 805.1 g more.",
        "805.1 g more than the females' 4679.7 g",
    ],
)
def test_operands_of_the_right_number_and_what_it_is_compared_with_do_not_contradict(answer):
    assert not said(expected([(805.0946862634255,)]), answer)


def test_a_share_may_be_told_with_its_two_counts():
    assert not said(expected([(19.767441860465116,)]), "68 of 344, which is 19.8 %")
    assert said(expected([(19.767441860465116,)]), "19.8 %, and 99 of them on Dream") == "also says 99"


def test_small_numbers_may_be_words():
    assert not said(expected([(2,)]), "Two species were found.")
    assert not said(expected([(1,)]), "There is one.")
    assert not said(expected([(2,)]), "The one on Biscoe has two.")
    assert said(expected([(2,)]), "Two or three species.") == "also says 3"
    assert said(expected([(3,)]), "Two of 344") == "does not say 3"


def test_no_number_means_zero():
    assert not said(expected([(0,)]), "No penguin is that heavy.")
    assert said(expected([(0,)]), "There are 3 of them.")


@pytest.mark.parametrize("answer", ["Gentoo", "the GENTOO penguin", "Gentoo is heavier than Adelie and Chinstrap."])
def test_a_name_is_right_in_any_case_and_may_be_compared(answer):
    assert not said(expected([("Gentoo",)], SPECIES), answer)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("Adelie", "does not name Gentoo"),
        ("Gentoo or Adelie", "also names Adelie"),
        ("Adelie is heavier than Gentoo", "does not name Gentoo"),
        ("It is Adelie, not Gentoo", "does not name Gentoo"),
        ("Gentooish", "does not name Gentoo"),
    ],
)
def test_another_name_contradicts(answer, why):
    assert said(expected([("Gentoo",)], SPECIES), answer) == why


def test_a_name_that_the_question_only_mentions_does_not_contradict():
    question = "On which island do the Adelie penguins of Dream not live?"
    right = expected([("Biscoe",)], ("Biscoe", "Dream"))
    assert not said(right, "Those of Dream do not; Biscoe.", question)
    choice = "Which has more penguins, Biscoe or Dream?"
    assert said(right, "Biscoe or Dream", choice) == "also names Dream"


def test_a_list_of_names_is_complete_and_holds_no_other():
    right = expected([("Adelie",), ("Chinstrap",)], SPECIES)
    assert not said(right, "Chinstrap and Adelie")
    assert not said(right, "Adelie, followed by Chinstrap")
    assert said(right, "Adelie") == "does not name Chinstrap"
    assert said(right, "Adelie, Gentoo and Chinstrap") == "also names Gentoo"


def test_a_name_within_a_longer_name_is_not_that_name():
    right = expected([("Tea",)], ("Tea", "Green Tea"))
    assert said(right, "Green Tea") == "does not name Tea"
    assert not said(right, "tea")


@pytest.mark.parametrize(
    "answer",
    [
        "Adelie 152, Chinstrap 68, Gentoo 124",
        "124 Gentoo, 152 Adelie and 68 Chinstrap penguins",
        "Gentoo, Adelie and Chinstrap have 124, 152 and 68, 344 in all",
        "The 3 species: Adelie (152), Chinstrap (68), Gentoo (124)",
    ],
)
def test_every_number_belongs_to_its_name(answer):
    assert not said(COUNTS, answer)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("Adelie 124, Chinstrap 68, Gentoo 152", "does not give Adelie 152"),
        ("Adelie 152, Chinstrap 68", "does not name Gentoo"),
        ("Adelie 152, Chinstrap 68, Gentoo 125", "does not say 124"),
        ("Adelie 152, Chinstrap 68, Gentoo 124 or 5", "also says 5"),
    ],
)
def test_numbers_swapped_missing_or_added_are_wrong(answer, why):
    assert said(COUNTS, answer) == why


def test_names_may_share_a_number():
    right = expected([("coffee", 4), ("equipment", 5), ("tableware", 4), ("tea", 5)])
    assert not said(right, "Coffee and tableware have 4 each, equipment and tea 5.")
    assert not said(right, "coffee 4, equipment 5, tableware 4, tea 5")
    assert said(right, "coffee 4, equipment 4, tableware 5, tea 5") == "does not give equipment 5"


def test_a_year_in_the_first_of_several_columns_is_a_name():
    right = expected([(2007, 50), (2008, 51)])
    assert right.rows == (Right(("2007",), (50,)), Right(("2008",), (51,)))
    assert not said(right, "50 in 2007 and 51 in 2008")
    assert said(right, "51 in 2007 and 50 in 2008")


def test_where_a_name_stands_in_several_rows_only_presence_is_asked():
    right = expected([("Adelie", "Biscoe", 44), ("Adelie", "Dream", 56)])
    assert not said(right, "Adelie: 44 on Biscoe, 56 on Dream")


@pytest.mark.parametrize("answer", ["2024-03-15", "March 15, 2024", "on 15 March 2024", "march 15 2024"])
def test_a_date_may_be_written_out(answer):
    assert not said(expected([("2024-03-15",)], ("2024-03-16",)), answer)


def test_a_month_may_be_written_out_and_another_one_contradicts():
    assert not said(expected([("2024-07",)]), "July 2024")
    assert said(expected([("2024-07",)]), "June 2024")
    assert not said(expected([("2024-99",)]), "the batch 2024-99")


@pytest.mark.parametrize("rows", [[], [(None,)]])
def test_where_there_is_nothing_an_answer_says_so(rows):
    right = expected(rows)
    assert not said(right, "None of them.")
    assert not said(right, "0")
    assert said(right, "It is Adelie.") == "there is none, and it does not say so"
    assert said(right, "No more than 17") == "there is none, and it says 17"


def test_text_is_compared_in_one_form():
    assert not said(expected([("Łódź",)]), "ŁÓDŹ")  # composed and decomposed
    assert not said(expected([(-3.25,)]), "It fell by −3.25.")  # noqa: RUF001  # a minus sign, as models write it


@given(st.integers(0, 10**9))
def test_every_count_is_found_as_it_is_written_and_with_separators(count):
    for text in (f"{count}", f"{count:,}", f"n={count} kg"):
        assert find_numbers(text) == [Number(float(count), 1.0)]


@given(st.floats(0.01, 1e9), st.integers(1, 4))
def test_every_rounding_to_two_significant_digits_is_met(value, decimals):
    written = f"{value:.{decimals}f}"
    if float(written) >= 10 * 10**-decimals:
        assert meets(find_numbers(written)[0], value)


@given(st.text(max_size=80))
def test_no_answer_breaks_the_judge(answer):
    assert isinstance(judge(COUNTS, answer, answer).correct, bool)
    assert isinstance(judge(expected([]), answer, answer).correct, bool)


def test_dates_and_ordinals_are_no_numbers():
    assert find_numbers("on 2024-03-15 the 2nd of Q3, s1") == []


def test_names_are_found_in_the_order_of_their_mention():
    assert find_names(plain("Gentoo, then Adelie, Gentoo"), SPECIES)[0] == ["Gentoo", "Adelie"]
    assert find_names("anything", [" "])[0] == []
