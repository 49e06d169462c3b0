"""Arguments for a tool, made of its schema alone: valid ones, valid ones with something invented, invalid ones."""

from __future__ import annotations

import copy
import json
import random
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import pairwise
from typing import Any, cast

from orchestra.cli.tool_outline import Judge, NoInstances, draft7, judge, named, outline
from orchestra.dialects.loose import is_object, sequence
from orchestra.errors import ConfigError

MADE = 10
CHANGED = 3
_MISSING = "checking tools needs the extra `check`: pip install 'orchestra-agents[check]'"


@dataclass(frozen=True, slots=True)
class Instances:
    """Arguments of one tool. `valid` ones hold only what the schema names, `invented` ones fit it with more in them.

    `fits` judges others by the same schema.
    """

    valid: tuple[dict[str, Any], ...]
    invented: tuple[dict[str, Any], ...]
    invalid: tuple[dict[str, Any], ...]
    fits: Judge = field(compare=False)


def instances(schema: Mapping[str, Any], seed: int) -> Instances:
    """Arguments for a schema, the same for the same seed. Raises NoInstances where none that fit can be made."""
    try:
        return _instances(schema, seed)
    except RecursionError:
        raise NoInstances("its schema is nested too deeply") from None


def _instances(schema: Mapping[str, Any], seed: int) -> Instances:
    from orchestra.checks.validator import draft_of

    shape, fits = outline(schema), judge(schema, draft_of(schema))
    made = [named(value, shape) for value in _made(draft7(shape), seed) if isinstance(value, dict)]
    draw = random.Random(seed)  # noqa: S311  # which arguments are tried is no secret
    both = [_both(one, other) for one, other in pairwise(made)]
    tried = _different([*made, *both, *(changed for value in made for changed in _changed(value, draw))])
    fitting = [value for value in tried if fits(value)]
    plain = [value for value in fitting if named(value, shape) == value]
    if not plain:
        raise NoInstances("no arguments that fit it were found")
    invented = [value for value in fitting if value not in plain]
    invalid = [value for value in tried if fits(value) is False]
    return Instances(tuple(plain), tuple(invented), tuple(invalid), fits)


def ready() -> None:
    """Raises ConfigError where arguments cannot be made at all, for want of packages or for their versions."""
    try:
        _made({"type": "object", "properties": {"a": {"type": "string"}}}, 0)
    except ImportError as error:
        raise ConfigError(f"{_MISSING} ({error.name} is not installed)") from error
    except NoInstances as error:
        versions = ", ".join(f"{name} {version(name)}" for name in ("hypothesis", "hypothesis-jsonschema"))
        raise ConfigError(f"{_MISSING} ({versions} do not work together: {error})") from error


def _made(schema: Any, seed: int) -> list[Any]:
    import hypothesis
    import hypothesis_jsonschema

    from_schema = cast("Any", hypothesis_jsonschema).from_schema  # its annotations are not complete
    found: list[Any] = []
    asked = hypothesis.settings(
        max_examples=MADE,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=cast("Any", list(hypothesis.HealthCheck)),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of formats and patterns that it takes for any text
        try:

            @hypothesis.seed(seed)
            @asked
            @hypothesis.given(value=from_schema(schema))
            def collect(value: Any) -> None:
                found.append(value)

            collect()
        except Exception as error:  # of what it cannot generate it says so in many ways
            if not found:
                raise NoInstances(f"{type(error).__name__}: {str(error)[:200]}") from error
    return found


def _changed(value: dict[str, Any], draw: random.Random) -> Iterator[dict[str, Any]]:
    """The value with something else in one place, some times over, and with a property that nobody named."""
    places = [place for place in _places(value) if place]
    for place in draw.sample(places, min(CHANGED, len(places))):
        result = copy.deepcopy(value)
        holder: Any = result
        for step in place[:-1]:
            holder = holder[step]
        if draw.random() < _LEFT_OUT:
            del holder[place[-1]]
        else:
            was = holder[place[-1]]
            holder[place[-1]] = draw.choice((*_OTHERS, [was], {"invented": was}))
        yield result
    yield {**value, "invented": draw.choice((1, None, "x"))}


_LEFT_OUT = 0.2
_OTHERS: tuple[Any, ...] = (None, True, 7, -1.5, 10**12, "", "zz", [], {})


def _both(one: Any, other: Any) -> Any:
    """One value with what another has besides: where there are alternatives, it may hold what two of them name."""
    if is_object(one) and is_object(other):
        return {**other, **{name: _both(item, other.get(name)) for name, item in one.items()}}
    if items := sequence(one):
        others = sequence(other)
        return [*map(_both, items, others), *items[len(others) :]]
    return one


def _places(value: Any, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield above
    inner = value.items() if is_object(value) else enumerate(sequence(value))
    for step, item in inner:
        yield from _places(item, (*above, step))


def _different(values: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({json.dumps(value, sort_keys=True): value for value in values}.values())
