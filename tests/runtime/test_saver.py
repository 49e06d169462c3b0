"""The app's own saver: LangGraph's tables, used from any event loop, and as durable as the ledger."""

import asyncio
import json
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal

import ormsgpack
import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.base import empty_checkpoint

from orchestra.errors import ConfigError
from orchestra.runtime.checkpoints import Checkpoints

PLACE = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}


async def put(saver, **metadata):
    return await saver.aput(PLACE, empty_checkpoint(), {"source": "input", "step": 0, **metadata}, {})


def test_event_loops_one_after_the_other_share_the_file(tmp_path):
    checkpoints = Checkpoints(tmp_path / "deep" / "checkpoints.db")

    async def there():
        return await checkpoints.saver().aget_tuple(PLACE)

    async def write():
        return await put(checkpoints.saver())

    written = asyncio.run(write())
    found = asyncio.run(there())
    assert found.config == written
    asyncio.run(checkpoints.aclose())
    asyncio.run(checkpoints.aclose())
    assert asyncio.run(there()).config == written
    asyncio.run(checkpoints.aclose())


async def test_a_threads_checkpoints_are_listed_newest_first_and_may_be_deleted(tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints.db")
    saver = checkpoints.saver()
    placed = [await put(saver, step=step) for step in range(3)]
    await saver.aput_writes(placed[-1], [("channel", "value")], "task")
    listed = [one async for one in saver.alist(PLACE)]
    assert sorted(one.metadata["step"] for one in listed) == [0, 1, 2]
    assert [one async for one in saver.alist(PLACE, limit=1)] == listed[:1]
    assert [one.metadata["step"] async for one in saver.alist(PLACE, filter={"step": 1})] == [1]
    assert [write for one in listed for write in one.pending_writes] == [("task", "channel", "value")]
    await saver.adelete_thread("t")
    assert [one async for one in saver.alist(PLACE)] == []
    await checkpoints.aclose()


async def test_while_checkpoints_are_listed_others_may_be_written(tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints.db")
    saver = checkpoints.saver()
    await put(saver)
    async for _ in saver.alist(PLACE):
        await put(saver)
    assert len([one async for one in saver.alist(PLACE)]) == 2
    await checkpoints.aclose()


async def test_the_file_is_the_owners_and_survives_a_killed_process(tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints.db")
    saver = checkpoints.saver()
    assert saver.conn.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert saver.conn.execute("PRAGMA synchronous").fetchone() == (1,)
    assert (tmp_path / "checkpoints.db").stat().st_mode & 0o777 == 0o600
    await checkpoints.aclose()


async def test_a_file_of_something_else_is_refused_and_not_left_open(tmp_path):
    path = tmp_path / "checkpoints.db"
    path.write_bytes(b"no database " * 100)
    with pytest.raises(ConfigError, match="cannot be used: file is not a database; give the ledger another path"):
        Checkpoints(path).saver()
    assert path.read_bytes() == b"no database " * 100


async def test_the_file_and_what_sqlite_puts_beside_it_are_their_owners_alone_from_the_first_moment(
    tmp_path, monkeypatch
):
    path, modes = tmp_path / "checkpoints.db", []
    connect = sqlite3.connect

    def watched(*args, **options):
        modes.append(path.stat().st_mode & 0o777)
        return connect(*args, **options)

    monkeypatch.setattr(sqlite3, "connect", watched)
    before = os.umask(0)
    try:
        checkpoints = Checkpoints(path)
        await put(checkpoints.saver())
    finally:
        os.umask(before)
    assert modes == [0o600]
    assert {one.name: one.stat().st_mode & 0o777 for one in tmp_path.iterdir()} == dict.fromkeys(
        ("checkpoints.db", "checkpoints.db-wal", "checkpoints.db-shm"), 0o600
    )
    for one in tmp_path.iterdir():
        one.chmod(0o644)  # as an earlier version made them
    again = Checkpoints(path)
    again.saver()
    assert {one.stat().st_mode & 0o777 for one in tmp_path.iterdir()} == {0o600}
    await again.aclose()
    await checkpoints.aclose()


async def test_new_checkpoints_that_another_process_is_about_to_make_are_waited_for(tmp_path, monkeypatch):
    file = tmp_path / "checkpoints.db"
    checkpoints = Checkpoints(file)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr("time.sleep", lambda _: other.execute("ROLLBACK"))  # while this one waits
        assert await put(checkpoints.saver())
    await checkpoints.aclose()


async def test_a_file_that_a_stranger_wrote_calls_no_function(tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints.db")
    saver = checkpoints.saver()
    placed = await put(saver)
    made = tmp_path / "made"
    call = ormsgpack.Ext(0, ormsgpack.packb(("os", "mkdir", str(made))))  # LangGraph's form of a call with one argument
    written = ormsgpack.packb(empty_checkpoint() | {"channel_values": {"answer": call}})
    saver.conn.execute("UPDATE checkpoints SET checkpoint = ?", (written,))
    await saver.aput_writes(placed, [("channel", "value")], "task")
    saver.conn.execute("UPDATE writes SET value = ?", (ormsgpack.packb(call),))
    found = await saver.aget_tuple(PLACE)
    assert found.checkpoint["channel_values"] == {"answer": str(made)}
    assert found.pending_writes == [("task", "channel", str(made))]
    assert not made.exists()
    await checkpoints.aclose()


async def test_what_a_file_names_in_langgraphs_older_form_stays_json(tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints.db")
    saver = checkpoints.saver()
    prompt = {
        "lc": 1,
        "type": "constructor",
        "id": ["langchain_core", "prompts", "prompt", "PromptTemplate"],
        "kwargs": {"template": "{a}", "input_variables": ["a"]},
    }
    await saver.aput_writes(await put(saver), [("channel", "value")], "task")
    saver.conn.execute("UPDATE writes SET type = 'json', value = ?", (json.dumps(prompt).encode(),))
    assert (await saver.aget_tuple(PLACE)).pending_writes == [("task", "channel", prompt)]
    await checkpoints.aclose()


@dataclass
class Counted:
    """What a graph of somebody else keeps in its state."""

    times: int


async def test_types_of_ones_own_come_back_as_what_they_were_made_of(tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints.db")
    saver = checkpoints.saver()
    values = [Counted(1), Decimal("0.1"), HumanMessage("hi", id="1")]
    await saver.aput_writes(await put(saver), [("channel", values)], "task")
    assert (await saver.aget_tuple(PLACE)).pending_writes == [("task", "channel", [{"times": 1}, *values[1:]])]
    await checkpoints.aclose()
