"""Runs that stop, by a question, a failure or a person, and the command lines that go on with them."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from orchestra import Orchestra
from orchestra.cli.live import watching
from orchestra.ledger import Invoked, Ledger, Row, RunResumed, StepStarted, ToolStarted
from orchestra.testing import FakeProvider
from tests.cli.conftest import POST, Cli, clerk, plan_of, post, serve

TASK = "Write to Åse"


@pytest.fixture
def waiting(cli: Cli, project: Path) -> str:
    """A run that waits for leave to send."""
    with post(project, "send"):
        cli("run", "post", TASK)
    return last(cli)["run"]


def last(cli: Cli, *arguments: str) -> dict[str, Any]:
    """The latest run, as `orchestra runs` tells it."""
    return json.loads(cli("runs", "--json", "--limit", "1", *arguments).stdout)["runs"][0]


def asked(result: Result) -> dict[str, str]:
    """The open questions of a run's JSON: their ids, by step."""
    return {one["step"]: one["question"] for one in json.loads(result.stdout)["questions"]}


def sent(project: Path) -> list[str]:
    """Who got a letter."""
    file = project / "sent.txt"
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def of(cli_ledger: Path, run: str, kind: type) -> list[Any]:
    """The run's events of one kind."""
    book = Ledger(cli_ledger)
    try:
        return [row.event for row in book.events(run) if isinstance(row.event, kind)]
    finally:
        book.close()


def typing(monkeypatch: pytest.MonkeyPatch, *lines: Any) -> list[Any]:
    """A person at the keyboard, who types these lines; what they have not typed yet."""
    left = list(lines)

    def typed() -> str:
        line = left.pop(0)
        if isinstance(line, str):
            return line
        raise line

    monkeypatch.setattr("orchestra.cli.run.at_keyboard", lambda: True)
    monkeypatch.setattr("builtins.input", typed)
    return left


def test_where_nobody_is_there_the_command_ends_with_4_and_says_what_is_asked_and_the_command_that_answers(
    cli: Cli, project: Path
) -> None:
    with post(project, "send"):
        result = cli("run", "post", TASK)
        assert (result.exit_code, result.stdout, sent(project)) == (4, "", [])
        told = result.stderr.splitlines()
        at = told.index("s1 (Use send): may send be called with these arguments?")
        assert told[at + 1] == '  send {"to": "Åse"}'
        answered = cli(*shlex.split(told[at + 2].removeprefix("  to answer: orchestra ")))
    assert (answered.exit_code, answered.stdout, sent(project)) == (0, "Done: sent to Åse\n", ["Åse"])
    assert "s1: answered: approve" in answered.stderr


def test_the_command_that_answers_names_the_ledger_where_one_was_named(cli: Cli, project: Path) -> None:
    with post(project, "send"):
        told = cli("run", "post", TASK, "--ledger", "my own.db").stderr.splitlines()
        (way,) = [line for line in told if line.startswith("  to answer: ")]
        assert cli(*shlex.split(way.removeprefix("  to answer: orchestra "))).stdout == "Done: sent to Åse\n"


def test_a_waiting_run_is_shown_as_one(cli: Cli, waiting: str) -> None:
    assert cli("runs").stdout.splitlines()[1].split()[:3] == [waiting, "post", "waiting"]
    assert (last(cli)["state"], last(cli)["waiting"]) == ("interrupted", 1)
    told = cli("trace").stdout
    assert "waits for a person: 1 question open" in told
    assert "asked a person about send (approval) [open]" in told


def test_a_waiting_run_asks_again_when_it_is_resumed_by_the_beginning_of_its_id(
    cli: Cli, project: Path, waiting: str
) -> None:
    result = cli("run", "--resume", waiting[:10])
    assert result.exit_code == 4
    assert f"run {waiting} waits for a person" in result.stderr
    assert sent(project) == []


def test_as_json_a_waiting_run_is_one_object_with_its_questions(cli: Cli, project: Path) -> None:
    with post(project, "send", "ask_human"):
        first = cli("run", "post", TASK, "--json")
        again = cli("run", "--resume", last(cli)["run"], "--json")
    assert (first.exit_code, first.stderr) == (again.exit_code, again.stderr) == (4, "")
    told = json.loads(again.stdout)
    assert (told["state"], told["answer"]) == ("interrupted", None)
    assert told["questions"] == json.loads(first.stdout)["questions"]
    assert [(one["kind"], one["decisions"]) for one in told["questions"]] == [
        ("approval", ["approve", "edit", "reject"]),
        ("question", ["answer"]),
    ]


def test_several_questions_are_answered_one_by_one_or_together(cli: Cli, project: Path) -> None:
    with post(project, "send", "look", "ask_human"):
        ids = asked(cli("run", "post", TASK, "--json"))
        run = last(cli)["run"]
        left = cli("run", "--resume", run, "--json", "--answer", f"{ids['s2']}=y")
        assert asked(left) == {"s1": ids["s1"], "s3": ids["s3"]}
        both = ("--answer", f"{ids['s1']}=n too late", "--answer", f"{ids['s3']}=To Åse, 雨")
        done = json.loads(cli("run", "--resume", run, "--json", *both).stdout)
    assert (done["state"], done["questions"], sent(project)) == ("done", [], [])
    assert done["steps"]["s1"]["text"] == "Done: Error: a person refused this call: too late; do not make it again"
    assert done["steps"]["s3"]["text"] == "Done: To Åse, 雨"


def test_edited_arguments_are_what_is_sent(cli: Cli, project: Path, waiting: str) -> None:
    with post(project, "send"):
        (question,) = asked(cli("run", "--resume", waiting, "--json")).values()
        result = cli("run", "--resume", waiting, "--answer", question + '={"to": "Bø"}')
    assert (result.exit_code, sent(project)) == (0, ["Bø"])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("perhaps", "'perhaps' is no decision here; decide one of: approve, edit, reject"),
        ('{"whom": "x"}', "the edited arguments do not fit send: "),
    ],
)
def test_an_answer_that_cannot_be_read_is_asked_again_with_what_is_wrong(
    answer: str, said: str, cli: Cli, project: Path, waiting: str
) -> None:
    (question,) = asked(cli("run", "--resume", waiting, "--json")).values()
    result = cli("run", "--resume", waiting, "--answer", f"{question}={answer}")
    assert result.exit_code == 4
    assert f"  not understood: {said}" in result.stderr
    told = json.loads(cli("run", "--resume", waiting, "--answer", f"{question}={answer}", "--json").stdout)
    assert told["questions"][0]["error"].startswith(said)
    with post(project, "send"):
        assert cli("run", "--resume", waiting, "--answer", f"{question}=y").exit_code == 0
    assert sent(project) == ["Åse"]


def test_an_answer_to_what_was_never_asked_ends_with_2_before_the_run_goes_on(cli: Cli, waiting: str) -> None:
    (question,) = asked(cli("run", "--resume", waiting, "--json")).values()
    before = cli("trace", waiting, "--json").stdout
    result = cli("run", "--resume", waiting, "--answer", f"{question}x=y")
    assert result.exit_code == 2
    near = f"did you mean {question!r}? pending: {question}"
    assert f"run {waiting} has not asked '{question}x'; {near}" in result.stderr
    assert "did you mean" not in cli("run", "--resume", waiting, "--answer", "?=y").stderr
    assert cli("trace", waiting, "--json").stdout == before


def test_an_answer_that_is_no_json_ends_with_2_and_can_be_given_again(cli: Cli, waiting: str) -> None:
    (question,) = asked(cli("run", "--resume", waiting, "--json")).values()
    result = cli("run", "--resume", waiting, "--answer", question + '={"to": }')
    assert result.exit_code == 2
    assert "are not JSON" in result.stderr
    assert asked(cli("run", "--resume", waiting, "--json")) == {"s1": question}


def test_a_question_is_answered_once(cli: Cli, project: Path, waiting: str) -> None:
    (question,) = asked(cli("run", "--resume", waiting, "--json")).values()
    with post(project, "send"):
        cli("run", "--resume", waiting, "--answer", f"{question}=y")
        again = cli("run", "--resume", waiting, "--answer", f"{question}=n")
    assert again.exit_code == 2
    assert f"no pending question {question!r}; pending: none" in again.stderr
    assert sent(project) == ["Åse"]


def test_yes_approves_look_ups_and_leaves_acts_to_a_person(cli: Cli, project: Path) -> None:
    with post(project, "look", "send"):
        result = cli("run", "post", TASK, "--yes", "--json")
        assert list(asked(result)) == ["s2"]
    with post(project, "look"):
        result = cli("run", "post", TASK, "--yes")
    assert result.stdout == "Done: address of Åse\n"
    assert "s1: answered: approve: approved by --yes: read-only" in result.stderr
    assert sent(project) == []


def test_at_the_keyboard_a_run_goes_on_to_its_end_in_one_command(
    cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = typing(monkeypatch, '{"to": ', "perhaps", '{"to": "Bø"}')
    with post(project, "send"):
        result = cli("run", "post", TASK)
    assert (result.exit_code, result.stdout, sent(project), left) == (
        0,
        'Done: (a person changed the arguments to {"to": "Bø"})\nsent to Bø\n',
        ["Bø"],
        [],
    )
    told = result.stderr.splitlines()
    assert result.stderr.count("s1 (Use send): may send be called with these arguments?") == 2
    assert "  not understood: 'perhaps' is no decision here; decide one of: approve, edit, reject" in told
    assert len([line for line in told if line.startswith("plan: running")]) == 1  # what was told is not told again


def test_what_a_person_leaves_for_later_can_be_answered_another_day(
    cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = typing(monkeypatch, "", "the usual", EOFError(), "y")
    with post(project, "send", "ask_human"):
        assert cli("run", "post", TASK).exit_code == 4
        run = last(cli)["run"]
        assert cli("run", "--resume", run).exit_code == 4
        assert cli("run", "--resume", run).exit_code == 0
    assert (left, sent(project)) == ([], ["Åse"])


def test_with_json_nobody_is_asked_at_the_keyboard(cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    typing(monkeypatch)
    with post(project, "send"):
        assert cli("run", "post", TASK, "--json").exit_code == 4


def test_ctrl_c_at_a_question_ends_with_130_and_the_command_that_goes_on(
    cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typing(monkeypatch, KeyboardInterrupt(), "y")
    with post(project, "send"):
        result = cli("run", "post", TASK)
        run = last(cli)["run"]
        assert result.exit_code == 130
        assert result.stderr.endswith(f"error: interrupted\norchestra run --resume {run} goes on\n")
        assert cli("run", "--resume", run).exit_code == 0
    assert sent(project) == ["Åse"]


def test_on_a_terminal_what_was_done_before_a_question_stays_in_the_picture(
    cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    colours(monkeypatch)
    typing(monkeypatch, "y")
    with post(project, "send"):
        told = cli("run", "post", TASK).stderr
    before, _, after = told.partition("may send be called")
    assert "s1 asking" in before
    assert "\x1b[?25h" in before[before.rindex("s1 asking") :]  # the cursor is back before a person types
    last_tree = after[after.rindex("post ") :]
    assert all(line in last_tree for line in ("plan done", "s1 done", "Use send"))


def test_on_a_terminal_what_another_process_did_is_in_the_picture(
    cli: Cli, waiting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    colours(monkeypatch)
    told = cli("run", "--resume", waiting).stderr
    assert all(line in told for line in ("plan done", "s1 asking", "Use send"))


def test_until_a_run_goes_on_its_clock_stands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    colours(monkeypatch)
    with watching("t", [Row(1, "r", "s", 1.0, StepStarted("find", "act"))]):
        pass
    assert "s running" in (told := capsys.readouterr().err)
    assert "  0.0 s" in told


def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal on which the tree is drawn."""
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": "100"}.items():
        monkeypatch.setenv(name, value)


def test_a_run_that_is_done_gives_its_answer_again_and_does_nothing(cli: Cli, project: Path, waiting: str) -> None:
    (question,) = asked(cli("run", "--resume", waiting, "--json")).values()
    with post(project, "send") as provider:
        cli("run", "--resume", waiting, "--answer", f"{question}=y")
        asked_models = len(provider.requests)
        again = cli("run", "--resume", waiting)
        as_json = json.loads(cli("run", "--resume", waiting, "--json").stdout)
        assert len(provider.requests) == asked_models
    assert (again.exit_code, again.stdout) == (0, "Done: sent to Åse\n")
    assert (as_json["state"], as_json["answer"], as_json["questions"]) == ("done", "Done: sent to Åse", [])
    assert sent(project) == ["Åse"]


def test_a_run_that_failed_tries_what_failed_again(cli: Cli, project: Path) -> None:
    with FakeProvider({"strong": [plan_of("look"), ""], "small": ""}) as provider:
        serve(project, provider)
        failed = cli("run", "post", TASK, "--yes")
        run = last(cli)["run"]
        assert failed.exit_code == 1
        assert f"orchestra run --resume {run} tries what failed again" in failed.stderr
    with post(project, "look"):
        result = cli("run", "--resume", run, "--yes")
    assert (result.exit_code, result.stdout) == (0, "Done: address of Åse\n")
    assert "Split the task" not in result.stderr  # the plan is kept


def test_what_is_known_of_a_run_that_failed_is_told_beside_the_reason(cli: Cli, project: Path) -> None:
    def mute(body: Any) -> Any:
        return "" if "'name': 'send'" in str(body.get("tools")) else clerk(body)

    with FakeProvider({"strong": [plan_of("look", "send"), ""], "small": mute}) as provider:
        serve(project, provider)
        result = cli("run", "post", TASK, "--yes")
    assert (result.exit_code, result.stdout) == (1, "")
    known = "Known:\n- s1 (Use look): Done: address of Åse\nMissing:\n- s2 (Use send): "
    assert known in result.stderr


def test_a_budget_is_kept_by_a_resume_until_it_is_given_another(cli: Cli, project: Path) -> None:
    with post(project, "ask_human"):
        (question,) = asked(cli("run", "post", TASK, "--json", "--budget", "0.000001")).items()
        run, (step, name) = last(cli)["run"], question
        assert (step, name) == ("plan", "budget.1e-06")
        assert list(asked(cli("run", "--resume", run, "--json"))) == ["plan"]
        assert list(asked(cli("run", "--resume", run, "--json", "--answer", f"{name}=1"))) == ["s1"]
        assert list(asked(cli("run", "--resume", run, "--json", "--budget", "2"))) == ["s1"]


def test_a_deadline_counts_all_the_time_at_work_and_a_resume_may_give_another(cli: Cli, project: Path) -> None:
    with post(project, "look"):
        failed = cli("run", "post", TASK, "--yes", "--deadline", "0")
        run = last(cli)["run"]
        assert failed.exit_code == 3
        assert cli("run", "--resume", run, "--yes").exit_code == 3
        assert cli("run", "--resume", run, "--yes", "--deadline", "60").exit_code == 0


def test_a_run_that_keeps_content_goes_on_keeping_it(cli: Cli, project: Path) -> None:
    for flags, kept in ((("--content",), "Done: sent to Åse"), ((), "")):
        with post(project, "send"):
            (question,) = asked(cli("run", "post", TASK, "--json", *flags)).values()
            cli("run", "--resume", last(cli)["run"], "--answer", f"{question}=y")
        assert json.loads(cli("trace", "--json").stdout)["answer"] == kept


def test_the_mode_is_kept_and_may_be_changed(cli: Cli, project: Path) -> None:
    with post(project, "send"):
        (question,) = asked(cli("run", "post", TASK, "--json", "--mode", "cost")).values()
        run = last(cli)["run"]
        cli("run", "--resume", run, "--mode", "quality", "--answer", f"{question}=y")
        told = json.loads(cli("trace", "--json").stdout)
    modes = [one["mode"] for step in told["steps"] for one in step["decisions"]]
    assert (modes[0], modes[-1]) == ("cost", "quality")


def test_what_has_changed_has_the_rest_planned_anew(cli: Cli, project: Path, waiting: str) -> None:
    anew = plan_of("look").replace("s1", "s2")
    with FakeProvider({"strong": anew, "small": clerk}) as provider:
        serve(project, provider)
        result = cli("run", "--resume", waiting, "--changed", "Åse has moved", "--yes")
        assert "Åse has moved" in json.dumps(provider.requests[0].body, ensure_ascii=False)
    assert (result.exit_code, result.stdout, sent(project)) == (0, "Done: address of Åse\n", [])
    assert "plan2: 1 step, made anew: the world has changed: Åse has moved" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--resume", "r", "post", TASK), "--resume goes on with the task of run r; leave the task out, or --resume"),
        ((), "give an agent and a task, or --resume RUN; for example: orchestra run analyst"),
        (("post",), "give an agent and a task, or --resume RUN"),
        (("post", TASK, "--changed", "x"), "--changed goes with --resume"),
        (("post", TASK, "--answer", "q=y"), "--answer goes with --resume"),
        (("--resume", "r", "--changed", "x", "--answer", "q=y"), "give --answer afterwards"),
        (("--resume", "r", "--answer", "q"), "--answer 'q': expected QUESTION=ANSWER"),
    ],
)
def test_a_command_line_that_makes_no_sense_ends_with_2_and_the_way_out(
    cli: Cli, arguments: tuple[str, ...], said: str
) -> None:
    result = cli("run", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_run_that_is_not_known_is_told_with_the_ones_that_are(cli: Cli, waiting: str) -> None:
    result = cli("run", "--resume", "zz")
    assert result.exit_code == 1
    assert f"no run begins with 'zz' in {Path.cwd()}/.orchestra/ledger.db; latest: {waiting}" in result.stderr
    assert "no ledger at other.db" in cli("run", "--resume", "zz", "--ledger", "other.db").stderr


async def begun_in_python(folder: Path) -> None:
    from orchestra.runtime.catalog import load_agent

    async with Orchestra.from_file("fleet.toml", ledger=folder / ".orchestra" / "ledger.db") as app:
        await load_agent("post").build(app).ainvoke({"task": TASK, "run": "py"})


def test_a_run_that_python_began_needs_its_agents_name_once(cli: Cli, project: Path) -> None:
    import asyncio

    with post(project, "send"):
        asyncio.run(begun_in_python(project))
        result = cli("run", "--resume", "py")
        assert result.exit_code == 2
        assert "run py was not begun by this command, so its agent is not known; name it: orchestra run AGENT" in (
            result.stderr
        )
        (question,) = asked(cli("run", "post", "--resume", "py", "--json")).values()
        assert cli("run", "--resume", "py", "--answer", f"{question}=y").stdout == "Done: sent to Åse\n"
    assert len(of(project / ".orchestra" / "ledger.db", "py", Invoked)) == 1


def test_an_agent_that_is_gone_can_be_named_where_it_is_now(cli: Cli, project: Path) -> None:
    file = project / "elsewhere.py"
    file.write_text(POST, encoding="utf-8")
    with post(project, "send"):
        (question,) = asked(cli("run", "elsewhere.py", TASK, "--json")).values()
        run = last(cli)["run"]
        file.rename(project / "moved.py")
        result = cli("run", "--resume", run)
        assert result.exit_code == 2
        assert f"run {run} goes on with its agent: agent file {file}: no file 'elsewhere.py'" in result.stderr
        assert f"put it back, or name it: orchestra run AGENT --resume {run}" in result.stderr
        assert cli("run", "moved.py", "--resume", run).exit_code == 4
        assert cli("run", "--resume", run, "--answer", f"{question}=y").exit_code == 0
    assert [Path(one.agent).name for one in of(project / ".orchestra" / "ledger.db", run, Invoked)] == [
        "elsewhere.py",
        "moved.py",
    ]


@pytest.mark.parametrize("option", ["data", "fleet"])
def test_data_or_a_fleet_that_is_gone_is_told_and_may_be_named_anew(option: str, cli: Cli, project: Path) -> None:
    with post(project, "send"):
        own = project / f"own.{option}"
        own.write_bytes((project / "fleet.toml").read_bytes())
        cli("run", "post", TASK, f"--{option}", own.name)
        run = last(cli)["run"]
        own.rename(project / "moved")
        result = cli("run", "--resume", run)
        assert result.exit_code == 2
        assert f"run {run} was begun with --{option} {own}, which is gone; put it back, or give --{option}" in (
            result.stderr
        )
        assert cli("run", "--resume", run, f"--{option}", "moved").exit_code == 4
        assert cli("run", "--resume", run).exit_code == 4  # from now on that is its file


def test_a_run_goes_on_from_another_folder_by_its_ledger(
    cli: Cli, project: Path, waiting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "sub").mkdir()
    monkeypatch.chdir(project / "sub")
    result = cli("run", "../agents/post.py", "--resume", waiting, "--ledger", "../.orchestra/ledger.db")
    assert result.exit_code == 4
    assert "--ledger ../.orchestra/ledger.db --answer" in result.stderr


def test_a_new_version_of_the_agent_is_said_to_be_one(cli: Cli, project: Path, waiting: str) -> None:
    changed = POST.replace("Send a letter.", "Send a letter at once.")
    (project / "agents" / "post.py").write_text(changed, encoding="utf-8")
    (question,) = asked(cli("run", "--resume", waiting, "--json")).values()
    with post(project, "send"):
        result = cli("run", "--resume", waiting, "--answer", f"{question}=y")
    assert result.exit_code == 0
    assert "tool 'send' has changed; it is used as it is now" in result.stderr


def test_a_new_version_without_a_tool_that_is_needed_is_refused(cli: Cli, project: Path, waiting: str) -> None:
    (question,) = asked(cli("run", "--resume", waiting, "--json")).values()
    without = POST.replace("[send, look, ask_human]", "[look]")
    (project / "agents" / "post.py").write_text(without, encoding="utf-8")
    result = cli("run", "--resume", waiting, "--answer", f"{question}=y")
    assert result.exit_code == 2
    assert f"run {waiting} needs tools that this version of the agent does not have: 'send'" in result.stderr
    assert of(project / ".orchestra" / "ledger.db", waiting, ToolStarted) == []


OWN = """
class Asked:
    value = {value}


class Graph:
    async def ainvoke(self, input, config=None):
        return {{"run": "r", "state": "done", "answer": "yes", "__interrupt__": [Asked()]}}


def build(app, *, data=None):
    return Graph()
"""


@pytest.mark.parametrize("value", ["'are you sure?'", "{'question': 'sure?'}"])
def test_a_graph_that_asks_in_its_own_way_is_told_apart(value: str, cli: Cli, project: Path) -> None:
    (project / "agents" / "own.py").write_text(OWN.format(value=value), encoding="utf-8")
    result = cli("run", "own", TASK)
    assert result.exit_code == 2
    assert "agent 'own' asks in its own way: " in result.stderr
    assert "sure?" in result.stderr


def test_a_graph_of_its_own_is_not_resumed(cli: Cli, project: Path, waiting: str) -> None:
    (project / "agents" / "own.py").write_text(OWN.format(value="{}"), encoding="utf-8")
    result = cli("run", "own", "--resume", waiting)
    assert result.exit_code == 2
    assert "agent 'own' is a graph of its own, and this command resumes only those of planner_executor" in result.stderr
    assert [one.agent for one in of(project / ".orchestra" / "ledger.db", waiting, Invoked)] == ["post"]


def test_a_resume_is_recorded_with_the_process_that_made_it(cli: Cli, project: Path, waiting: str) -> None:
    (question,) = asked(cli("run", "--resume", waiting, "--json")).values()
    with post(project, "send"):
        cli("run", "--resume", waiting, "--answer", f"{question}=y")
    (resumed,) = of(project / ".orchestra" / "ledger.db", waiting, RunResumed)
    assert resumed.agent == "post"
    assert "resumed by process" in cli("trace").stdout
