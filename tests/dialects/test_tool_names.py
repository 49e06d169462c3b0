import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.dialects.tool_names import CALL_IDS, TOOL_NAMES, Spelling, wire_names
from orchestra.dialects.tool_schema import compile_tools
from orchestra.errors import ToolError
from orchestra.types import ToolSpec

NAMES = st.lists(
    st.one_of(
        st.text(max_size=80),
        st.text("a._-", max_size=4),
        st.sampled_from(["a.b", "a_b", "a/b", "x" * 64, "x" * 65, "日本", "", "é", "__"]),
    ),
    max_size=12,
)


@given(names=NAMES, history=NAMES, limit=st.sampled_from([CALL_IDS.limit, TOOL_NAMES.limit]))
@settings(deadline=None)
def test_names_are_mapped_one_to_one_into_the_pattern(names, history, limit):
    mapped = wire_names(names, spelling=Spelling(limit=limit))
    extended = wire_names(history, known=mapped, spelling=Spelling(limit=limit))
    assert set(extended) == set(names) | set(history)
    assert len(set(extended.values())) == len(extended)
    assert all(re.fullmatch(rf"[A-Za-z0-9_-]{{1,{limit}}}", spelled) for spelled in extended.values())
    assert extended | mapped == extended


@given(names=NAMES)
@settings(deadline=None)
def test_names_that_fit_stay_as_they_are(names):
    mapped = wire_names(names)
    assert all(mapped[name] == name for name in names if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name))


def test_a_dotted_name_stays_readable():
    assert wire_names(["shop.cart.add"]) == {"shop.cart.add": "shop_cart_add"}


def test_a_name_that_fits_keeps_its_spelling_against_one_that_would_turn_into_it():
    mapped = wire_names(["a.b", "a_b"])
    assert mapped["a_b"] == "a_b"
    assert re.fullmatch(r"a_b_[0-9a-f]{8}", mapped["a.b"])


def test_a_name_of_history_never_takes_the_spelling_of_a_declared_tool():
    mapped = wire_names(["a_b"], known=wire_names(["a.b"]))
    assert mapped["a.b"] == "a_b"
    assert mapped["a_b"] != "a_b"


def test_two_tools_of_one_name_are_refused_and_one_given_twice_is_not():
    first, second = (ToolSpec("t", about, {"type": "object"}) for about in ("a", "b"))
    with pytest.raises(ToolError, match="two tools are named 't'"):
        compile_tools([first, second])
    assert list(compile_tools([first, first])) == ["t"]
