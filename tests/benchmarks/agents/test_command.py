"""The whole benchmark, on scripted models: what is asked of whom, what is written, and what is printed."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from benchmarks.agents.asking import open_app, warm
from benchmarks.agents.command import ROOT, main
from benchmarks.agents.configurations import configurations
from orchestra import Orchestra
from orchestra.errors import LedgerError
from orchestra.fleet import Fleet
from orchestra.ledger import Ledger
from orchestra.testing import CallTool, ScriptedModel, scripted_transport
from orchestra.types import ModelCard

FLEET = """
[models.{0}]
model = "{0}"
dialect = "openai-chat"
base_url = "http://scripted.invalid/{0}/v1"
tier = "{1}"
price = {{ input = 1, output = 1 }}
"""
PLAN = json.dumps(
    {"steps": [{"id": "s1", "goal": "count", "needs": [], "tools": ["sqlite_query"], "difficulty": "easy"}]}
)
QUESTIONS = [
    {"id": "all", "level": "easy", "question": "How many?", "sql": "SELECT count(*) FROM t"},
    {"id": "max", "level": "hard", "question": "What is the largest x?", "sql": "SELECT max(x) FROM t"},
]
Reply = Callable[[dict[str, Any]], Any]


def saying(answer: str) -> Reply:
    """A model that plans one look-up, makes it, and then says this whatever it found."""

    def reply(body: dict[str, Any]) -> Any:
        if "You split a task" in body["messages"][0]["content"]:
            return PLAN
        looked = body["messages"][-1]["role"] == "tool"
        return answer if looked else CallTool("sqlite_query", sql="SELECT count(*), max(x) FROM t")

    return reply


class Bench:
    """The command in a folder of its own, with two models: `small` is sure of 3, `strong` of 30."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.models = {
            "small": ScriptedModel("small", saying("It is 3.")),
            "strong": ScriptedModel("strong", saying("30")),
        }
        self.out = folder / "out.jsonl"
        with closing(sqlite3.connect(folder / "t.db")) as connection:
            connection.executescript("CREATE TABLE t (x INTEGER); INSERT INTO t VALUES (10), (20), (30);")
        self.write("fleet.toml", FLEET.format("small", "efficient") + FLEET.format("strong", "capable") + RULES)
        self.write("q.jsonl", "\n".join(map(json.dumps, QUESTIONS)))

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def open(self, fleet: Fleet, ledger: Ledger) -> Orchestra:
        return Orchestra(fleet, ledger=ledger, transport=scripted_transport(*self.models.values()))

    def run(self, *more: str, data: str = "t.db", questions: str = "q.jsonl") -> int:
        given = {"--fleet": "fleet.toml", "--questions": questions, "--data": data}
        paths = [word for name, file in given.items() if file for word in (name, str(self.folder / file))]
        return main([*paths, "--out", str(self.out), *more], self.open)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.read_text(encoding="utf-8").splitlines()]


RULES = """
[routing]
mode = "cost"
[[routing.steps]]
match = { kind = "plan" }
tier = "capable"
prefer = ["strong"]
"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_each_configuration_answers_with_its_own_models(bench, capsys):
    assert bench.run("--json") == 0
    summary = json.loads(capsys.readouterr().out)
    tokens = {name: set(one["tokens"]) for name, one in summary["configurations"].items()}
    assert tokens == {"efficient": {"small"}, "strong": {"strong"}, "routed": {"small", "strong"}}


def test_the_summary_tells_right_wrong_and_the_paired_difference(bench, capsys):
    bench.run("--json")
    summary = json.loads(capsys.readouterr().out)
    strong = summary["configurations"]["strong"]
    assert (strong["accuracy"], strong["correct"], strong["total"], strong["false_accepts"]) == (0.5, 1, 2, 1)
    assert strong["levels"]["hard"] == {"accuracy": 1.0, "correct": 1, "total": 1}
    assert strong["interval"][0] < 0.5 < strong["interval"][1]
    assert strong["seconds"] >= 0
    assert strong["usd"] > 0
    assert (strong["escalations"], strong["failures"], strong["replans"]) == (0, 0, 0)
    difference = summary["differences"]["routed - strong"]
    assert (difference["difference"], difference["only_routed"], difference["only_other"]) == (0, 1, 1)
    question = summary["questions"][0]
    assert (question["id"], question["expected"]) == ("all", [[3]])
    assert {one["configuration"]: one["correct"] for one in question["results"]} == {
        "efficient": True,
        "strong": False,
        "routed": True,
    }
    assert question["results"][1]["fault"] == "does not say 3"


def test_people_get_a_table_and_the_progress_goes_to_stderr(bench, capsys):
    assert bench.run() == 0
    told = capsys.readouterr()
    assert "efficient" in told.out.splitlines()[0]
    assert told.out.splitlines()[1].split() == ["right", *3 * ["1", "of", "2"]]
    assert "routed - strong: +0.0 points, 95 % interval" in told.out
    assert "1/6 all efficient" in told.err
    assert "WRONG: does not say 3" in told.err


def test_configurations_take_turns_at_being_first(bench):
    bench.run("--repeat", "2")
    order = [(one["repeat"], one["id"], one["configuration"]) for one in bench.lines()]
    assert [name for _, _, name in order[:6]] == ["efficient", "strong", "routed", "strong", "routed", "efficient"]
    assert order[6] == (1, "all", "strong")
    assert len(order) == 12


def test_a_killed_run_goes_on_where_it_stopped(bench, capsys):
    bench.run()
    whole = bench.out.read_bytes()
    lines = whole.splitlines(keepends=True)
    bench.out.write_bytes(b"".join(lines[:4]) + lines[4][:30])  # killed while it wrote
    requests = len(bench.models["small"].requests)
    assert bench.run("--resume") == 0
    assert [(one["id"], one["configuration"]) for one in bench.lines()] == [
        (one["id"], one["configuration"]) for one in map(json.loads, lines)
    ]
    assert len(bench.models["small"].requests) - requests < requests
    assert "6/6" in capsys.readouterr().err


def test_every_answer_is_written_before_the_next_question_is_asked(bench):
    written = list[int]()

    def counting(body: dict[str, Any]) -> Any:
        written.append(len(bench.lines()))
        return saying("3")(body)

    bench.models["small"] = ScriptedModel("small", counting)
    bench.run("--configurations", "efficient")
    assert sorted(set(written)) == [0, 1]


def test_a_configuration_of_one_tier_keeps_the_rules_settings_and_nothing_they_say_of_other_models():
    rules = """
[[routing.steps]]
match = { kind = "plan" }
tier = "capable"
prefer = ["strong"]
escalate = ["capable"]
max_tokens = 77
"""
    fleet = Fleet.from_toml(FLEET.format("small", "efficient") + FLEET.format("strong", "capable") + rules)
    only = configurations(fleet, ["efficient"])["efficient"]
    (rule,) = only.rules
    assert set(only.models) == {"small"}
    assert (rule.match.kind, rule.max_tokens) == (("plan",), 77)
    assert (rule.tier, rule.prefer, rule.escalate) == (None, (), ())


def test_results_are_never_mixed_with_those_of_other_questions_or_fleets(bench, capsys):
    bench.run()
    assert bench.run() == 2
    assert "holds results already; give --resume" in capsys.readouterr().err
    bench.write("q.jsonl", json.dumps(QUESTIONS[0] | {"question": "How many rows?"}))
    assert bench.run("--resume") == 2
    assert "question 'all' was another one when it was answered" in capsys.readouterr().err
    bench.write("q.jsonl", json.dumps(QUESTIONS[0]))
    bench.write("fleet.toml", FLEET.format("small", "efficient") + FLEET.format("strong", "capable"))
    assert bench.run("--resume") == 2
    assert "configuration 'efficient' was another one" in capsys.readouterr().err


def test_a_better_judge_holds_for_older_answers_too(bench, capsys):
    bench.run("--configurations", "efficient")
    mended = [one | {"answer": "30", "correct": False} for one in bench.lines()]
    bench.out.write_text("".join(json.dumps(one) + "\n" for one in mended), encoding="utf-8")
    capsys.readouterr()
    assert bench.run("--configurations", "efficient", "--resume", "--json") == 0
    results = [one["results"][0]["correct"] for one in json.loads(capsys.readouterr().out)["questions"]]
    assert results == [False, True]


def test_a_run_that_fails_is_a_failure_and_no_false_accept(bench, capsys):
    bench.models["small"] = ScriptedModel("small", lambda body: PLAN if "You split" in str(body["messages"][0]) else "")
    assert bench.run("--configurations", "efficient", "--json") == 0
    figures = json.loads(capsys.readouterr().out)["configurations"]["efficient"]
    assert (figures["failures"], figures["false_accepts"], figures["correct"]) == (2, 0, 0)
    assert bench.lines()[0]["fault"]


def test_what_everyone_wrote_is_kept_for_the_trace(bench):
    bench.run("--limit", "1", "--configurations", "routed")
    (line,) = bench.lines()
    ledger = Ledger(bench.out.with_suffix(".db"))
    rows = ledger.events(line["run"])
    ledger.close()
    assert rows[0].event.task == "How many?"


async def test_embedded_weights_are_loaded_before_a_question_is_timed():
    loaded = list[str]()

    class Servers:
        async def endpoint(self, card: ModelCard) -> str:
            loaded.append(card.name)
            return "http://127.0.0.1/v1"

    app = open_app(Fleet.embedded(), Ledger(None))
    app.servers = Servers()
    await warm(app)
    assert loaded == ["small", "strong"]


def test_the_picture_shows_every_configuration(bench):
    picture = bench.folder / "plot.svg"
    assert bench.run("--limit", "1", "--plot", str(picture)) == 0
    texts = [one.text for one in ET.parse(picture).iter("{http://www.w3.org/2000/svg}text")]
    assert {"efficient", "strong", "routed", "100%"} <= set(texts)
    assert bench.run("--limit", "1", "--resume", "--plot", str(bench.folder)) == 2


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        (
            ["--configurations", "efficent"],
            "no configuration 'efficent'; known: efficient, strong, routed; did you mean",
        ),
        (["--configurations", "xyz"], "no configuration 'xyz'; known: efficient, strong, routed\n"),
        (["--configurations", ","], "no configuration is named"),
        (["--fleet", "none.toml"], "none.toml: cannot be read: .* give the path of a fleet.toml"),
        (["--questions", "none.jsonl"], "none.jsonl: the questions cannot be read"),
        (["--data", "none.db"], "none.db: there is no such file"),
        (["--data", __file__], "no table this knows"),
    ],
)
def test_what_was_given_wrongly_is_told_before_any_model_is_asked(bench, more, fault, capsys):
    assert bench.run(*more) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert re.search(fault, told)
    assert not bench.models["small"].requests


@pytest.mark.parametrize(
    ("more", "fault"), [(["--limit", "0"], "whole number above 0"), (["--out", "x.db"], "ends in .jsonl")]
)
def test_options_are_checked(bench, more, fault, capsys):
    with pytest.raises(SystemExit, match="2"):
        bench.run(*more)
    assert fault in capsys.readouterr().err


def test_questions_of_ones_own_need_data(bench, capsys):
    assert bench.run(data="") == 2
    assert "question 'all': it does not say what data it is about; give --data FILE" in capsys.readouterr().err
    bench.write("q.jsonl", json.dumps(QUESTIONS[0] | {"data": "cats"}))
    assert bench.run(data="") == 2
    assert "its data 'cats' is neither penguins nor shop" in capsys.readouterr().err


def test_the_two_sets_that_come_with_it_are_found_by_name(bench, capsys):
    bench.write(
        "q.jsonl",
        "\n".join(
            json.dumps({"data": data, "question": "How many?", "sql": f"SELECT count(*) FROM {table}"})
            for data, table in (("penguins", "penguins"), ("shop", "orders"), ("shop", "customers"))
        ),
    )
    assert bench.run("--configurations", "efficient", "--json", data="") == 0
    assert [one["expected"] for one in json.loads(capsys.readouterr().out)["questions"]] == [[[344]], [[420]], [[60]]]


def test_one_tier_cannot_be_compared_with_itself(bench, capsys):
    bench.write("fleet.toml", FLEET.format("small", "efficient"))
    assert bench.run() == 2
    assert "all models are of tier 'efficient', so 'efficient' would be the same as 'routed'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "fault"),
    [("{", "line 1: is not JSON"), ("[]", "line 1: is no result"), ('{"id": 1}', "line 1: is no result")],
)
def test_a_broken_file_of_results_is_told_with_its_line(bench, line, fault, capsys):
    bench.out.write_text(line + "\n", encoding="utf-8")
    assert bench.run("--resume") == 2
    assert fault in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_told(bench, capsys):
    bench.out = bench.folder / "q.jsonl" / "out.jsonl"
    assert bench.run() == 2
    assert "cannot be written" in capsys.readouterr().err


def test_without_out_every_run_has_a_new_file(bench, monkeypatch, capsys):
    monkeypatch.chdir(bench.folder)
    for _ in range(2):
        assert (
            main(["--fleet", "fleet.toml", "--questions", "q.jsonl", "--data", "t.db", "--limit", "1"], bench.open) == 0
        )
    assert len(list((bench.folder / ".orchestra").glob("analyst-*.jsonl"))) == 2


@pytest.mark.parametrize(
    ("error", "code", "said"), [(LedgerError("it is full"), 1, "it is full"), (KeyboardInterrupt(), 130, "--resume")]
)
def test_a_broken_run_says_how_it_goes_on(bench, error, code, said, capsys):
    def broken(fleet: Fleet, ledger: Ledger) -> Orchestra:
        raise error

    bench.open = broken
    assert bench.run() == code
    assert said in capsys.readouterr().err


def test_it_starts_as_a_script_from_anywhere(tmp_path):
    script = ROOT / "benchmarks" / "agents" / "analyst.py"
    words = [sys.executable, str(script), "--questions", "none.jsonl"]
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "none.jsonl: the questions cannot be read" in ended.stderr
