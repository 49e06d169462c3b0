"""A web page as text to read."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestra.toolbox import ToolFailed
from orchestra.toolbox.html import readable_text

PAGE = """<!doctype html><html><head><title>Prices &amp; more</title><style>p {color: red}</style>
<script>if (a < b) { alert("<p>no</p>") }</script></head>
<body><nav><a href="/">Home</a></nav><h1>Prices</h1><p>An <b>apple</b>
costs&nbsp;2&euro;.</p><ul><li>one<li>two</ul><table><tr><th>Name<th>Price<tr><td>Pear</td><td>3</td></tr></table>
<noscript>Turn it on</noscript><svg><text>drawn</text></svg><p></p><p>end"""


def test_blocks_become_lines_and_nothing_silent_is_heard() -> None:
    assert readable_text(PAGE).splitlines() == [
        "Prices & more",
        "Home",
        "# Prices",
        "An apple costs 2€.",
        "- one",
        "- two",
        "Name | Price",
        "Pear | 3",
        "end",
    ]


def test_text_without_tags_is_itself() -> None:
    assert readable_text("just text") == "just text"
    assert readable_text("") == ""


def test_a_marked_section_is_a_comment() -> None:
    assert readable_text("<p>one<![if !IE]>two<![endif]></p><![CDATA[three]]>four") == "onetwo\nfour"


MARKUP = st.lists(st.sampled_from(["<", ">", "!", "[", "]", "--", "/", "p", "A", "CDATA", "doctype", "&#", " ", '"']))


@given(st.one_of(st.text(), MARKUP.map("".join)))
@example("<![")
@example("<![A")
def test_no_page_is_too_broken(page: str) -> None:
    assert "<script>" not in readable_text(f"<p>{page}</p>".replace("<script>", ""))


@pytest.mark.parametrize("endless", ["<!--", "<a ", "<a b=c ", "</", "<?", "<p", '<a b="'])
def test_a_page_of_tags_without_ends_is_given_up_in_time(endless: str) -> None:
    with pytest.raises(ToolFailed, match="its tags have no ends"):
        readable_text(endless * 100_000, seconds=0.05)


def test_a_page_that_waits_for_its_turn_among_others_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    hours = itertools.count(step=3600.0)
    monkeypatch.setattr(time, "monotonic", lambda: next(hours))
    assert readable_text("<p>a<p>b") == "a\nb"
