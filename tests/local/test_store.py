from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import pytest

from orchestra.errors import WeightsError
from orchestra.local import EMBEDDED, WeightStore
from orchestra.local.lock import held
from tests.local.doubles import Heard, Memory, weights_of

DATA = bytes(range(256)) * 4
TINY = weights_of(DATA)
SMALL = EMBEDDED["qwen2.5-coder-0.5b-instruct"]


def put(store: WeightStore, name: str, data: bytes) -> Path:
    store.root.mkdir(parents=True, exist_ok=True)
    path = store.root / name
    path.write_bytes(data)
    return path


def test_a_pulled_file_is_named_by_its_hash_and_the_second_pull_asks_nobody(tmp_path: Path) -> None:
    source = Memory(DATA)
    store = WeightStore(tmp_path / "höhle" / "weights", [source])

    path = store.pull(TINY)

    assert path == store.path(TINY.sha256) == tmp_path / "höhle" / "weights" / f"{TINY.sha256}.gguf"
    assert path.read_bytes() == DATA
    assert store.pull(TINY) == path
    assert source.asked == [0]


def test_an_interrupted_pull_goes_on_where_it_stopped_whichever_source_serves_the_rest(tmp_path: Path) -> None:
    cut, other = Memory(DATA, "cut", stop=500), Memory(DATA, "other")

    path = WeightStore(tmp_path, [cut, other]).pull(TINY)

    assert (cut.asked, other.asked) == ([0], [500])
    assert path.read_bytes() == DATA
    assert not list(tmp_path.glob("*.part"))


def test_what_had_arrived_is_kept_when_every_source_fails(tmp_path: Path) -> None:
    with pytest.raises(WeightsError):
        WeightStore(tmp_path, [Memory(DATA, stop=300)]).pull(TINY)
    source = Memory(DATA)

    WeightStore(tmp_path, [source]).pull(TINY)

    assert source.asked == [300]


def test_progress_says_how_far_it_is_and_which_source_failed_why(tmp_path: Path) -> None:
    heard = Heard()

    WeightStore(tmp_path, [Memory(DATA, "cut", stop=500), Memory(DATA)]).pull(TINY, heard)

    assert heard.notes == ["from the cut", "failed: the line went dead", "from the memory"]
    assert heard.marks == sorted(heard.marks)
    assert heard.marks[-1] == (len(DATA), len(DATA))


def test_wrong_bytes_are_refused_and_deleted_and_the_next_source_is_asked_from_the_start(tmp_path: Path) -> None:
    wrong, right = Memory(DATA[::-1], "wrong"), Memory(DATA, "right")
    heard = Heard()

    path = WeightStore(tmp_path, [wrong, right]).pull(TINY, heard)

    assert right.asked == [0]
    assert path.read_bytes() == DATA
    assert "refused and deleted" in heard.notes[1]
    assert hashlib.sha256(DATA[::-1]).hexdigest()[:12] in heard.notes[1]


def test_wrong_bytes_never_become_a_file_of_the_store(tmp_path: Path) -> None:
    store = WeightStore(tmp_path, [Memory(DATA[::-1])])

    with pytest.raises(WeightsError, match="refused and deleted"):
        store.pull(TINY)

    assert store.list() == ()


def test_a_wrong_beginning_is_not_blamed_on_the_source_that_went_on(tmp_path: Path) -> None:
    source = Memory(DATA)
    store = WeightStore(tmp_path, [source])
    put(store, f"{TINY.sha256}.part", b"x" * 300)

    path = store.pull(TINY)

    assert source.asked == [300, 0]
    assert path.read_bytes() == DATA


@pytest.mark.parametrize("left", [DATA, DATA + b"more"])
def test_a_part_that_is_already_long_enough_is_judged_by_its_hash(tmp_path: Path, left: bytes) -> None:
    source = Memory(DATA)
    store = WeightStore(tmp_path, [source])
    put(store, f"{TINY.sha256}.part", left)

    assert store.pull(TINY).read_bytes() == DATA
    assert source.asked == ([] if left == DATA else [0])


def test_a_source_that_never_ends_is_cut_off(tmp_path: Path) -> None:
    class Endless:
        name = "endless"

        def read(self, *_: object) -> repeat[bytes]:
            return repeat(b"0" * 100)

    with pytest.raises(WeightsError, match=r"1100 bytes .* expected 1024 bytes"):
        WeightStore(tmp_path, [Endless()]).pull(TINY)


def test_a_source_that_ends_early_is_said_to_have(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="the file ended after 1000 of 1024 bytes"):
        WeightStore(tmp_path, [Memory(DATA[:1000])]).pull(TINY)


def test_when_nobody_serves_the_error_says_what_was_tried_and_what_to_set_instead(tmp_path: Path) -> None:
    store = WeightStore(tmp_path, [Memory(DATA, "first", stop=0), Memory(DATA, "second", stop=0)])

    with pytest.raises(WeightsError) as caught:
        store.pull(TINY)

    text = str(caught.value)
    assert "tiny" in text
    assert "first: the line went dead" in text
    assert "second: the line went dead" in text
    assert 'weights = "/path/to/model.gguf"' in text
    assert "base_url" in text
    assert str(tmp_path / f"{TINY.sha256}.gguf") in text


def test_a_damaged_file_is_replaced_by_the_next_pull(tmp_path: Path) -> None:
    store = WeightStore(tmp_path, [Memory(DATA)])
    put(store, f"{TINY.sha256}.gguf", DATA[:-1] + b"!")
    heard = Heard()

    assert store.pull(TINY, heard).read_bytes() == DATA
    assert "holds other bytes" in heard.notes[0]


def test_disk_space_is_checked_before_any_source_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=723))
    source = Memory(DATA)
    store = WeightStore(tmp_path, [source])

    with pytest.raises(WeightsError, match="MB free; free some space, or set ORCHESTRA_WEIGHTS"):
        store.pull(TINY)
    assert source.asked == []

    put(store, f"{TINY.sha256}.part", DATA[:301])  # only the rest needs room
    assert store.pull(TINY).read_bytes() == DATA


def test_a_store_that_cannot_be_written_is_named_with_the_variable_that_moves_it(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(WeightsError, match=r"taken.* cannot be used.* set ORCHESTRA_WEIGHTS"):
        WeightStore(tmp_path / "taken", [Memory(DATA)]).pull(TINY)


def test_pulls_at_the_same_time_download_once(tmp_path: Path) -> None:
    source = Memory(DATA)

    with ThreadPoolExecutor(20) as pool:
        paths = set(pool.map(lambda _: WeightStore(tmp_path, [source]).pull(TINY), range(20)))

    assert len(paths) == 1
    assert source.asked == [0]


def test_whoever_waits_for_another_pull_is_told(tmp_path: Path) -> None:
    store, told = WeightStore(tmp_path, [Memory(DATA)]), Event()
    heard = Heard()
    heard.note = lambda text: (heard.notes.append(text), told.set())

    with ThreadPoolExecutor(1) as pool:
        with held(tmp_path / f"{TINY.sha256}.lock", lambda: None):
            pulling = pool.submit(store.pull, TINY, heard)
            assert told.wait(30)
        pulling.result(30)

    assert heard.notes[0] == "another pull is at work; waiting for it"


def test_a_killed_pull_frees_its_lock_and_leaves_what_had_arrived(tmp_path: Path) -> None:
    block = 1 << 17
    data = os.urandom(3 * block)
    (tmp_path / "data").write_bytes(data)
    victim = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        from orchestra.local import WeightStore
        from tests.local.doubles import weights_of

        data = Path(sys.argv[1], "data").read_bytes()

        class Stalls:
            name = "stalls"
            def read(self, weights, offset, scratch):
                yield data[: 1 << 17]
                yield data[1 << 17 : 2 << 17]
                print("stalled", flush=True)
                time.sleep(600)

        WeightStore(sys.argv[1], [Stalls()]).pull(weights_of(data))
    """)
    with subprocess.Popen([sys.executable, "-c", victim, tmp_path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "stalled\n"
        process.send_signal(signal.SIGKILL)
    source = Memory(data, block=block)

    path = WeightStore(tmp_path, [source]).pull(weights_of(data))

    assert source.asked == [2 * block]
    assert path.read_bytes() == data


def test_verify_hashes_the_file_again_and_deletes_a_wrong_one(tmp_path: Path) -> None:
    store = WeightStore(tmp_path, [Memory(DATA)])
    path = store.pull(TINY)
    assert store.verify(TINY) == path
    path.write_bytes(b"tampered")

    with pytest.raises(WeightsError, match=r"held other bytes .* was deleted; .*orchestra models pull tiny"):
        store.verify(TINY)

    assert not path.exists()
    with pytest.raises(WeightsError, match=r"not in .*orchestra models pull tiny"):
        store.verify(TINY)


def test_list_shows_known_unknown_and_unfinished_files_and_nothing_else(tmp_path: Path) -> None:
    store = WeightStore(tmp_path, [])
    known = put(store, f"{SMALL.sha256}.part", b"123")
    unknown = put(store, f"{TINY.sha256}.gguf", DATA)
    put(store, f"{SMALL.sha256}.lock", b"")
    put(store, "README", b"")

    stored = store.list()

    assert [(one.path, one.size, one.complete, one.name) for one in stored] == [
        (known, 3, False, SMALL.name),
        (unknown, 1024, True, None),
    ]
    assert stored[1].sha256 == TINY.sha256


def test_a_store_that_was_never_used_lists_nothing(tmp_path: Path) -> None:
    assert WeightStore(tmp_path / "never").list() == ()


def test_remove_deletes_the_file_and_what_interrupted_pulls_left(tmp_path: Path) -> None:
    store = WeightStore(tmp_path, [])
    put(store, f"{TINY.sha256}.gguf", DATA)
    put(store, f"{TINY.sha256}.part", b"123")
    (tmp_path / f"{TINY.sha256}.wheels").mkdir()
    other = put(store, f"{SMALL.sha256}.gguf", b"stays")

    assert store.remove(TINY) == 1027

    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".lock"] == [other.name]


def test_removing_what_is_not_there_names_what_is(tmp_path: Path) -> None:
    store = WeightStore(tmp_path, [])
    with pytest.raises(WeightsError, match="which holds: nothing"):
        store.remove(TINY)
    put(store, f"{SMALL.sha256}.gguf", b"")
    with pytest.raises(WeightsError, match=f"which holds: {SMALL.name}"):
        store.remove(TINY)


def test_the_store_lies_where_orchestra_weights_says_else_in_the_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRA_WEIGHTS", "~/models")
    assert WeightStore().root == Path.home() / "models"
    monkeypatch.delenv("ORCHESTRA_WEIGHTS")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/me")
    assert WeightStore().root == Path("/var/cache/me/orchestra/weights")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert WeightStore().root == Path.home() / ".cache" / "orchestra" / "weights"
