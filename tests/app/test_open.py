"""Opening and closing an app: where the fleet comes from, what is kept, what is left behind."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from orchestra import Orchestra, Step, StepContext
from orchestra.errors import FleetError, LedgerError, NoCandidate
from orchestra.ledger import Ledger, RunEnded
from tests.app.doubles import KEY, app_of, events, serving


async def test_a_fleet_file_is_read_and_its_models_are_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("FLEET_TEST_KEY", KEY)
    async with serving(tmp_path, {"small": "grüezi"}, ledger=None) as (provider, app):
        reply = await app.complete("x")
    assert (reply.text, reply.model) == ("grüezi", "small")
    assert provider.requests[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, r"fleet\.toml: cannot be read: .*No such file"),
        (b"\xff\xfe\x00m", r"fleet\.toml: cannot be read: .*utf-8"),
        (b"[models.small", r"fleet\.toml"),
        (b"", r"fleet\.toml.*model"),
        (b'[models.a]\nprovider = "antropic"\n', "did you mean 'anthropic'"),
    ],
    ids=["missing", "not-utf8", "not-toml", "empty", "unknown-provider"],
)
def test_a_fleet_file_that_cannot_be_used_is_told_by_its_path(content, said, tmp_path):
    path = tmp_path / "fleet.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FleetError, match=said) as raised:
        Orchestra.from_file(path)
    assert str(path) in str(raised.value)
    assert not (tmp_path / ".orchestra").exists()


def test_a_folder_is_no_fleet_file(tmp_path):
    with pytest.raises(FleetError, match="cannot be read"):
        Orchestra.from_file(tmp_path)


async def test_the_embedded_fleet_needs_no_file_and_opens_nothing_until_it_is_asked():
    async with Orchestra.embedded(ledger=None) as app:
        assert set(app.fleet.models) == {"small", "strong"}
        assert app.decide(StepContext(Step("p", kind="plan"))).model == "strong"


async def test_decide_calls_nobody_and_raises_where_nobody_may_serve():
    async with app_of([], []) as app:
        context = StepContext(Step("s"), text="x")
        assert app.decide(context) == app.decide(context)
        with pytest.raises(NoCandidate) as raised:
            app.decide(StepContext(Step("s"), data_tags=("hipaa",)))
    assert {one.gate for one in raised.value.rejections} == {"tags"}


async def test_by_default_the_ledger_lies_in_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with app_of(["x"], ledger=Path(".orchestra") / "ledger.db") as app:
        run = (await app.complete("x")).run
    assert Orchestra.__init__.__kwdefaults__["ledger"] == Path(".orchestra") / "ledger.db"
    ledger = Ledger(tmp_path / ".orchestra" / "ledger.db")
    assert [one.run for one in ledger.runs()] == [run]
    ledger.close()


async def test_a_ledger_of_your_own_is_used_as_it_is(tmp_path):
    ledger = Ledger(tmp_path / "mine.db", content=True)
    async with app_of(["answer"], ledger=ledger) as app:
        reply = await app.complete("question")
        (ended,) = events(ledger.events(reply.run), RunEnded)
    assert ended.answer == "answer"


async def test_content_is_kept_only_when_asked_for(tmp_path):
    for content in (False, True):
        async with app_of(["the answer"], ledger=tmp_path / f"{content}.db", content=content) as app:
            run = (await app.complete("the question")).run
            kept = str(app.ledger.events(run))
        assert ("the answer" in kept, "the question" in kept) == (content, content)


async def test_without_a_ledger_nothing_is_written_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with app_of(["x"], ledger=None) as app:
        assert app.ledger.events((await app.complete("x")).run) == []
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_that_cannot_be_opened_is_told_before_anything_runs(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(LedgerError, match="file"):
        app_of([], ledger=tmp_path / "file" / "ledger.db")


async def test_closing_twice_is_closing_once(tmp_path):
    app = app_of(["x"], ledger=tmp_path / "l.db")
    await app.complete("x")
    await app.aclose()
    await app.aclose()


async def test_an_app_that_fails_to_close_one_thing_still_closes_the_rest(tmp_path):
    class Stuck:
        async def aclose(self):
            raise OSError("the pool is stuck")

    app = app_of(["x"], ledger=tmp_path / "l.db", transport=Stuck())
    with pytest.raises(OSError, match="stuck"):
        await app.aclose()
    with pytest.raises(LedgerError):
        app.ledger.events("any")


def test_one_app_and_one_agent_may_be_used_in_one_loop_after_another(tmp_path):
    plan = '{"steps": [{"id": "s1", "goal": "greet", "needs": [], "tools": [], "difficulty": "easy"}]}'

    def answer(request):
        return plan if "split a task" in request["messages"][0]["content"] else "hi"

    app = app_of(answer, answer, ledger=tmp_path / "l.db")
    agent = app.planner_executor()

    async def many():
        return await asyncio.gather(*(agent.ainvoke({"task": "greet"}) for _ in range(5)))

    async def remembered(thread):
        return (await agent.aget_state({"configurable": {"thread_id": thread}})).values["answer"]

    for _ in range(2):
        answers = asyncio.run(many())
        assert [one["answer"] for one in answers] == ["hi"] * 5
        assert asyncio.run(remembered(answers[0]["run"])) == "hi"
    asyncio.run(app.aclose())
