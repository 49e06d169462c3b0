"""What users import: the names, that all of them are there, and that importing them costs next to nothing."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path
from typing import ClassVar, Literal, get_args, get_type_hints

import pytest

import orchestra
from orchestra.ledger.events import Event
from orchestra.types import Part, StreamEvent

NAMES = [
    "Action",
    "BudgetExceeded",
    "ContextPolicy",
    "DeadlineExceeded",
    "Decision",
    "Exhausted",
    "Fleet",
    "Message",
    "NoCandidate",
    "Orchestra",
    "OrchestraError",
    "Plan",
    "Policy",
    "RecoveryPolicy",
    "Reply",
    "Step",
    "StepContext",
    "StepPolicy",
    "StreamCut",
    "Tool",
    "ToolRejected",
    "Trigger",
    "compile_tool",
    "tool",
]
HEAVY = (
    "langgraph",
    "langchain_core",
    "httpx",
    "aiohttp",
    "mcp",
    "pydantic",
    "numpy",
    "jsonschema",
    "rich",
    "xllamacpp",
)


def for_type_checkers() -> dict[str, str]:
    """The names imported under TYPE_CHECKING with the room each comes from."""
    tree = ast.parse(Path(orchestra.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If) and isinstance(node.test, ast.Name)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: (node.module or "").removeprefix("orchestra.") for node in imports for alias in node.names}


def loaded_after(*arguments: str) -> set[str]:
    """The heavy packages a fresh Python has loaded after `arguments`, which must succeed."""
    ran = subprocess.run([sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines() if line.startswith("import time:")}
    assert "orchestra" in imported
    return {name for name in HEAVY if name in imported}


def test_the_exported_names_are_these_and_no_others():
    assert orchestra.__all__ == NAMES
    assert dir(orchestra) == sorted(NAMES)
    assert list(orchestra._HOMES) == NAMES


def test_type_checkers_see_the_names_where_they_are_found_when_running():
    assert for_type_checkers() == orchestra._HOMES


def test_the_package_says_that_its_types_may_be_used():
    assert (Path(orchestra.__file__).parent / "py.typed").is_file()


@pytest.mark.parametrize("kind", [*get_args(StreamEvent), *get_args(Part), *get_args(Event)])
def test_a_type_checker_tells_values_of_a_union_apart_by_their_type(kind):
    assert get_type_hints(kind)["type"] == ClassVar[Literal[kind.type]]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_can_be_imported_and_is_the_one_of_its_room(name):
    room = importlib.import_module(f"orchestra.{orchestra._HOMES[name]}")
    assert getattr(orchestra, name) is getattr(room, name)


def test_a_name_that_is_not_there_says_so():
    with pytest.raises(AttributeError, match="module 'orchestra' has no attribute 'Orchestar'"):
        _ = orchestra.Orchestar


@pytest.mark.parametrize(
    "arguments",
    [
        ("-c", "import orchestra"),
        ("-c", "from orchestra import tool, Tool, StepPolicy, RecoveryPolicy, ContextPolicy, Orchestra, Fleet"),
        ("-m", "orchestra.cli", "--help"),
    ],
    ids=["import", "names", "help"],
)
def test_a_light_beginning_loads_nothing_heavy(arguments):
    assert loaded_after(*arguments) - ({"rich"} if "--help" in arguments else set()) == set()
