import gzip
import json
from pathlib import Path

import pytest

from orchestra.cli import tool_check, tool_instances
from orchestra.dialects import CODECS, compile_tool
from orchestra.errors import ConfigError, ToolError
from orchestra.types import ToolSpec
from tests.cli.conftest import Cli

TEXT = {"type": "string"}
ROWS = {
    "name": "shop.rows",
    "description": "Run one SELECT",
    "schema": {"type": "object", "properties": {"sql": TEXT}, "required": ["sql"]},
}
NOW = {"name": "now", "description": "", "schema": {"type": "object", "properties": {}}}
SHOP = '''"""A shop."""

from orchestra import tool


@tool
def pay(amount: float) -> str:
    """Pay it."""
    return "paid"
'''


@pytest.fixture
def file(project: Path) -> Path:
    path = project / "tools.jsonl"
    path.write_text(f"{json.dumps(ROWS)}\n\n{json.dumps(NOW)}\n", "utf-8")
    return path


def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def compiled(tool: ToolSpec, dialect: str) -> object:
        if dialect == "cohere" and tool.name == "now":
            raise ToolError("no empty tools\nhere")
        return compile_tool(tool, dialect)

    monkeypatch.setattr(tool_check, "compile_tool", compiled)


def test_check_counts_tools_for_every_dialect_and_ends_with_0(cli: Cli, file: Path) -> None:
    result = cli("tools", "check", str(file))
    assert result.exit_code == 0, result.output
    head, *rows = [line.split() for line in result.stdout.splitlines()]
    assert head == [
        "dialect",
        *["compiled", "strict", "renamed", "raised", "narrowed", "widened", "roundtrip", "ambiguous"],
    ]
    assert [row[0] for row in rows[: len(CODECS)]] == list(CODECS)
    assert all(row[1] == "2" and row[3:] == ["1", *"00000"] for row in rows[: len(CODECS)])
    assert rows[len(CODECS)][:2] == ["2", "tools;"]
    assert result.stdout.splitlines()[-1].endswith("invalid; seed 0")


def test_check_as_json_for_some_dialects(cli: Cli, file: Path) -> None:
    result = cli("tools", "check", str(file), "--dialect", "gemini, cohere", "--seed", "4", "--json")
    told = json.loads(result.stdout)
    assert (told["tools"], told["seed"], told["unchecked"]) == (2, 4, [])
    assert all(told["instances"].values())
    assert list(told["dialects"]) == ["gemini", "cohere"]
    assert told["dialects"]["gemini"] == {
        "compiled": 2,
        "strict": 0,
        "renamed": 1,
        "raised": 0,
        "narrowed": 0,
        "widened": 0,
        "roundtrip": 0,
        "ambiguous": 0,
        "examples": [],
    }


def test_check_ends_with_1_where_anything_is_lost_and_shows_it(
    cli: Cli, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)
    result = cli("tools", "check", str(file))
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == "cohere: now: raised: error: ToolError: no empty tools here"
    told = json.loads(cli("tools", "check", str(file), "--json").stdout)
    assert told["dialects"]["cohere"]["examples"] == [
        {"tool": "now", "kind": "raised", "error": "ToolError: no empty tools\nhere"}
    ]


def test_check_says_which_tools_it_could_make_no_arguments_for(cli: Cli, project: Path) -> None:
    bad = NOW | {"schema": {"type": "object", "properties": {"a": False}, "required": ["a"]}}
    (project / "t.jsonl").write_text(json.dumps(bad), "utf-8")
    result = cli("tools", "check", "t.jsonl", "--dialect", "anthropic")
    assert result.exit_code == 0
    *_, counted, named = result.stdout.splitlines()
    assert counted == "1 tools were compiled and not checked:"
    assert named.startswith("  now: Unsatisfiable")


def test_check_ends_with_1_where_a_schema_is_not_valid_and_names_line_tool_and_place(cli: Cli, project: Path) -> None:
    bad = NOW | {"schema": {"type": "object", "properties": {"a": {"type": "Text"}}}}
    (project / "t.jsonl").write_text(f"{json.dumps(ROWS)}\n\n{json.dumps(bad)}\n{json.dumps(ROWS)}", "utf-8")
    result = cli("tools", "check", "t.jsonl", "--dialect", "anthropic")
    assert result.exit_code == 1
    fault = "at #/properties/a/type: 'Text' is no type"
    assert result.stdout.splitlines()[-1].startswith(f"t.jsonl:3: tool 'now': its schema is not valid {fault}")
    as_json = cli("tools", "check", "t.jsonl", "--dialect", "anthropic", "--json")
    assert as_json.exit_code == 1
    (told,) = json.loads(as_json.stdout)["faulty"]
    assert (told["at"], told["tool"], told["fault"][: len(fault)]) == ("t.jsonl:3", "now", fault)


def test_a_tool_may_be_without_a_description(cli: Cli, project: Path) -> None:
    (project / "t.jsonl").write_text(json.dumps({"name": "now", "schema": {"type": "object"}}), "utf-8")
    assert cli("tools", "check", "t.jsonl", "--dialect", "gemini").exit_code == 0
    shown = cli("tools", "show", "now", "--file", "t.jsonl", "--dialect", "gemini", "--json")
    assert "description" not in json.loads(shown.stdout)["dialects"]["gemini"]["declaration"]


@pytest.mark.parametrize("levels", [300, 5_000])
def test_a_tool_nested_however_deeply_is_shown_or_refused_in_words(cli: Cli, project: Path, levels: int) -> None:
    schema = '{"type": "object", "properties": {"a": ' * levels + "{}" + "}}" * levels
    (project / "t.jsonl").write_text(f'{{"name": "deep", "schema": {schema}}}', "utf-8")
    for command in (("show", "deep", "--file", "t.jsonl"), ("check", "t.jsonl", "--dialect", "gemini")):
        result = cli("tools", *command)
        assert isinstance(result.exception, SystemExit | None)
        told = result.stdout + result.stderr
        assert "nested" in told or "recursion depth" in told


def test_check_takes_a_sample_by_its_seed_from_a_gzipped_file_too(cli: Cli, project: Path) -> None:
    lines = "\n".join(json.dumps(NOW | {"name": f"tool {number}"}) for number in range(30))
    (project / "t.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    bad = ["tools", "check", "t.jsonl.gz", "--sample", "2", "--json", "--dialect", "mistral", "--seed"]
    assert [json.loads(cli(*bad, seed).stdout)["tools"] for seed in "12"] == [2, 2]
    assert cli(*bad, "1").stdout == cli(*bad, "1").stdout
    many = ["tools", "check", "t.jsonl.gz", "--sample", "99", "--json", "--dialect", "mistral"]
    assert json.loads(cli(*many).stdout)["tools"] == 30


def test_check_tells_on_stderr_how_far_it_is(cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestra.cli.tools.EVERY", 2)
    (project / "t.jsonl").write_text("\n".join(json.dumps(NOW) for _ in range(5)), "utf-8")
    assert cli("tools", "check", "t.jsonl", "--dialect", "mistral").stderr.splitlines() == ["2 of 5", "4 of 5"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "tools.jsonl: cannot be read: "),
        ("", "tools.jsonl: holds no tools; a line is {"),
        (f"{json.dumps(NOW)}\n{{", "tools.jsonl:2: no JSON: "),
        ("\n[1]", "tools.jsonl:2: no object; a line is {"),
        ('{"name": "now"}', "tools.jsonl:1: without schema; a line is {"),
        (
            '{"name": "", "description": "", "schema": {}}',
            "tools.jsonl:1: name and description must be texts",
        ),
        (
            '{"name": "a", "description": 1, "schema": {}}',
            "tools.jsonl:1: name and description must be texts",
        ),
        ('{"name": "a", "description": "", "schema": true}', "tools.jsonl:1: name and description must be"),
    ],
)
def test_a_wrong_file_ends_with_2_and_names_the_line(cli: Cli, project: Path, text: str | None, said: str) -> None:
    if text is not None:
        (project / "tools.jsonl").write_text(text, "utf-8")
    result = cli("tools", "check", "tools.jsonl")
    assert result.exit_code == 2
    assert f"error: {said}" in result.stderr


def test_a_file_that_is_no_text_ends_with_2(cli: Cli, project: Path) -> None:
    (project / "t.jsonl").write_bytes(b"\xff\xfe")
    (project / "t.gz").write_bytes(gzip.compress(b"{}")[:9])
    assert cli("tools", "check", "t.jsonl").exit_code == cli("tools", "check", "t.gz").exit_code == 2


def test_an_unknown_dialect_or_a_missing_extra_ends_with_2(
    cli: Cli, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = cli("tools", "check", str(file), "--dialect", "openai")
    assert (result.exit_code, "did you mean 'openai-chat'?" in result.stderr) == (2, True)

    def missing() -> None:
        raise ConfigError("install it")

    monkeypatch.setattr(tool_instances, "ready", missing)
    assert cli("tools", "check", str(file)).exit_code == 2


def test_show_tells_name_strictness_losses_and_the_declaration(cli: Cli, file: Path) -> None:
    result = cli("tools", "show", "shop.rows", "--file", str(file), "--dialect", "gemini")
    assert result.exit_code == 0
    facts, _, declaration = result.stdout.partition("{")
    assert [line.split(maxsplit=1) for line in facts.splitlines()] == [
        ["dialect", "gemini"],
        ["name", "shop.rows → shop_rows"],
        ["strict", "no: Gemini generateContent enforces no schemas of tools"],
    ]
    assert json.loads("{" + declaration)["parametersJsonSchema"]["required"] == ["sql"]


def test_show_names_what_is_lost(cli: Cli, project: Path) -> None:
    lost = NOW | {"schema": {"type": "object", "properties": {"a": {"$ref": "https://example.com/x"}}}}
    (project / "t.jsonl").write_text(json.dumps(lost), "utf-8")
    result = cli("tools", "show", "now", "--file", "t.jsonl", "--dialect", "anthropic")
    assert any(line.startswith("lost    #/properties/a") for line in result.stdout.splitlines()), result.stdout


def test_show_as_json_in_every_dialect(cli: Cli) -> None:
    told = json.loads(cli("tools", "show", "calculator", "--json").stdout)
    assert told["tool"] == "calculator"
    assert list(told["dialects"]) == list(CODECS)
    one = told["dialects"]["anthropic"]
    assert one.keys() == {"name", "strict", "lenient", "losses", "declaration"}
    assert (one["name"], one["strict"], one["declaration"]["strict"]) == ("calculator", True, True)


def test_show_knows_the_tools_of_the_project_each_by_its_file_and_name(cli: Cli, project: Path) -> None:
    (project / "tools").mkdir()
    (project / "tools" / "shop.py").write_text(SHOP, "utf-8")
    told = json.loads(cli("tools", "show", "shop:pay", "--json").stdout)
    assert told["tool"] == "pay"
    told = json.loads(cli("tools", "show", str(project / "tools" / "shop.py") + ":pay", "--json").stdout)
    assert told["tool"] == "pay"
    result = cli("tools", "show", "shop")
    assert result.exit_code == 2
    assert "shop.py has no tool named 'shop'; its tools: shop:pay" in result.stderr


def test_show_makes_a_tool_for_its_data(cli: Cli, project: Path) -> None:
    (project / "sales.csv").write_text("region,amount\nnorth,1\n", "utf-8")
    told = cli("tools", "show", "sqlite_query", "--data", "sales.csv", "--dialect", "cohere").stdout
    assert "Table sales (1 rows)" in told or "Table sales (1 row)" in told
    assert json.loads(cli("tools", "show", "read_file", "--data", ".", "--json").stdout)["tool"] == "read_file"
    assert cli("tools", "show", "python_run").exit_code == 0
    result = cli("tools", "show", "sqlite_query")
    assert (result.exit_code, "name its `data` with --data" in result.stderr) == (2, True)


def test_show_names_the_nearest_tool_of_a_file(cli: Cli, file: Path) -> None:
    result = cli("tools", "show", "shop_rows", "--file", str(file))
    assert result.exit_code == 2
    assert "has no tool 'shop_rows' among its 2; did you mean 'shop.rows'?" in result.stderr
    assert "did you mean" not in cli("tools", "show", "zzzz", "--file", str(file)).stderr
