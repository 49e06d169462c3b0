"""Every example runs as a reader would run it, and prints what it promises."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestra.testing import CallTool
from tests.examples.running import ROOT, run

EXAMPLES = ROOT / "examples"


def prompt(body: dict[str, Any]) -> str:
    return body["messages"][-1]["content"]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("[0-9]*.py")), ids=lambda path: path.stem)
def test_an_example_fits_on_one_screen_and_says_how_it_is_run(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 60
    assert f"python examples/{path.name}" in text


def test_01_a_graph_asks_a_model_per_node(tmp_path: Path):
    def model(body: dict[str, Any]) -> str:
        return '{"topic": "billing"}' if "response_format" in body else "Sorry. It is on its way back."

    ended, provider = run(EXAMPLES / "01_graph.py", {"small": model, "strong": model}, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "billing: Sorry. It is on its way back."
    classify, draft = (line.split()[:2] for line in ended.stdout.splitlines()[:2])
    assert (classify, draft) == (["classify", "small"], ["draft", "strong"])
    assert len(provider.requests) == 2


def test_02_routing_tells_every_reason_and_calls_a_model_once(tmp_path: Path):
    ended, provider = run(EXAMPLES / "02_route.py", {"small": "Bonjour", "strong": "Bonjour"}, tmp_path)
    assert ended.returncode == 0, ended.stderr
    chosen = dict(line.split(": ", 1) for line in ended.stdout.splitlines() if line and not line.startswith(" "))
    models = {name: text.partition(",")[0] for name, text in chosen.items()}
    assert models["a planner's step"] == "strong"
    assert models["a look-up with a tool"] == "small"
    assert models["a step about law"] == "strong"
    assert models["a VIP's easy step"] == "strong"
    assert "tenant 'vip' always gets the strongest" in ended.stdout
    assert ended.stdout.splitlines()[-1].endswith("says: Bonjour")
    assert len(provider.requests) == 1


def test_03_a_small_model_that_errs_is_told_then_replaced_by_the_stronger_one(tmp_path: Path):
    models = {
        "small": CallTool("order", item="lemonade", bottles=2),
        "strong": CallTool("order", item="lemonade", bottles=24),
    }
    ended, provider = run(EXAMPLES / "03_escalate.py", models, tmp_path)
    assert ended.returncode == 0, ended.stderr
    *tried, last = ended.stdout.splitlines()
    assert [line.split()[:2] for line in tried] == [["small", "schema_violation:"]] * 2 + [["strong", "ok:"]]
    assert [line.rpartition("→ ")[2] for line in tried[:2]] == ["repair", "escalate"]
    assert last == "strong may order: {'item': 'lemonade', 'bottles': 24}"
    assert (provider.count("small"), provider.count("strong")) == (2, 1)


def test_03_where_no_model_can_do_it_nothing_is_ordered(tmp_path: Path):
    wrong = CallTool("order", item="lemonade", bottles=2)
    ended, _ = run(EXAMPLES / "03_escalate.py", {"small": wrong, "strong": wrong}, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "No model could do it: nothing was ordered."


def test_04_every_node_of_a_hand_written_graph_is_a_run_by_its_own_step(tmp_path: Path):
    steps = [{"id": "s1", "goal": "price of a lamp", "needs": [], "tools": ["price"], "difficulty": "easy"}]

    def model(body: dict[str, Any]) -> Any:
        if "split a task" in body["messages"][0]["content"]:
            return json.dumps({"steps": steps})
        if body.get("tools") and body["messages"][-1]["role"] != "tool":
            return CallTool("price", item="lamp")
        return "It costs 79.5 euros."

    ended, provider = run(EXAMPLES / "04_node.py", {"small": model, "strong": model}, tmp_path)
    assert ended.returncode == 0, ended.stderr
    *seen, blank, letter = ended.stdout.splitlines()
    looked, _, wrote, _ = (line.split()[0] for line in seen if not line.startswith(" "))
    runs = [f"{looked} look_up", f"{looked} done", f"{wrote} write", f"{wrote} done"]
    assert [line for line in seen if not line.startswith(" ")] == runs
    calls = [line.split() for line in seen if line.startswith(" ")]
    assert [step for step, *_ in calls] == ["plan", "s1", "s1", "write", "write"]
    assert calls[-2:] == [["write", "strong", "accepted"], ["write", "small", "accepted"]]
    assert (blank, letter) == ("", "It costs 79.5 euros.")
    assert len(provider.requests) == 5


def planned(*steps: tuple[str, str, list[str], list[str]]) -> str:
    """A plan of (id, goal, needs, tools)."""
    keys = ("id", "goal", "needs", "tools")
    return json.dumps({"steps": [dict(zip(keys, step, strict=True)) | {"difficulty": "easy"} for step in steps]})


def offered(body: dict[str, Any]) -> list[str]:
    return [one["function"]["name"] for one in body.get("tools", ())]


def refunding(body: dict[str, Any]) -> Any:
    if "split a task" in body["messages"][0]["content"]:
        return planned(("s1", "ask", [], ["ask_human"]), ("s2", "refund", ["s1"], ["refund"]))
    if body["messages"][-1]["role"] == "tool":
        return prompt(body)
    asks = "ask_human" in offered(body)
    return CallTool("ask_human", question="Which order?") if asks else CallTool("refund", order=4711, euros=20)


def test_05_a_person_is_asked_and_nothing_is_paid_back_before_they_agree(tmp_path: Path):
    ended, provider = run(EXAMPLES / "05_approve.py", {"small": refunding, "strong": refunding}, tmp_path)
    assert ended.returncode == 0, ended.stderr
    shown = [line.strip() for line in ended.stdout.splitlines()]
    assert shown[:2] == ["question: Which order?", "Order 4711."]
    assert shown[2] == "approval: may refund be called with these arguments? {'order': 4711, 'euros': 20}"
    assert shown[4] == "refund(4711, 15) is carried out"
    assert shown[5].startswith("done: ")
    assert ended.stdout.count("is carried out") == 1
    assert len(provider.requests) == 5


def paying(body: dict[str, Any]) -> Any:
    if "split a task" in body["messages"][0]["content"]:
        return planned(("s1", "what it costs", [], ["amount_of"]), ("s2", "pay", ["s1"], ["pay"]))
    if body["messages"][-1]["role"] == "tool":
        return prompt(body)
    looks_up = "amount_of" in offered(body)
    return CallTool("amount_of", order=4711) if looks_up else CallTool("pay", order=4711, euros=79.5)


def test_06_a_run_whose_process_was_killed_goes_on_and_repeats_nothing(tmp_path: Path):
    ended, provider = run(EXAMPLES / "06_resume.py", {"small": paying, "strong": paying}, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == [
        "  amount_of(4711)",
        "  pay(4711, 79.5)",
        "the first process ended with -9",
        "unknown: pay was started and its end was never recorded; what it did is not known",
        "done: done, as a person confirmed",
    ]
    assert len(provider.requests) == 5


def test_06_a_model_that_only_says_it_has_paid_is_not_believed(tmp_path: Path):
    def idle(body: dict[str, Any]) -> Any:
        return "It was paid." if "pay" in offered(body) else paying(body)

    ended, _ = run(EXAMPLES / "06_resume.py", {"small": idle, "strong": idle}, tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "the first process ended with 0" in ended.stdout
    assert ended.stdout.splitlines()[-1].startswith("failed: step 's2' failed")


def counting(body: dict[str, Any]) -> Any:
    """Plans north, south and their sum; once the north has moved: east, and the sum."""
    if "split a task" in body["messages"][0]["content"]:
        if "came to a halt" in prompt(body):
            return planned(("s4", "lamps in the east", [], ["stock"]), ("s5", "add them", ["s2", "s4"], []))
        looks = [("s1", "lamps in the north", [], ["stock"]), ("s2", "lamps in the south", [], ["stock"])]
        return planned(*looks, ("s3", "add them", ["s1", "s2"], []))
    if not body.get("tools"):
        return "There are 17 lamps."
    if body["messages"][-1]["role"] == "tool":
        return prompt(body)
    goal = prompt(body).rpartition("Your step:")[2]
    return CallTool("stock", warehouse=next(name for name in ("north", "south", "east") if name in goal))


def test_07_a_run_pauses_at_its_cap_shares_its_deadline_and_plans_anew(tmp_path: Path):
    ended, provider = run(EXAMPLES / "07_budget.py", {"small": counting, "strong": counting}, tmp_path)
    assert ended.returncode == 0, ended.stderr
    shown = [line.strip() for line in ended.stdout.splitlines()]
    assert [line for line in shown if line.startswith("plan ") and "kept" in line] == [
        "plan 1: s1, s2, s3; kept: none",
        "plan 2: s2, s4, s5; kept: s2",
    ]
    (asked,) = (line for line in shown if line.startswith("budget: "))
    assert "of $0.003 are spent" in asked
    shares = {line.split()[0]: int(line.partition("share: ")[2].split()[0]) for line in shown if "share: " in line}
    assert shares["s1"] < 250  # of 300 s, and the sum is to come
    assert shown[-2] == "done: There are 17 lamps."
    assert shown[-1].startswith("spent: $0.00")
    assert shown[-1].endswith("replans: 1")
    assert len(provider.requests) == 8


def means(body: dict[str, Any]) -> Any:
    """Plans, looks both means up (misspelling one table at first), and subtracts."""
    if "split a task" in body["messages"][0]["content"]:
        steps = [
            {"id": "s1", "goal": "mean of Gentoo", "needs": [], "tools": ["sqlite_query"], "difficulty": "easy"},
            {"id": "s2", "goal": "mean of Adelie", "needs": [], "tools": ["sqlite_query"], "difficulty": "easy"},
            {"id": "s3", "goal": "subtract them", "needs": ["s1", "s2"], "tools": ["calculator"], "difficulty": "easy"},
        ]
        return json.dumps({"steps": steps})
    text = next(m["content"] for m in reversed(body["messages"]) if m["role"] == "user")
    goal = text.rpartition("Your step:")[2]
    if results := [m["content"] for m in body["messages"] if m["role"] == "tool"]:
        return results[-1]
    if "subtract" in goal:
        return CallTool("calculator", expression="5076 - 3700.7")
    column = "body_mass" if body["model"] == "small" and "Gentoo" in goal else "body_mass_g"
    kind = "Gentoo" if "Gentoo" in goal else "Adelie"
    return CallTool("sqlite_query", sql=f"SELECT avg({column}) AS m FROM penguins WHERE species = '{kind}'")


def test_the_demo_answers_shows_what_went_wrong_and_compares(tmp_path: Path):
    ended, _ = run(EXAMPLES / "demo.py", {"small": means, "strong": means}, tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "$ orchestra run analyst" in ended.stdout
    assert "1375.3" in ended.stdout
    assert "$ orchestra trace" in ended.stdout
    assert "== What went wrong, and what was done about it" in ended.stdout
    assert "sha256: " in ended.stdout
    assert all(f"{name:17}" in ended.stdout for name in ("this run", "always cheapest", "always strongest"))


def test_the_demo_says_so_where_nothing_went_wrong(tmp_path: Path):
    def right(body: dict[str, Any]) -> Any:
        return means(body | {"model": "strong"})

    ended, _ = run(EXAMPLES / "demo.py", {"small": right, "strong": right}, tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Nothing in this run: every reply passed its checks." in ended.stdout


def test_10_a_langgraph_app_gets_its_call_from_the_stronger_model_and_its_answer_from_the_cheap_one(
    tmp_path: Path,
):
    def small(body: dict[str, Any]) -> Any:
        return "79.5 euros." if body["messages"][-1]["role"] == "tool" else CallTool("prize", item="lamp")

    models = {"small": small, "strong": CallTool("price", item="lamp")}
    ended, provider = run(EXAMPLES / "10_langgraph.py", models, tmp_path)
    assert ended.returncode == 0, ended.stderr
    asked, called, told, answered = ended.stdout.splitlines()
    assert asked.split() == ["human", "What", "does", "a", "lamp", "cost?"]
    assert called == (
        "ai     strong  [\"price({'item': 'lamp'})\"] small refused: unknown_tool, small refused: unknown_tool"
    )
    assert told.split() == ["tool", "79.5"]
    assert answered == "ai     small   79.5 euros."
    assert (provider.count("small"), provider.count("strong")) == (3, 1)
