import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.checks import schema, violations
from orchestra.checks.patterns import _known, _NoWalkError, _Walk, search

PARTS = st.recursive(
    st.sampled_from(["a", "b", "[ab]", "[^a]", ".", r"\d", r"\w", r"\b", r"\s", "^", "$"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda branches: f"({'|'.join(branches)})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "*?", "{2}", "{1,3}", "{0,20}", "{2,}"])).map(
            lambda one: f"(?:{one[0]}){one[1]}"
        ),
        st.tuples(st.sampled_from(["i", "s", "m", "i-s", "-i"]), inner).map(lambda one: f"(?{one[0]}:{one[1]})"),
    ),
    max_leaves=6,
)


@given(PARTS, st.text("aAb1 c\n_", max_size=8))
@settings(deadline=None)
def test_a_pattern_that_is_walked_is_found_where_re_finds_it(pattern, text):
    found = re.search(pattern, text) is not None
    assert _Walk(_known(pattern)._parsed).finds(text) is found
    assert search(pattern, text) is found


@pytest.mark.parametrize("pattern", [r"(?a)((?u:\w)+)+", r"((?a:\w)+)+"])
def test_what_a_word_is_made_of_in_a_group_alone_is_res_to_tell(pattern):
    with pytest.raises(_NoWalkError):
        _Walk(_known(pattern)._parsed)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("^(a+)+$", "a" * 40 + "!", False),
        ("^(a+)+$", "a" * 40_000, True),
        ("^(a+)+$", "a" * 100_000 + "!", False),
        ("(a|a)*$", "a" * 50 + "b", True),
        ("^(a|aa){50}$", "a" * 90 + "b", False),
        ("^(a?){30}a{30}$", "a" * 30, True),
        (r"^([a-z])(([\-.]|[_]+)?([a-z]+))*@[a-z]{2,3}$", "a" * 40, False),
        (r"\s+$", " " * 50_000 + "x", False),
        ("^(?i:(a+)+)$", "aA" * 20 + "!", False),
        (r"(?m)^[\s\S]*[\s\S]*x", "\n" * 2047, False),  # begins at each line
        (r"\B.*.*x", "a" * 2047, False),
        ("a{1000}b", "a" * 5_000, False),
        ("^(a{1,1000}b){1,1000}$", "ab" * 40, True),  # a million places
        ("^" + "(" * 300 + "a" + ")" * 300 + "$", "b", False),
        ("^" + "(" * 300 + "a+" + ")+" * 300 + "$", "a" * 40 + "!", False),
    ],
)
def test_no_repeats_that_share_a_text_hold_up_the_process(pattern, text, found):
    assert search(pattern, text) is found


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(?i:(a+)+)$", r"(?m)^[\s\S]*[\s\S]*x", r"\B.*.*x", "((a+)+){20}$"])
def test_what_could_keep_re_busy_is_walked(pattern):
    assert isinstance(_known(pattern).walk(11), _Walk)


@pytest.mark.parametrize("length", [5, 27, 300, 5_000])
@pytest.mark.parametrize(
    ("pattern", "letters", "bad"),
    [
        (r"^((?!DROP|DELETE).)*$", "a", "DROP"),
        (r"^(?:(?!--).)*$", "a", "--"),
        (r"^(?!.*\.\.)(?!\.)([a-z0-9._-]+/)*[a-z0-9._-]+$", "a", ".."),
        (r"^(?:(?!\.\.)[^/])+$", "a", ".."),
        (r"^(?=.{1,253}$)(?:(?!-)[A-Za-z0-9-]{1,63}(?<!-)\.)+[A-Za-z]{2,6}$", "abc.", "-.com"),
        (r"^(?!\s*$)[\s\S]+$", " ", " "),
        (r"^(?i:([a-z]+_)+)$", "a_", "!"),
        (r"^(?>[a-z]+)*+$", "a", "!"),
        (r"^(a)(\1)*$", "a", "!"),
        (r"^(?=.*\d)[a-z\d]{8,}$", "a", "!"),
    ],
)
def test_a_guard_refuses_a_text_of_any_length(pattern, letters, bad, length, monkeypatch):
    monkeypatch.setattr(schema, "quick_of", lambda _: lambda _: False)
    text = (letters * length)[: length - len(bad)] + bad
    assert search(pattern, text) is False
    assert len(violations({"properties": {"a": {"pattern": pattern}}}, {"a": text})) == 1


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
