"""Whether tools keep their meaning in a dialect: each is compiled, and judged by arguments made of its own schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestra.checks import arguments_fault, violations
from orchestra.cli.tool_instances import Instances, instances
from orchestra.cli.tool_outline import Judge, NoInstances, judge
from orchestra.dialects.tool_schema import CompiledTool, as_json_schema, compile_tool
from orchestra.types import Json, ToolSpec

EXAMPLES = 3


@dataclass(slots=True)
class Tally:
    """One dialect's figures, in tools. `lost` is true where a tool does not mean there what it was declared to mean.

    `narrowed`: arguments that fit the original, with nothing invented, are refused once they are encoded. `widened`:
    the translation takes arguments that the original does not, and local validation does not notice. `roundtrip`:
    arguments come back changed. `ambiguous`: what changed is only a null where a property may be absent too.
    """

    compiled: int = 0
    strict: int = 0
    renamed: int = 0
    raised: int = 0
    narrowed: int = 0
    widened: int = 0
    roundtrip: int = 0
    ambiguous: int = 0
    examples: list[dict[str, Json]] = field(default_factory=list[dict[str, Json]])

    @property
    def lost(self) -> bool:
        """Whether anything is."""
        return bool(self.raised or self.narrowed or self.widened or self.roundtrip)

    def count(self, tool: str, found: Iterable[Finding]) -> None:
        """Takes in what was found of one tool: each kind once, and a few examples of it."""
        seen: set[str] = set()
        for one in found:
            if one.kind not in seen:
                setattr(self, one.kind, getattr(self, one.kind) + 1)
                seen.add(one.kind)
                if sum(each["kind"] == one.kind for each in self.examples) < EXAMPLES:
                    self.examples.append({"tool": tool, "kind": one.kind, **one.shown})


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be: a field of Tally, and the arguments or the error that show it."""

    kind: str
    shown: Mapping[str, Json]


@dataclass(slots=True)
class Checked:
    """What became of the tools; `unchecked` are those that only were compiled, and why no arguments could be made.

    `faulty` are those whose schema is not valid, by their number among the tools, and what is wrong with it.
    """

    dialects: dict[str, Tally]
    tools: int = 0
    valid: int = 0
    invented: int = 0
    invalid: int = 0
    unchecked: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    faulty: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])

    @property
    def failed(self) -> bool:
        """Whether a schema is not valid, or anything is lost in a dialect."""
        return bool(self.faulty) or any(tally.lost for tally in self.dialects.values())


def check(
    tools: Sequence[ToolSpec], dialects: Iterable[str], seed: int, told: Callable[[], None] = lambda: None
) -> Checked:
    """Compiles every tool for every dialect and judges it; the same arguments for all dialects. `told` after each."""
    checked = Checked({dialect: Tally() for dialect in dialects})
    for number, tool in enumerate(tools):
        checked.tools += 1
        if fault := arguments_fault(tool.schema):
            checked.faulty.append((number, fault))
            told()
            continue
        made = _made(tool, seed, checked)
        for dialect, tally in checked.dialects.items():
            _count(tool, dialect, made, tally)
        told()
    return checked


def _made(tool: ToolSpec, seed: int, checked: Checked) -> Instances | None:
    try:
        made = instances(tool.schema, seed)
    except NoInstances as error:
        checked.unchecked.append((tool.name, str(error)))
        return None
    checked.valid += len(made.valid)
    checked.invented += len(made.invented)
    checked.invalid += len(made.invalid)
    return made


def _count(tool: ToolSpec, dialect: str, made: Instances | None, tally: Tally) -> None:
    try:
        compiled = compile_tool(tool, dialect)
        takes = judge(as_json_schema(compiled, dialect))
        found = list(_Trial(tool, compiled, takes, made).findings()) if made else []
    except Exception as error:  # noqa: BLE001  # that it raises, whatever it raises, is what is counted
        tally.count(tool.name, [Finding("raised", {"error": f"{type(error).__name__}: {error}"[:600]})])
        return
    tally.compiled += 1
    tally.strict += compiled.strict
    tally.renamed += compiled.name != tool.name
    tally.count(tool.name, found)


class _Trial:
    """One tool in one dialect, under the arguments made for it."""

    def __init__(self, tool: ToolSpec, compiled: CompiledTool, takes: Judge, made: Instances) -> None:
        self._tool, self._compiled, self._takes, self._made = tool, compiled, takes, made

    def findings(self) -> Iterator[Finding]:
        """What is not as it should be; several findings may tell the same of other arguments."""
        for arguments in self._made.valid:
            encoded = _sent(self._compiled.encode(arguments))
            if self._takes(encoded) is not True:
                yield Finding("narrowed", {"arguments": arguments, "encoded": encoded})
            yield from self._back(arguments, encoded)
        for arguments in self._made.invented:
            yield from self._back(arguments, _sent(self._compiled.encode(arguments)))
        for arguments in self._made.invalid:
            yield from self._wider(_sent(self._compiled.encode(arguments)))

    def _back(self, arguments: dict[str, Any], encoded: Any) -> Iterator[Finding]:
        decoded: Any = self._compiled.decode(encoded)
        if _text(decoded) != _text(arguments):
            same = _text(_without_nulls(decoded)) == _text(_without_nulls(arguments)) and self._made.fits(decoded)
            kind = "ambiguous" if same else "roundtrip"
            yield Finding(kind, {"arguments": arguments, "encoded": encoded, "decoded": decoded})

    def _wider(self, encoded: Any) -> Iterator[Finding]:
        if self._takes(encoded) is not True:
            return
        decoded: Any = self._compiled.decode(encoded)
        if self._made.fits(decoded) is False and not violations(self._tool.schema, decoded):
            yield Finding("widened", {"encoded": encoded, "decoded": decoded})


def _sent(arguments: object) -> Any:
    """As it arrives when a model has written it."""
    return json.loads(_text(arguments))


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}  # type: ignore[reportUnknownVariableType]  # any JSON
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value  # type: ignore[reportUnknownVariableType]  # any JSON
