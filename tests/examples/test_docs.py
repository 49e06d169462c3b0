"""What the pages of docs/ show: their links lead somewhere, their imports are there, and their fragments run."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from langgraph.graph import START, StateGraph

from orchestra import Orchestra, RecoveryPolicy, tool
from orchestra.dialects import codec
from orchestra.errors import BadRequest, RunOwned
from orchestra.ledger import Ledger, Recorder, RunEnded, StructlogSink
from orchestra.testing import Error, ScriptedModel, scripted_app
from orchestra.types import Message, ModelCard, ModelReply, Request, Step, StepContext, ToolCall
from tests.examples.running import ROOT

PAGES = sorted((ROOT / "docs").rglob("*.md"))
LINKS = sorted(
    {
        (page.relative_to(ROOT).as_posix(), link)
        for page in PAGES
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
        if "://" not in link
    }
)
BLOCKS = [
    (page.relative_to(ROOT / "docs").as_posix(), block)
    for page in PAGES
    for block in re.findall(r"^ *```python\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
]


def fragments(page: str) -> list[str]:
    return [block for name, block in BLOCKS if name == page]


def headings(page: Path) -> set[str]:
    """The anchors of a page: its headings in lower case, punctuation gone, blanks as hyphens."""
    found = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_a_link_leads_to_a_file_and_to_a_heading_in_it(page: str, link: str):
    name, _, heading = link.partition("#")
    target = (ROOT / page).parent / name if name else ROOT / page
    assert target.exists()
    if heading:
        assert heading in headings(target)


@pytest.mark.parametrize("page", sorted({page for page, _ in BLOCKS if not page.startswith("integrations/")}))
def test_what_a_page_imports_is_there(page: str):
    for block in fragments(page):
        found = re.findall(r"^ *from (orchestra[\w.]*) import (.+)$", block, re.MULTILINE)
        for module, names in found:
            for name in names.split("#")[0].split(","):
                assert hasattr(import_module(module), name.strip())


@tool(read_only=True)
def rows(sql: str) -> list[dict[str, str]]:
    """Run one SELECT.

    Args:
        sql: a single SELECT statement
    """
    return [{"sql": sql}]


def ran(block: str, **known: Any) -> dict[str, Any]:
    """What the names of a fragment are once it has run, `known` given."""
    exec(compile(block, "docs", "exec", dont_inherit=True), known)
    return known


def test_checks_judges_a_call_as_shown():
    reply = ModelReply(
        (ToolCall("1", "rows", {"query": "SELECT 1"}, '{"query": "SELECT 1"}'),), "tool_calls", None, "m"
    )
    assert ran(fragments("checks.md")[0], rows=rows, reply=reply)["verdict"].trigger == "schema_violation"


def test_dialects_reads_a_stream_as_shown():
    card = ModelCard("mine", "m-1", "mine", "openai-chat", "efficient")
    chunks = [b'data: {"choices": [{"delta": {"content": "hi"}, "finish_reason": "stop"}]}\n\n', b"data: [DONE]\n\n"]
    request = Request((Message.user("hello"),))
    assert ran(fragments("dialects.md")[0], request=request, card=card, chunks=chunks)["reply"].text == "hi"
    assert codec("openai-chat") is ran(fragments("dialects.md")[0], request=request, card=card, chunks=[])["chat"]


def test_recovery_and_observability_make_the_app_they_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "fleet.toml").write_text((ROOT / "examples" / "fleet.toml").read_text())
    monkeypatch.chdir(tmp_path)
    for block in (fragments("recovery.md")[0], fragments("observability.md")[0]):
        app = ran(block)["app"]
        assert isinstance(app, Orchestra)
        app.close()


def test_recovery_takes_the_overrides_it_shows():
    policy = ran(f"policy = {fragments('recovery.md')[1]}", RecoveryPolicy=RecoveryPolicy)["policy"]
    assert set(policy.overrides) == {"refusal", "tool_error", "low_confidence"}


def test_routing_explains_a_decision_as_shown(capsys: pytest.CaptureFixture[str]):
    decision = ran(fragments("routing.md")[0])["decision"]
    assert decision.model in capsys.readouterr().out
    policy = ran(fragments("routing.md")[1])["tenants_pay"]
    kept = policy(StepContext(Step("s"), tenant="free"), decision.candidates)
    assert [one.rejected for one in kept] == [one.rejected for one in decision.candidates]


async def test_ledger_reads_a_run_as_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    async with scripted_app(ScriptedModel("small", ["hi"]), ledger=Path(".orchestra/ledger.db")) as app:
        reply = await app.complete("hello")
        assert reply.run
        shown = fragments("ledger.md")[0].replace("1k0tw", reply.run[:12])
        assert ran(shown, app=app)["rows"]


def test_ledger_keeps_and_claims_as_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    ledger = Ledger("runs.db")
    known = {"ledger": ledger, "run": "r", "step": "s", "event": RunEnded("done", 1.0), "RunOwned": RunOwned}
    ran(fragments("ledger.md")[1], recorder=Recorder(ledger, "r"), reply_json={"text": "hi"}, **known)
    assert ledger.kept("r", "s") == {}
    ran(fragments("ledger.md")[2], ledger=ledger, run="r", Ledger=Ledger, StructlogSink=StructlogSink)["stop"]()
    ledger.close()


async def test_graphs_repeats_no_node_whose_calls_have_been_tried_again():
    async def research(_: dict[str, str]) -> dict[str, str]:
        return {"note": (await app.complete("hi")).text}

    model = ScriptedModel("small", [Error(400), Error(400)])
    async with scripted_app(model) as app:
        graph = StateGraph(dict)
        ran(fragments("graphs.md")[1], graph=graph, app=app, research=research)
        graph.add_edge(START, "research")
        with pytest.raises(BadRequest):
            await graph.compile().ainvoke({})
    assert len(model.requests) == 1


@pytest.mark.parametrize(("page", "block"), BLOCKS)
def test_a_fragment_is_python(page: str, block: str):
    compile(dedent(block), page, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
