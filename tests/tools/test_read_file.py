"""read_file: numbered lines to cite."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestra.errors import ToolError
from orchestra.toolbox import Tool, ToolFailed, ToolRejected, execute, load_tools
from orchestra.types import Text, ToolCall, Trigger

module = load_tools("read_file")


@pytest.fixture
def read(tmp_path: Path) -> Tool:
    (tmp_path / "a.txt").write_text("one\nzwei ü\n\nvier\n", encoding="utf-8")
    (tmp_path / "long.txt").write_text("\n".join(f"line {i}" for i in range(1, 1_001)), encoding="utf-8")
    (tmp_path / "wide.txt").write_text("\n".join("x" * 5_000 for _ in range(20)), encoding="utf-8")
    (tmp_path / "empty.txt").touch()
    (tmp_path / "binary").write_bytes(b"\0\1")
    return module.read_file(tmp_path)


def test_lines_come_with_their_numbers(read: Tool) -> None:
    assert read("a.txt") == "1: one\n2: zwei ü\n3: \n4: vier"
    assert read("a.txt", start=2, end=3) == "2: zwei ü\n3: \n[lines 2-3 of 4; for more, read on with start=4]"
    assert read("a.txt", start=4, end=99) == "4: vier"
    assert read("empty.txt") == "[empty.txt is empty]"


def test_what_does_not_fit_is_said_with_where_to_read_on(read: Tool) -> None:
    first = read("long.txt")
    assert first.splitlines()[-2:] == ["400: line 400", "[lines 1-400 of 1,000; for more, read on with start=401]"]
    assert read("long.txt", start=801).splitlines()[-1] == "1000: line 1000"
    wide = read("wide.txt")
    assert wide.splitlines()[0] == f"1: {'x' * 1_000} [4,000 more characters]"
    assert wide.endswith("[lines 1-8 of 20; for more, read on with start=9]")
    assert len(wide) < read.max_result


@pytest.mark.parametrize(
    ("path", "start", "end", "told"),
    [
        ("a.txt", 0, None, "start is 0; 'a.txt' has lines 1 to 4"),
        ("long.txt", 1_001, None, "start is 1001; 'long.txt' has lines 1 to 1,000"),
        ("a.txt", 3, 2, "end is 2, before start, which is 3"),
        ("binary", 1, None, "'binary' is no text file"),
        ("b.txt", 1, None, "there is no file 'b.txt'; did you mean a.txt"),
        ("../a.txt", 1, None, "'../a.txt' lies outside the folder"),
    ],
)
def test_what_cannot_be_read_is_told(read: Tool, path: str, start: int, end: int | None, told: str) -> None:
    with pytest.raises((ToolFailed, ToolRejected)) as error:
        read(path, start, end)
    assert str(error.value).startswith(told)


async def test_a_model_may_call_it_again_and_reads_its_mistakes(read: Tool) -> None:
    assert (read.name, read.read_only, read.idempotent) == ("read_file", True, True)
    outcome = await execute(read, ToolCall("1", "read_file", {"path": "/etc/passwd"}))
    (part,) = outcome.result.content
    assert outcome.trigger is Trigger.tool_rejected
    assert isinstance(part, Text)
    assert "root:" not in part.text


def test_a_file_that_is_too_large_is_refused(read: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BYTES", 10)
    with pytest.raises(ToolFailed, match="bytes; 10 at most can be read"):
        read("a.txt")


def test_no_folder_is_no_tool(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="is no folder"):
        module.read_file(tmp_path / "nowhere")
