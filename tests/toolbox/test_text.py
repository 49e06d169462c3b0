"""Bytes as lines, whatever their encoding."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.toolbox.text import lines_of


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encodings_are_known_by_their_marks(encoding: str) -> None:
    assert lines_of("grün\n字 🔑".encode(encoding)) == ["grün", "字 🔑"]


def test_what_is_not_utf8_is_windows_1252() -> None:
    assert lines_of("grün € x".encode("cp1252")) == ["grün € x"]
    assert lines_of(b"\x81\xff") == ["�ÿ"]
    assert lines_of("ab".encode("utf-16")[:-1]) == ["a�"]


@pytest.mark.parametrize("data", [b"\x7fELF\0\0", b"a\0", b"%PDF-1.7\nno zero byte"])
def test_what_is_no_text_is_none(data: bytes) -> None:
    assert lines_of(data) is None


def test_lines_end_as_editors_count_them() -> None:
    assert lines_of(b"") == []
    assert lines_of(b"\n") == [""]
    assert lines_of(b"a\r\nb\rc\nd\x0ce\xe2\x80\xa8f") == ["a", "b", "c", "d\x0ce\u2028f"]
    assert lines_of(b"a\n\n") == ["a", ""]


@given(st.lists(st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"])), min_size=1))
def test_lines_come_back_as_they_were_joined(lines: list[str]) -> None:
    if not lines[0].startswith(("\ufeff", "%PDF-")):
        assert lines_of(("\n".join(lines) + "\n").encode()) == lines
