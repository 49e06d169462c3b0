"""Citations: what stands at a place, what is said to stand there, and where findings conflict."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.checks.citations import (
    Citation,
    Finding,
    attributed,
    citation_faults,
    cited,
    conflicts,
    finding_faults,
    numbers,
    untold,
)

DOCUMENTS = {
    "alder.md": ["# Alder tower", "The tower is 330 metres tall.", "It was built in 1,889 by", "Jane Doe & sons."],
    "sub/Annual Report 2024.md": ["Revenue was 1\u202f234,50 EUR.", "It rose “by a third” from 2023.", ""],
    "größe.txt": ["Größe: 330 Meter"],
    "long.txt": [f"line {number}" for number in range(1, 41)],
}


def faults(text: str, question: str = "") -> tuple[str, ...]:
    return citation_faults(text, DOCUMENTS, given=question)


def finding(value: str, file: str = "alder.md", line: int = 2, claim: str = "height") -> Finding:
    return Finding(claim, value, file, line)


@pytest.mark.parametrize(
    "text",
    [
        "The Alder tower is 330 m tall [alder.md:2].",
        "The tower is 330 m tall. [alder.md:2]",
        "The tower is 330 m tall.\nalder.md:2",
        "According to `alder.md:2`, the tower is 330 m tall.",
        "alder.md:2 says that the tower is 330 m tall",
        "It is 330 m tall (alder.md:2) and was built in 1889 (alder.md:3).",
        "Jane Doe built it in 1889 [alder.md:3-4].",
        "Jane Doe built it in 1889 [alder.md:3, alder.md:4].",
        "Revenue was 1 234,50 EUR (sub/Annual Report 2024.md:1)",
        "The report sub/Annual Report 2024.md:1 tells of 1234.5 EUR",
        "It rose “by a  third” [sub/Annual Report 2024.md:2].",
        'It rose "BY A THIRD" [sub/Annual Report 2024.md:2].',
        "It is 330 m tall (alder.md:2). So it is 30 m taller than one of 300 m.",
        "Die Größe ist 330 Meter [größe.txt:1].",
    ],
)
def test_a_citation_that_says_what_the_sentence_says_is_accepted(text: str) -> None:
    assert faults(text) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("The tower is 330 m tall.", "no source is cited"),
        ("At 10:30 it is 330 m tall, said http://x.y:80/", "no source is cited"),
        ("", "no source is cited"),
        ("It is 330 m [alter.md:2].", "alter.md: there is no such document; did you mean 'alder.md'?"),
        ("It is 330 m [x/notes.pdf:2].", "x/notes.pdf: there is no such document; known: alder.md, sub/Annual"),
        ("It is 330 m [alder.md:5].", "alder.md:5: there is no such line; alder.md has 4 lines"),
        ("It is 330 m [alder.md:0].", "there is no such line"),
        ("It is 330 m [alder.md:4-2].", "there is no such line"),
        ("It says line 7 [long.txt:1-21].", "long.txt:1-21: too many lines for one citation"),
        ("It is 331 m [alder.md:2].", "alder.md:2 reads 'The tower is 330 metres tall.'; 331 does not stand there"),
        ("It is 33 m [alder.md:2].", "33 does not stand there"),
        ("It is 330 m (alder.md:2), so 30 m more.", "30 does not stand there; what follows from other facts belongs"),
        ('It is "330 feet tall" [alder.md:2].', "330 feet tall does not stand there"),
        ("Bananas are good [alder.md:2].", "which says nothing of 'Bananas are good.'"),
        ("It is 330 m tall [alder.md:2, alder.md:1].", "alder.md:1 reads '# Alder tower', which says nothing of"),
        ("[alder.md:2]", "which says nothing of ''"),
    ],
)
def test_a_citation_that_is_missing_or_false_is_told_with_what_stands_there(text: str, said: str) -> None:
    (fault,) = faults(text)
    assert said in fault


def test_every_false_citation_is_told_once() -> None:
    assert len(faults("It is 331 m [alder.md:2]. It was built in 1888 [alder.md:3].")) == 2
    assert len(faults("One [no.md:1]. Two [no.md:1]. Three [other.md:1].")) == 2


def test_numbers_of_the_question_need_no_source() -> None:
    assert faults("Of 2 towers it is the one of 330 m [alder.md:2].", "Which of the 2 towers?") == ()
    assert faults("At 10:30 it is 330 m, says http://x.y:80/a [alder.md:2].", "At 10:30, on http://x.y:80/a?") == ()


def test_citations_are_read_with_their_sentence() -> None:
    assert cited("At 10:30. It is 330 m [alder.md:2]. No.", DOCUMENTS) == (
        ("It is 330 m.", (Citation("alder.md", 2, 2),)),
    )
    assert str(Citation("a b.md", 2, 3)) == "a b.md:2-3"


@pytest.mark.parametrize(
    "right",
    [
        finding("330 m"),
        finding("330 metres"),
        finding("THE Tower"),
        finding("1889", line=3),
        finding("by Jane Doe", line=3),
        finding("1234.50 EUR", "sub/Annual Report 2024.md", 1),
    ],
)
def test_a_value_that_stands_on_its_line_is_accepted(right: Finding) -> None:
    assert finding_faults([right], DOCUMENTS) == ()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            finding("330 m", line=1),
            "alder.md:1 reads '# Alder tower', '330 m' does not stand there; it stands on line 2",
        ),
        (finding("33 m"), "'33 m' does not stand there; it stands nowhere in this document"),
        (finding("Jane Doe", line=3), "it stands on line 4"),
        (finding("line", "long.txt", 40), ""),
        (finding("…"), "it stands nowhere"),
        (finding("330 m", "Alder.md"), "Alder.md: there is no such document; did you mean 'alder.md'?"),
        (finding("330 m", line=-1), "there is no such line"),
    ],
)
def test_a_value_that_does_not_is_told_with_where_it_does(wrong: Finding, said: str) -> None:
    found = finding_faults([wrong], DOCUMENTS)
    assert (said in found[0]) if said else found == ()


def test_without_documents_none_is_known() -> None:
    assert finding_faults([finding("1")], {}) == ("alder.md: there is no such document; known: none",)


TOWER, BUILT, BUILDER = (Citation("alder.md", line, line) for line in (2, 3, 4))
REVENUE = Citation("sub/Annual Report 2024.md", 1, 1)
PLACES = {TOWER: "height", BUILT: "", BUILDER: "", REVENUE: "revenue of the hotel"}


@pytest.mark.parametrize(
    ("text", "sourced"),
    [
        ("It is 330 m tall.", "It is 330 m tall [alder.md:2]."),
        ("Height: 330", "Height: 330 [alder.md:2]"),
        ("330", "330 [alder.md:2]"),
        ("It is 331 m tall.", "It is 331 m tall."),
        ("It is 330 m and 8 cm tall.", "It is 330 m and 8 cm tall."),
        ("The hotel has 330 rooms and beds.", "The hotel has 330 rooms and beds."),
        ("Nobody likes it.", "Nobody likes it."),
        ("Oh!", "Oh!"),
        ("", ""),
        ("It is 330 m tall [alder.md:2].", "It is 330 m tall [alder.md:2]."),
        ("It is 330 m tall. [alder.md:2]", "It is 330 m tall. [alder.md:2]"),
        ("JANE DOE did.\n\n330 metres!  Yes", "JANE DOE did [alder.md:4].\n\n330 metres [alder.md:2]!  Yes"),
        ("Tall: 330 m, built 1889.", "Tall: 330 m, built 1889 [alder.md:3] [alder.md:2]."),
        ("The hotel took 1234.5 EUR.", "The hotel took 1234.5 EUR [sub/Annual Report 2024.md:1]."),
        ("In 1999 the tower stood.", "In 1999 the tower stood [alder.md:2]."),
    ],
)
def test_a_sentence_that_stands_at_a_place_gets_it_as_its_source(text: str, sourced: str) -> None:
    assert attributed(text, PLACES, DOCUMENTS, given="in 1999?") == sourced


def test_without_places_or_where_they_are_gone_a_text_stays_as_it_is() -> None:
    gone = {Citation("alder.md", 9, 9): "", Citation("gone.md", 1, 1): "tall"}
    for places in ({}, gone):
        assert attributed("It is 330 m tall. \n", places, DOCUMENTS) == "It is 330 m tall. \n"


TALL, SAME = finding("330 m", claim="the height of the Alder tower"), finding("330 metres", claim="Alder tower height")
SMALL = finding("324 m", "old.md", 7, claim="Tower height (Alder)")
BUILDERS = [finding("Jane Doe", claim="builder"), finding("jane  doe", claim="Builder")]


def test_one_claim_with_different_values_is_a_conflict() -> None:
    assert conflicts([TALL, SAME, SMALL, *BUILDERS]) == ((TALL, SMALL),)
    assert conflicts([TALL, SAME, *BUILDERS]) == ()


def test_a_value_that_stands_in_its_claim_makes_it_no_other_claim() -> None:
    one, other = finding("1923", claim="founded in 1923"), finding("It was founded in 1926", claim="Founded in 1926")
    assert conflicts([one, other]) == ((one, other),)
    assert conflicts([finding("9", claim="loans in 2023"), finding("8", claim="loans in 2024")]) == ()


@pytest.mark.parametrize("text", ["It is 330 m tall.", "It is 324 m tall.", "It is tall.", ""])
def test_a_conflict_that_a_text_hides_is_told_with_its_sources(text: str) -> None:
    told = "The sources differ (the height of the Alder tower): 330 m [alder.md:2], 324 m [old.md:7]"
    assert untold(text, [TALL, SMALL]) == (told,)


def test_a_text_that_tells_all_values_or_has_no_conflict_hides_none() -> None:
    assert untold("It is 330 m, or 324 m, tall.", [TALL, SMALL]) == ()
    assert untold("It is tall.", [TALL, SAME]) == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1,234.50 and 1234,5 and 1'234.5", {"1234.5"}),
        ("in 2023 330 m", {"2023", "330"}),
        ("007 0.50 0", {"7", "0.5", "0"}),
        ("1,889 3,5 v2 x.9", {"1889", "3.5"}),
        ("no number", set()),
    ],
)
def test_a_number_is_the_same_however_it_is_spelled(text: str, found: set[str]) -> None:
    assert numbers(text) == found


@given(st.integers(0, 10**9))
def test_a_number_is_found_with_and_without_signs_between_its_thousands(number: int) -> None:
    spelled = [f"{number:,}", f"{number:,}".replace(",", "\u00a0"), f"{number}", f"{number}.00"]
    assert {numbers(f"it is {one} m.") for one in spelled} == {frozenset({str(number)})}


@given(st.text(), st.text())
def test_any_text_is_read(text: str, question: str) -> None:
    assert all(isinstance(fault, str) for fault in faults(text, question))


@given(st.sampled_from(sorted(DOCUMENTS)), st.integers(-2, 50), st.text(max_size=20))
def test_a_citation_is_accepted_only_where_its_line_exists(file: str, line: int, words: str) -> None:
    lines = DOCUMENTS[file]
    if not faults(f"{words} [{file}:{line}]"):
        assert 1 <= line <= len(lines)


@given(st.integers(1, 4))
def test_the_whole_line_stands_on_its_line(line: int) -> None:
    assert finding_faults([finding(DOCUMENTS["alder.md"][line - 1], line=line)], DOCUMENTS) == ()


@given(st.text(max_size=80))
def test_only_sources_are_added_to_a_text(text: str) -> None:
    sourced = attributed(text, PLACES, DOCUMENTS)
    for place in PLACES:
        sourced = sourced.replace(f" [{place}]", "")
    assert sourced == text


@pytest.mark.parametrize("much", [" ", "a", "a ", ".", "[ ", "` "])
def test_a_huge_text_is_read_in_time(much: str) -> None:
    text = f"x {much * 100_000}x"
    assert attributed(text, PLACES, DOCUMENTS) == text
    assert len(faults(text)) == 1


@pytest.mark.parametrize("name", ["docs/" + "a" * 220 + "/notes.md", "Annual report " * 16 + "notes"])
def test_a_document_with_a_long_name_is_cited_by_all_of_it(name: str) -> None:
    documents = {name: ["The price is 42 dollars."]}
    assert citation_faults(f"The price is 42 dollars [{name}:1].", documents) == ()
    assert cited(f"10:30:20 it was 42 {name}:1-1:2 {name}:1", documents)[0][1] == (Citation(name, 1, 1),) * 2
