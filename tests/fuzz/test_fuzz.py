"""A seeded sample of what `make fuzz` does, and that the harness finds what it looks for."""

from __future__ import annotations

import runpy
import sys

import pytest

from orchestra.dialects.reading import Streamed
from orchestra.dialects.tool_schema import CompiledTool
from orchestra.types import CallFault, ModelReply, TextDelta
from tests.fuzz.replies import DIALECTS
from tests.fuzz.schemas import bent, tools
from tests.fuzz.streams import fuzz

SEED = 1
STREAMS = 2_000
SCHEMAS = 150


def first(dialect: str = "openai-chat", streams: int = 2_000) -> str:
    """What is wrong with the first stream that anything is wrong with."""
    return next((one.what for one in fuzz(dialect, streams, SEED) if one), "")


def takes_anything(self):
    """Closes a stream as if it had ended, whether or not it has."""
    draft = self._reading.draft
    draft.finish = draft.finish or "stop"
    return draft.reply()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_stream_however_broken_raises_passes_for_a_reply_or_depends_on_how_it_is_split(dialect):
    found = [one for one in fuzz(dialect, STREAMS, SEED) if one]
    assert not found, f"seed {SEED}\n" + "\n".join(map(str, found[:5]))


def test_no_schema_loses_anything_in_any_dialect():
    checked, found = bent(tools(SCHEMAS, SEED))
    assert not found, f"seed {SEED}\n" + "\n".join(found)
    assert checked.tools == SCHEMAS
    assert len(checked.unchecked) + len(checked.faulty) < SCHEMAS / 20, (checked.unchecked, checked.faulty)


def test_a_reader_that_takes_a_cut_stream_for_a_reply_is_found(monkeypatch):
    monkeypatch.setattr(Streamed, "close", takes_anything)
    assert "it passed for a reply" in first()


def test_a_reader_that_raises_is_found(monkeypatch):
    feed = Streamed.feed

    def fails(self, chunk):
        if b"\xff" in chunk:
            raise KeyError("x")
        return feed(self, chunk)

    monkeypatch.setattr(Streamed, "feed", fails)
    assert first() == "raised KeyError: 'x'"


def test_a_reader_for_which_the_splitting_matters_is_found(monkeypatch):
    feed = Streamed.feed

    def forgets(self, chunk):
        return feed(self, chunk.removeprefix(b"\n") if len(chunk) > 1 else chunk)

    monkeypatch.setattr(Streamed, "feed", forgets)
    assert "split in" in first()


def test_a_reader_that_tells_more_than_it_replies_is_found(monkeypatch):
    close = Streamed.close

    def loses(self):
        said = close(self)
        return said if isinstance(said, CallFault) else ModelReply((), said.finish)

    monkeypatch.setattr(Streamed, "close", loses)
    assert "the deltas say" in first()
    monkeypatch.setattr(Streamed, "feed", lambda self, chunk: (TextDelta("x"),))
    assert first()


def test_a_compiler_that_narrows_is_found(monkeypatch):
    def strict(tool, dialect):
        schema = {**tool.schema, "required": sorted(tool.schema.get("properties", {})), "additionalProperties": False}
        return CompiledTool(tool.name, {"function": {"parameters": schema}}, dict, dict)

    monkeypatch.setattr("orchestra.cli.tool_check.compile_tool", strict)
    monkeypatch.setattr("tests.fuzz.schemas.DIALECTS", ("openai-chat",))
    _, found = bent(tools(10, SEED))
    assert any('"kind": "narrowed"' in line for line in found)


def test_the_command_prints_figures_with_their_seed_and_fails_on_findings(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["fuzz", "--streams", "50", "--schemas", "4", "--seed", "7"])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("tests.fuzz", run_name="__main__")
    told = capsys.readouterr().out.splitlines()
    assert (end.value.code, told[-1]) == (0, "fuzz: seed 7, 0 findings")
    assert told[0].startswith("fuzz: openai-chat: 50 streams, 0 findings, ")
    monkeypatch.setattr(Streamed, "close", takes_anything)
    with pytest.raises(SystemExit) as end:
        runpy.run_module("tests.fuzz", run_name="__main__")
    assert end.value.code == 1
    assert "passed for a reply" in capsys.readouterr().err
