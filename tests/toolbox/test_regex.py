"""A stranger's regular expression, in a process that can be stopped."""

from __future__ import annotations

import pytest

from orchestra.toolbox import ToolRejected
from orchestra.toolbox.regex import search


def test_lines_that_match_are_found_with_the_place_in_them() -> None:
    assert search(r"gr(ü|ue)n\b", [["nothing", "x GRÜN"], [], ["gruen", "grünlich"]]) == [[(1, 2)], [], [(0, 0)]]


@pytest.mark.parametrize("pattern", ["(", "[z-a]", "(?P<a>x)(?P<a>y)", "(" * 5_000 + ")" * 5_000, "a{99999999999999}"])
def test_what_is_no_regular_expression_is_told(pattern: str) -> None:
    with pytest.raises(ToolRejected, match=r"is no regular expression: .*; or search for words instead"):
        search(pattern, [["x"]])


def test_a_pattern_that_does_not_finish_is_stopped() -> None:
    with pytest.raises(
        ToolRejected, match=r"took more than 1 seconds; write a simpler pattern, without nested repeats"
    ):
        search("(a+)+$", [["a" * 50 + "!"]], seconds=1)


def test_a_process_that_breaks_off_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestra.toolbox.regex._PROGRAM", "raise SystemExit(1)")
    with pytest.raises(ToolRejected, match=r"'x' needs too much memory; write a simpler pattern"):
        search("x", [["x"]])


def test_lone_surrogates_are_no_trouble() -> None:
    assert search("\ud800", [["a\ud800"]]) == [[(0, 1)]]
