"""search_files: places to cite."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestra.toolbox import Tool, ToolFailed, ToolRejected, load_tools

module = load_tools("search_files")


@pytest.fixture
def search(tmp_path: Path) -> Tool:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.md").write_text("Penguins live in the south.\nAdélie penguin, 3700 g\nvarious", encoding="utf-8")
    (tmp_path / "sub" / "b.txt").write_text("the STRASSE is long\nUS penguins", encoding="utf-8")
    (tmp_path / ".hidden").write_text("penguin", encoding="utf-8")
    (tmp_path / "binary").write_bytes(b"penguin\0")
    (tmp_path / "link.md").symlink_to("a.md")
    return module.search_files(tmp_path)


SKIPPED = "[1 files were skipped: no text, unreadable, or over 2,000,000 bytes]"


@pytest.mark.parametrize(
    ("query", "lines"),
    [
        (
            "penguin",
            ["a.md:1: Penguins live in the south.", "a.md:2: Adélie penguin, 3700 g", "sub/b.txt:2: US penguins"],
        ),
        ("south PENGUIN", ["a.md:1: Penguins live in the south."]),
        ("straße", ["sub/b.txt:1: the STRASSE is long"]),
        ("us", ["sub/b.txt:2: US penguins"]),
        ("ade\u0301lie", ["a.md:2: Adélie penguin, 3700 g"]),
        ("(south", []),
    ],
)
def test_words_are_found_where_all_of_them_begin(search: Tool, query: str, lines: list[str]) -> None:
    found = search(query).splitlines()
    assert [line for line in found if not line.startswith("[")] == lines


def test_where_no_line_holds_all_words_the_nearest_are_told_best_first(search: Tool) -> None:
    assert search("penguin 3700 zebra").splitlines() == [
        "a.md:2: Adélie penguin, 3700 g",
        "a.md:1: Penguins live in the south.",
        "sub/b.txt:2: US penguins",
        "[no line holds all 3 words; the nearest come first]",
        SKIPPED,
    ]
    assert search("zebra").splitlines() == [
        "[no line of 2 text files matches 'zebra'; try other or fewer words]",
        SKIPPED,
    ]


def test_rare_words_count_more_than_words_that_stand_everywhere(search: Tool, tmp_path: Path) -> None:
    lines = "what is in the box is of no use\n" * 30 + "zebras eat grass"
    (tmp_path / "common.txt").write_text(lines, encoding="utf-8")
    found = search("what is the number of zebras in the zoo").splitlines()
    assert found[0] == "common.txt:31: zebras eat grass"
    assert len(found) == module.NEAR + 2


def test_a_regular_expression_is_found(search: Tool) -> None:
    assert search(r"\d{4} g$", mode="regex").splitlines()[0] == "a.md:2: Adélie penguin, 3700 g"
    with pytest.raises(ToolRejected, match=r"is no regular expression"):
        search("(", mode="regex")


def test_a_part_of_the_folder_is_searched(search: Tool) -> None:
    assert search("penguin", path="sub") == "sub/b.txt:2: US penguins"
    assert search("penguin", path="sub/b.txt") == "sub/b.txt:2: US penguins"
    with pytest.raises(ToolFailed, match=r"there is no file 'sup'; did you mean sub/b.txt|it holds: "):
        search("penguin", path="sup")
    with pytest.raises(ToolRejected, match=r"lies outside"):
        search("penguin", path="..")


def test_many_hits_are_cut_and_counted(search: Tool, tmp_path: Path) -> None:
    (tmp_path / "many.txt").write_text("zebra\n" * 1_234, encoding="utf-8")
    found = search("zebra").splitlines()
    assert len([line for line in found if line.startswith("many.txt:")]) == 50
    assert found[50] == "[50 of 1,234 lines; narrow the search]"


def test_a_long_line_is_shown_around_the_hit(search: Tool, tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text(f"{'a ' * 2_000}zebra{' b' * 2_000}\nzebra{' c' * 500}\n", encoding="utf-8")
    middle, start, _ = search("zebra").splitlines()
    assert middle.startswith("long.txt:1: …a a")
    assert " zebra b" in middle
    assert middle.endswith("…")
    assert start.startswith("long.txt:2: zebra c")
    assert max(len(middle), len(start)) < 320


@pytest.mark.parametrize("query", ["", "  ", "x" * 501])
def test_a_query_has_a_length(search: Tool, query: str) -> None:
    with pytest.raises(ToolRejected, match=r"query has .* characters; give 1 to 500"):
        search(query)


@pytest.mark.parametrize(("limit", "value"), [("FILES", 1), ("BYTES", 5), ("SECONDS", -1.0)])
def test_the_search_is_bounded_and_says_so(
    search: Tool, limit: str, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, limit, value)
    assert "files were searched; name a folder in path]" in search("strasse")


def test_a_file_that_is_too_large_is_skipped(search: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FILE_BYTES", 40)
    assert "3700" not in search("penguin")
    assert "2 files were skipped" in search("penguin")


def test_it_changes_nothing(search: Tool) -> None:
    assert (search.name, search.read_only, search.idempotent) == ("search_files", True, True)
