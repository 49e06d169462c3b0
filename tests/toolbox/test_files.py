"""Finding ready tools: by path, in the project's folder, among the shipped ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestra.errors import ToolError
from orchestra.toolbox import Tool, load_tools

SOURCE = """from __future__ import annotations
from dataclasses import dataclass
from orchestra.toolbox import tool

@dataclass
class Row:
    x: int

@tool
def mine(row: Row) -> int:
    return row.x
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tools").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_tool_is_loaded_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "my tool.py").write_text(SOURCE)
    mine = load_tools(tmp_path / "my tool.py").mine
    assert isinstance(mine, Tool)
    assert mine.validate({"row": {"x": 1}}) == []


def test_the_projects_own_folder_comes_before_what_is_shipped(project: Path) -> None:
    assert isinstance(load_tools("calculator").calculator, Tool)
    (project / "tools" / "calculator.py").write_text(SOURCE)
    assert not hasattr(load_tools("calculator"), "calculator")


def test_an_unknown_name_is_told_with_its_nearest(project: Path) -> None:
    (project / "tools" / "weather.py").write_text(SOURCE)
    with pytest.raises(ToolError, match=r"'wether'; did you mean weather. known: calculator, describe_table, .*sqlite"):
        load_tools("wether")
    with pytest.raises(ToolError, match="no tool file 'zzz'; known: calculator"):
        load_tools("zzz")


def test_a_path_that_leads_nowhere_is_told(project: Path) -> None:
    with pytest.raises(ToolError, match=r"tools/nothing.py: there is no such tool file"):
        load_tools("tools/nothing.py")


@pytest.mark.parametrize("source", ["1/0", "def f(:", "import nowhere_at_all", "raise SystemExit"])
def test_a_file_that_does_not_run_is_told_with_its_error(project: Path, source: str) -> None:
    (project / "tools" / "broken.py").write_text(source)
    with pytest.raises(ToolError, match=r"broken\.py: (ZeroDivision|Syntax|ModuleNotFound|SystemExit)"):
        load_tools("broken")
