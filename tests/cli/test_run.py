import json
from pathlib import Path

import pytest

from orchestra.cli.run import KEYS
from orchestra.ledger import Ledger
from orchestra.testing import CallTool, Error, FakeProvider
from tests.cli.conftest import PLAN, Cli, serve

TASK = "How much does it rain in Oslo?"
ANSWER = "It rains 763 mm — für alle 雨"


def weather() -> FakeProvider:
    """A provider on which the task works out, with one bad tool call on the way."""
    calls = [CallTool("rain", town="Oslo"), CallTool("rain", city="Oslo")]
    return FakeProvider({"strong": PLAN, "small": [*calls, "763 mm", ANSWER]})


def odd(project: Path, body: str) -> None:
    """An agent `odd` whose graph does `body`."""
    graph = f"class Graph:\n    async def ainvoke(self, input, config=None):\n        {body}\n"
    (project / "agents" / "odd.py").write_text(f"{graph}\ndef build(app): return Graph()\n", encoding="utf-8")


def test_the_answer_stands_alone_on_stdout_and_the_progress_on_stderr(cli: Cli, project: Path) -> None:
    with weather() as provider:
        serve(project, provider)
        result = cli("run", "weather", TASK)
    assert (result.exit_code, result.stdout) == (0, ANSWER + "\n")
    told = result.stderr.splitlines()
    assert told[0] == "plan: running: Split the task into steps"
    assert "plan: 2 steps" in told
    assert "  s2: Say it — für alle (needs s1)" in told
    assert "s1: routed to small (efficient): rule 2 prefers it, place 1 of 1" in told
    assert "s1: small: schema_violation (rain: city: required, but not given) → repair" in told
    assert any(line.startswith("s1: done: small · 3 attempts · ") for line in told)
    assert any(line.startswith("orchestra trace ") for line in told)


def test_what_it_took_is_set_beside_the_alternatives(cli: Cli, project: Path) -> None:
    with weather() as provider:
        serve(project, provider)
        assert "strong" in cli("run", "weather", TASK).stderr.splitlines()[-2]


def test_json_is_one_object_and_nothing_else_is_said(cli: Cli, project: Path) -> None:
    with weather() as provider:
        serve(project, provider)
        result = cli("run", "weather", TASK, "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, result.stderr) == (0, "")
    assert (told["state"], told["answer"], told["reason"]) == ("done", ANSWER, "")
    assert [step["id"] for step in told["plan"]["steps"]] == ["s1", "s2"]
    assert told["comparison"]["actual"]["estimated"] is False
    assert set(told) == {*KEYS, "questions", "comparison"}


def test_mode_data_and_deadline_reach_the_run(cli: Cli, project: Path) -> None:
    with weather() as provider:
        serve(project, provider)
        cli("run", "weather", TASK, "--mode", "quality", "--data", "a.csv", "--deadline", "60", "--budget", "1")
        assert "data: a.csv" in json.dumps(provider.requests[0].body)
    book = Ledger(project / ".orchestra" / "ledger.db")
    (run,) = book.runs()
    book.close()
    assert run.mode == "quality"


def test_content_is_kept_only_where_it_is_asked_for(cli: Cli, project: Path) -> None:
    for flags, kept in ((), ""), (("--content",), ANSWER):
        with weather() as provider:
            serve(project, provider)
            cli("run", "weather", TASK, "--ledger", "own.db", *flags)
        told = json.loads(cli("trace", "--json", "--ledger", "own.db").stdout)
        assert told["answer"] == kept


def test_the_fleet_may_be_named(cli: Cli, project: Path) -> None:
    with weather() as provider:
        serve(project, provider)
        (project / "fleet.toml").rename(project / "other.toml")
        assert cli("run", "weather", TASK, "--fleet", "other.toml").exit_code == 0


def test_the_ledger_may_be_named_by_the_environment(cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRA_LEDGER", "named/here.db")
    with weather() as provider:
        serve(project, provider)
        cli("run", "weather", TASK)
    assert (project / "named" / "here.db").exists()
    assert not (project / ".orchestra").exists()


def test_a_run_that_the_models_fail_ends_with_1_and_the_reason_in_one_red_line(cli: Cli, project: Path) -> None:
    with FakeProvider({"strong": [PLAN, ""], "small": ""}) as provider:
        serve(project, provider)
        result = cli("run", "weather", TASK)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "error: step 's1' failed" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_failed_run_is_a_json_object_too(cli: Cli, project: Path) -> None:
    with FakeProvider({"strong": [PLAN, ""], "small": ""}) as provider:
        serve(project, provider)
        result = cli("run", "weather", TASK, "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["state"], told["answer"]) == (1, "failed", None)
    assert "s1" in told["reason"]


def test_a_budget_that_buys_no_step_ends_with_3(cli: Cli, project: Path) -> None:
    with weather() as provider:
        serve(project, provider)
        result = cli("run", "weather", TASK, "--budget", "0")
        assert provider.requests == []
    assert result.exit_code == 3
    assert "error:" in result.stderr


def test_a_name_that_nobody_knows_ends_with_2_before_anything_is_opened(cli: Cli, project: Path) -> None:
    result = cli("run", "wether", TASK)
    assert result.exit_code == 2
    assert "error: no agent 'wether'; did you mean 'weather'?" in result.stderr
    assert not (project / ".orchestra").exists()


def test_a_fleet_that_is_not_there_ends_with_2(cli: Cli) -> None:
    result = cli("run", "weather", TASK, "--fleet", "no.toml")
    assert result.exit_code == 2
    assert "no.toml: cannot be read" in result.stderr


def test_data_for_an_agent_that_takes_none_ends_with_2(cli: Cli, project: Path) -> None:
    odd(project, "return {}")
    result = cli("run", "odd", TASK, "--data", "x.csv")
    assert result.exit_code == 2
    assert "the options it takes: none" in result.stderr


def test_an_empty_task_ends_with_2(cli: Cli, project: Path) -> None:
    with weather() as provider:
        serve(project, provider)
        assert cli("run", "weather", "  ").exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "weather"), "task"),
        (("run", "weather", TASK, "--mode", "cheapest"), "cheapest"),
        (("run", "weather", TASK, "--budget", "-1"), "budget"),
        (("rnu",), "Did you mean 'run'"),
    ],
)
def test_a_wrong_command_line_ends_with_2(cli: Cli, arguments: tuple[str, ...], said: str) -> None:
    result = cli(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_an_interrupted_run_ends_with_130(cli: Cli, project: Path) -> None:
    odd(project, "raise KeyboardInterrupt")
    result = cli("run", "odd", TASK)
    assert (result.exit_code, result.stderr) == (130, "error: interrupted\n")


DONE = {
    "run": "r1",
    "state": "done",
    "answer": "yes",
    "reason": "",
    "plan": {"task": "t", "steps": [{"id": "s1", "goal": "g", "kind": "answer"}], "flags": ["single_step"]},
    "steps": {},
    "more": 1,
}
FAILED = {"run": "r1", "state": "failed", "answer": None, "reason": ""}


def test_an_agent_need_not_be_ours(cli: Cli, project: Path) -> None:
    odd(project, f"return {DONE}")
    assert cli("run", "odd", TASK).stdout == "yes\n"
    assert cli("plan", "odd", TASK).stdout == "flags: single_step\ns1  g  (answer)\n"
    assert json.loads(cli("plan", "odd", TASK, "--json").stdout) == {
        key: DONE[key] for key in ("run", "state", "reason", "plan")
    }
    told = json.loads(cli("run", "odd", TASK, "--json").stdout)
    assert told.pop("comparison")["findings"]
    assert told.pop("questions") == []
    assert told == dict.fromkeys(KEYS) | {key: value for key, value in DONE.items() if key != "more"}


@pytest.mark.parametrize(("command", "said"), [("run", "the run failed"), ("plan", "planning failed")])
def test_a_failure_without_a_reason_says_where_to_look(cli: Cli, project: Path, command: str, said: str) -> None:
    odd(project, f"return {FAILED}")
    result = cli(command, "odd", TASK)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {said}\norchestra trace r1 shows where")
    assert json.loads(cli(command, "odd", TASK, "--json").stdout)["state"] == "failed"


def test_a_failed_or_missing_tool_and_a_lost_connection_are_told(cli: Cli, project: Path) -> None:
    calls = [Error(500), CallTool("rain", city="Rome"), CallTool("rain", city="Oslo"), "763 mm"]
    with FakeProvider({"strong": PLAN, "small": calls}) as provider:
        serve(project, provider)
        told = cli("run", "weather", TASK).stderr
    assert "s1: small: server_error" in told
    assert "s1: rain: tool_error: " in told


def test_an_answer_cannot_drive_the_terminal(cli: Cli, project: Path) -> None:
    odd(project, r"return {'run': 'r', 'state': 'done', 'answer': '\x1b[2J\x9b1m\ud800[red]x[/red]\ttab\nline'}")
    assert cli("run", "odd", TASK).stdout == "\ufffd[2J\ufffd1m\ufffd[red]x[/red]\ttab\nline\n"


def test_on_a_terminal_the_plan_is_a_tree(cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "60")
    with weather() as provider:
        serve(project, provider)
        result = cli("run", "weather", TASK)
    last = result.stderr.rpartition("weather")[2]
    assert result.exit_code == 0
    assert "├── " in last
    assert "s2 done" in last
    assert "… " not in last
    assert "schema_violation" in last


def test_a_dumb_terminal_gets_plain_lines(cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    with weather() as provider:
        serve(project, provider)
        assert "├── " not in cli("run", "weather", TASK).stderr


def test_plan_shows_the_steps_and_runs_none(cli: Cli, project: Path) -> None:
    with weather() as provider:
        serve(project, provider)
        result = cli("plan", "weather", TASK)
        assert (provider.count("strong"), provider.count("small")) == (1, 0)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "s1  Rain in Oslo  (easy; tools: rain)\ns2  Say it — für alle  (easy; needs: s1)\n"


def test_plan_as_json_is_the_plan(cli: Cli, project: Path) -> None:
    with weather() as provider:
        serve(project, provider)
        told = json.loads(cli("plan", "weather", TASK, "--json").stdout)
    assert set(told) == {"run", "state", "reason", "plan"}
    assert told["plan"]["steps"][1]["needs"] == ["s1"]


def test_plan_says_how_the_plan_came_about(cli: Cli, project: Path) -> None:
    with FakeProvider({"strong": "no plan at all", "small": "x"}) as provider:
        serve(project, provider)
        assert cli("plan", "weather", TASK).stdout.splitlines()[0] == "flags: single_step"


def test_planning_that_no_model_serves_fails(cli: Cli, project: Path) -> None:
    with FakeProvider({"strong": Error(401), "small": Error(401)}) as provider:
        serve(project, provider)
        result = cli("plan", "weather", TASK)
    assert result.exit_code != 0
    assert "error: planning failed" in result.stderr
