import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.checks import schema, violations
from orchestra.checks.patterns import _known, search

PARTS = st.recursive(
    st.sampled_from(["a", "b", "[ab]", "[^a]", ".", r"\d", r"\w", r"\b", r"\s", "^", "$"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda branches: f"({'|'.join(branches)})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "*?", "{2}", "{1,3}", "{0,20}", "{2,}"])).map(
            lambda one: f"(?:{one[0]}){one[1]}"
        ),
    ),
    max_leaves=6,
)


@given(PARTS, st.text("ab1 c\n_", max_size=8))
@settings(deadline=None)
def test_a_pattern_that_is_walked_is_found_where_re_finds_it(pattern, text):
    assert _known(pattern).walked(text) is (re.search(pattern, text) is not None)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("^(a+)+$", "a" * 40 + "!", False),
        ("^(a+)+$", "a" * 40_000, True),
        ("(a|a)*$", "a" * 50 + "b", True),
        ("^(a|aa){50}$", "a" * 90 + "b", False),
        ("^(a?){30}a{30}$", "a" * 30, True),
        (r"^([a-z])(([\-.]|[_]+)?([a-z]+))*@[a-z]{2,3}$", "a" * 40, False),
        (r"\s+$", " " * 50_000 + "x", False),
        (r"^(?=.*\d)[a-z\d]{8,}$", "a" * 200 + "1", True),
        (r"^(?=.*\d)(a+)+$", "1" + "a" * 50 + "!", None),  # what looks ahead cannot be walked
        ("^(a{1,1000}b){1,1000}$", "ab" * 40, None),  # a million places
        ("^(a+)+$", "a" * 4_000_000, None),
    ],
)
def test_no_pattern_holds_up_the_process(pattern, text, found):
    assert search(pattern, text) is found


@pytest.mark.parametrize("pattern", ["^SELECT", r"^\d{4}-\d{2}-\d{2}$", r"^[^@\s]+@[^@\s]+\.[^@\s]+$", "^(fast|slow)$"])
def test_a_usual_pattern_is_left_to_re(pattern, monkeypatch):
    monkeypatch.setattr("orchestra.checks.patterns._Walk", None)
    assert search(pattern, "somebody.or.other" * 5) is False


@pytest.mark.parametrize(
    ("given_schema", "value", "lines"),
    [
        (
            {"properties": {"a": {"pattern": "^(a+)+$"}}},
            {"a": "a" * 40 + "!"},
            ('a: expected text that matches the pattern ^(a+)+$, got "' + "a" * 40 + '!"',),
        ),
        (
            {"patternProperties": {"^(a+)+$": {"type": "integer"}}, "additionalProperties": False},
            {"a" * 40 + "!": 1, "aaa": "x"},
            ('aaa: expected integer, got "x" (string)', "a" * 40 + "!: no such property; known: none"),
        ),
        (
            {"patternProperties": {"^(a+)+$": {}}, "additionalProperties": {"type": "integer"}},
            {"b" * 40: "x", "a" * 40 + "!": "y"},
            (
                "b" * 40 + ': expected integer, got "x" (string)',
                "a" * 40 + '!: expected integer, got "y" (string)',
            ),
        ),
    ],
)
def test_a_tools_schema_cannot_hold_up_the_process(given_schema, value, lines, monkeypatch):
    monkeypatch.setattr(schema, "quick_of", lambda _: lambda _: False)
    assert violations(given_schema, value) == lines
