"""Results: one line of JSON per answered question, written at once, so that a killed run can go on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, cast

from benchmarks.agents.judge import judge
from benchmarks.agents.questions import Question
from orchestra.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Result:
    """What one configuration made of one question.

    `digest` is the question's and `fleet` the configuration's fingerprint; `fault` is why the answer is wrong, or why
    there is none. Tokens are input and output together, per model; `usd` is None where a price is unknown.
    """

    configuration: str
    id: str
    repeat: int
    level: str
    digest: str
    fleet: str
    run: str
    state: str
    answer: str
    correct: bool
    fault: str
    seconds: float
    tokens: Mapping[str, int] = field(default_factory=dict[str, int])
    attempts: int = 0
    escalations: int = 0
    replans: int = 0
    triggers: Mapping[str, int] = field(default_factory=dict[str, int])
    usd: float | None = None

    @property
    def key(self) -> tuple[str, str, int]:
        """What it is the result of."""
        return self.configuration, self.id, self.repeat

    @property
    def false_accept(self) -> bool:
        """A wrong answer that the run handed out as done."""
        return self.state == "done" and not self.correct


def marked(result: Result, question: Question) -> Result:
    """The result with its answer judged, also if it was before: a better judge holds for older answers too."""
    if result.state != "done":
        return replace(result, correct=False)
    judged = judge(question.expected, question.text, result.answer)
    return replace(result, correct=judged.correct, fault=judged.reason)


class Results:
    """The results in a file, and those that are added to it."""

    def __init__(self, path: Path, *, resume: bool = False) -> None:
        """Reads what is there. Raises ConfigError where the file is there and not to be resumed, or is broken."""
        self.path = path
        self.found: dict[tuple[str, str, int], Result] = {}
        if path.exists() and path.stat().st_size:
            if not resume:
                raise ConfigError(f"{path} holds results already; give --resume to go on with them, or another --out")
            self._load()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written: {error.strerror}; give another --out FILE") from None

    def add(self, result: Result) -> None:
        """Write a result."""
        self.found[result.key] = result
        self._file.write(json.dumps(asdict(result), ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def check(self, digests: Mapping[str, str], fleets: Mapping[str, str]) -> None:
        """Raises ConfigError where a result is of another question or fleet than those now asked."""
        for one in self.found.values():
            self._same("question", one.id, one.digest, digests.get(one.id, one.digest))
            self._same("configuration", one.configuration, one.fleet, fleets.get(one.configuration, one.fleet))

    def _same(self, what: str, name: str, then: str, now: str) -> None:
        if then != now:
            raise ConfigError(f"{self.path}: {what} {name!r} was another one when it was answered; give another --out")

    def _load(self) -> None:
        """A last line without its end is what a kill left of it: it is cut off, and its question asked again."""
        raw = self.path.read_bytes()
        whole = raw[: raw.rfind(b"\n") + 1]
        if whole != raw:
            self.path.write_bytes(whole)
        for number, line in enumerate(whole.splitlines(), 1):
            result = _read(line, lambda fault, number=number: ConfigError(f"{self.path}, line {number}: {fault}"))
            self.found[result.key] = result


_FIELDS = {one.name for one in fields(Result)}


def _read(line: bytes, error: Callable[[str], ConfigError]) -> Result:
    try:
        value = cast("dict[str, Any]", json.loads(line))
    except (ValueError, RecursionError) as fault:
        raise error(f"is not JSON: {fault}; give another --out") from None
    if not isinstance(value, dict) or set(value) != _FIELDS:  # pyright: ignore[reportUnnecessaryIsInstance]  # a file may hold anything
        raise error("is no result of this benchmark; give another --out")
    return Result(**value)
