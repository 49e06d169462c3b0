"""The triage: customers' data goes only to models that may see it, and nothing is sent without a person."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from orchestra import Fleet, Tool, ToolRejected, tool
from orchestra.errors import AgentError, ConfigError
from orchestra.runtime.catalog import load_agent
from orchestra.testing import CallTool, ScriptedModel, scripted_app
from tests.agents.doubles import BOTH, ask, plan, results, step, told, tools

TICKET = "From ada@example.org: My order 17 has not arrived. Where is it?"
LOOKED_UP = plan(
    step(1, "name the class of the ticket"),
    step(2, "look up order 17", "sqlite_query"),
    step(3, "draft the reply and send it", "send_reply", needs=(1, 2)),
)
SQL = "SELECT state FROM orders WHERE id = 17"
LETTER = {"to": "ada@example.org", "subject": "Your order 17", "text": "Dear Ada,\nit is on its way — promised.\n"}
SEND = CallTool("send_reply", **LETTER)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.executescript(
            "CREATE TABLE customers (email TEXT, name TEXT); CREATE TABLE orders (id INTEGER, email TEXT, state TEXT);"
            "CREATE TABLE known_issues (id INTEGER, product TEXT, advice TEXT);"
            "INSERT INTO orders VALUES (17, 'ada@example.org', 'shipped')"
        )
    return tmp_path / "shop.db"


def by_goal(body: dict[str, Any]) -> Any:
    """The small model: classifies, looks up, sends, each in its own step, whichever comes first."""
    goal, last = body["messages"][1]["content"].partition("Your step:")[2], body["messages"][-1]
    if "name the class" in goal:
        return "delivery"
    if "look up order" in goal:
        return f"The order is {last['content']}" if last["role"] == "tool" else CallTool("sqlite_query", sql=SQL)
    return last["content"] if last["role"] == "tool" else SEND


def models(tags: tuple[str, ...] = ("pii",), steps: str = LOOKED_UP) -> tuple[ScriptedModel, ScriptedModel]:
    return (
        ScriptedModel("small", by_goal, tags=tags),
        ScriptedModel("strong", [steps], tier="capable", tags=tags),
    )


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def sends(folder: Path) -> Tool:
    """The ready tool, writing to `folder`."""
    return load_agent("triage").function.__globals__["outbox"](folder)


async def test_a_ticket_is_classified_looked_up_and_answered_after_approval(shop: Path) -> None:
    small, strong = models()
    config: Any = {"configurable": {"thread_id": "one"}}
    async with scripted_app(small, strong, policies=[BOTH]) as app:
        agent = load_agent("triage").build(app, data=shop)
        agent.checkpointer = InMemorySaver()
        waiting = await agent.ainvoke({"task": TICKET}, config)
        (pending,) = waiting["__interrupt__"]
        assert (pending.value["kind"], pending.value["tool"], pending.value["arguments"]) == (
            "approval",
            "send_reply",
            LETTER,
        )
        assert not (shop.parent / "outbox").exists()
        answer = await agent.ainvoke(Command(resume=True), config)
    assert answer["state"] == "done"
    assert "shipped" in answer["steps"]["s2"]["text"]
    (letter,) = files(shop.parent / "outbox")
    assert letter.read_text(encoding="utf-8") == (
        "To: ada@example.org\nSubject: Your order 17\n\nDear Ada,\nit is on its way — promised.\n"
    )


async def test_a_reply_that_is_rejected_is_not_sent(shop: Path) -> None:
    small, strong = models()
    config: Any = {"configurable": {"thread_id": "one"}}
    async with scripted_app(small, strong, policies=[BOTH]) as app:
        agent = load_agent("triage").build(app, data=shop)
        agent.checkpointer = InMemorySaver()
        await agent.ainvoke({"task": TICKET}, config)
        await agent.ainvoke(Command(resume={"decision": "reject", "text": "too curt"}), config)
    assert "too curt" in told(small)
    assert not (shop.parent / "outbox").exists()


async def test_the_planner_is_told_the_tables_and_the_classes(shop: Path) -> None:
    small, strong = models(steps=plan(step(1, "name the class of the ticket")))
    assert (await ask("triage", (small, strong), TICKET, data=shop))["answer"] == "delivery"
    assert all(word in told(strong) for word in ("customers", "orders", "known_issues", "billing", "send_reply"))


@pytest.mark.parametrize("tags", [(), ("eu",), ("local",)])
async def test_models_that_may_not_see_personal_data_are_never_asked(shop: Path, tags: tuple[str, ...]) -> None:
    small, strong = models(tags)
    answer = await ask("triage", (small, strong), TICKET, data=shop)
    assert answer["state"] == "failed"
    assert "the data demands 'pii'" in answer["reason"]
    assert small.requests == strong.requests == []


async def test_the_tags_may_be_the_developers_own(shop: Path) -> None:
    one = plan(step(1, "name the class of the ticket"))
    given = models(("GDPR", "eu"), one)
    assert (await ask("triage", given, TICKET, data=shop, data_tags=("gdpr", "EU")))["state"] == "done"
    assert (await ask("triage", models(("eu",), one), TICKET, data=shop, data_tags=("gdpr",)))["state"] == "failed"


def test_the_embedded_models_may_see_personal_data_and_the_same_model_elsewhere_may_not() -> None:
    assert all("pii" in card.tags for card in Fleet.embedded().models.values())
    hosted = '[models.a]\nmodel = "qwen2.5-coder-0.5b-instruct"\nbase_url = "http://h.invalid/v1"\ntier = "efficient"'
    assert Fleet.from_toml(hosted).models["a"].tags == ()


async def test_a_tool_of_the_developers_sends_too(shop: Path) -> None:
    @tool(needs_approval=True)
    def send_reply(text: str) -> str:
        """Send by our own system."""
        return text

    async with scripted_app(*models()) as app:
        load_agent("triage").build(app, data=shop, send_reply=send_reply)


async def test_a_tool_that_would_send_without_approval_is_refused(shop: Path) -> None:
    def send(text: str) -> str:
        """Send at once."""
        return text

    async with scripted_app(*models()) as app:
        with pytest.raises(AgentError, match=r"'send' would send without a person's approval; declare it with @tool"):
            load_agent("triage").build(app, data=shop, send_reply=send)


async def test_the_same_call_again_writes_nothing_again_and_another_call_another_letter(tmp_path: Path) -> None:
    letter = {**LETTER, "text": "größer"}
    send = sends(tmp_path / "a" / "outbox")
    first = await send.call(letter, idempotency_key="run/s3/1")
    again = await send.call(letter, idempotency_key="run/s3/1")
    await send.call(letter, idempotency_key="run/s3/2")
    assert len(files(tmp_path / "a" / "outbox")) == 2
    assert str(first).startswith("the reply was written to ")
    assert str(again).startswith("this reply had already been written to ")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"to": "a@b.org\nBcc: all@b.org"}, "to must be one line"),
        ({"subject": "a\r\nBcc: all@b.org"}, "subject must be one line"),
        ({"subject": " "}, "subject must be one line"),
        ({"to": "Ada"}, "to must be one e-mail address, got 'Ada'"),
        ({"to": "a@b.org, c@d.org"}, "to must be one e-mail address"),
        ({"to": "a@b.org c"}, "to must be one e-mail address"),
    ],
)
async def test_an_address_or_subject_that_could_forge_a_letter_is_rejected(
    tmp_path: Path, changed: dict[str, str], said: str
) -> None:
    with pytest.raises(ToolRejected, match=said):
        await sends(tmp_path).call({**LETTER, **changed})
    assert files(tmp_path) == []


async def test_tables_too_wide_to_be_told_may_be_asked_for(tmp_path: Path) -> None:
    columns = ", ".join(f"a_rather_long_column_name_{number} INTEGER" for number in range(110))
    with closing(sqlite3.connect(tmp_path / "wide.db")) as connection:
        connection.execute(f"CREATE TABLE wide ({columns})")
    look = plan(step(1, "look into the table", "describe_table"))
    small = ScriptedModel("small", [CallTool("describe_table", table="wide"), "110 columns"], tags=("pii",))
    await ask("triage", (small, models(steps=look)[1]), TICKET, data=tmp_path / "wide.db")
    assert tools(small, 0) == ["describe_table"]
    assert "a_rather_long_column_name_109" in results(small)[0]


async def test_nothing_in_the_tables_can_be_changed(shop: Path) -> None:
    delete = CallTool("sqlite_query", sql="DELETE FROM orders")
    small = ScriptedModel("small", [delete, "It cannot be deleted."], tags=("pii",))
    one = plan(step(1, "delete the order", "sqlite_query"))
    strong = ScriptedModel("strong", [one, *[""] * 9], tier="capable", tags=("pii",))
    answer = await ask("triage", (small, strong), TICKET, data=shop)
    assert answer["state"] == "failed"
    assert "SELECT" in results(small)[0]


async def test_without_a_file_and_with_one_that_holds_no_table_it_says_what_to_give(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    async with scripted_app(*models()) as app:
        with pytest.raises(AgentError, match="needs tables of customers and orders: give --data FILE"):
            load_agent("triage").build(app)
        with pytest.raises(ConfigError, match=r"empty\.csv"):
            load_agent("triage").build(app, data=tmp_path / "empty.csv")
