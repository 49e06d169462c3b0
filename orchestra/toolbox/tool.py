"""Tool: a function that a model may call, declared once by its signature and docstring."""

from __future__ import annotations

import functools
import inspect
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast, overload

from orchestra.checks import arguments_fault, violations
from orchestra.errors import ToolError
from orchestra.toolbox.docstring import read_docstring
from orchestra.toolbox.faults import ToolRejected
from orchestra.toolbox.run import run
from orchestra.toolbox.signature import KEY, Converted, read_signature
from orchestra.types import Json, ToolSpec

MAX_RESULT = 10_000


def _as_given(arguments: Mapping[str, Json]) -> Converted:
    return dict(arguments), []


@dataclass(frozen=True, slots=True, eq=False)
class Tool:
    """A declaration and, where it can run here, its function; calling the tool calls the function as it was.

    `timeout` in seconds, `max_result` in characters. `wants_key`: its function takes an `idempotency_key`, which
    makes it idempotent. Made by `@tool` or `Tool.from_schema`.
    """

    spec: ToolSpec
    fn: Callable[..., Any] | None = None
    timeout: float | None = None
    max_result: int = MAX_RESULT
    convert: Callable[[Mapping[str, Json]], Converted] = _as_given
    wants_key: bool = False

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ToolError("a tool has an empty name; give it one, such as name='rows'")
        if self.timeout is not None and not self.timeout > 0:
            raise ToolError(f"tool {self.name!r}: timeout is {self.timeout!r}; give seconds above 0, or None")
        if self.max_result < 1:
            raise ToolError(f"tool {self.name!r}: max_result is {self.max_result!r}; give characters above 0")

    @classmethod
    def from_schema(
        cls,
        name: str,
        description: str,
        schema: Mapping[str, Json],
        fn: Callable[..., Any] | None = None,
        *,
        read_only: bool = False,
        idempotent: bool = False,
        needs_approval: bool = False,
        timeout: float | None = None,
        max_result: int = MAX_RESULT,
    ) -> Tool:
        """A tool of raw JSON Schema, kept as it is; `fn` takes the arguments by keyword, without conversion.

        Without `fn` calls can be judged but not executed. Raises ToolError where the schema is none of an object.
        """
        _check_schema(name, schema)
        spec = ToolSpec(name, description, schema, read_only, idempotent, needs_approval)
        return cls(spec, fn, timeout, max_result)

    @property
    def name(self) -> str:
        """The name models call it by."""
        return self.spec.name

    @property
    def description(self) -> str:
        """What models are told about it."""
        return self.spec.description

    @property
    def schema(self) -> Mapping[str, Json]:
        """JSON Schema of its arguments."""
        return self.spec.schema

    @property
    def read_only(self) -> bool:
        """True where a call changes nothing, so it may run again."""
        return self.spec.read_only

    @property
    def idempotent(self) -> bool:
        """True where running the same call twice does what running it once does."""
        return self.spec.idempotent

    @property
    def needs_approval(self) -> bool:
        """True where a person must agree to each call."""
        return self.spec.needs_approval

    @property
    def converts(self) -> bool:
        """True where a call that fits the schema may still be refused: by types or validators of the function's."""
        return self.convert is not _as_given

    def validate(self, arguments: object) -> list[str]:
        """What is wrong with a call's arguments, one fault a text; empty: nothing. No JSON type is coerced."""
        return self._read(arguments)[1]

    async def call(
        self,
        arguments: object,
        *,
        timeout: float | None = None,  # noqa: ASYNC109  # enforced below
        idempotency_key: str = "",
    ) -> object:
        """Validate, convert and run; the function's value. The shorter of `timeout` and the tool's own holds.

        A tool that wants a key and is given none gets a fresh one: two calls must never share an empty key.
        Raises ToolRejected where the arguments do not fit, ToolTimeout, ToolError without a function, and whatever
        the function raises. What a timeout means for a sync function: see `run`.
        """
        if self.fn is None:
            raise ToolError(f"tool {self.name!r} is only a declaration; give Tool.from_schema its fn to execute it")
        values, faults = self._read(arguments)
        if faults:
            raise ToolRejected("\n".join(faults))
        if self.wants_key:
            values[KEY] = idempotency_key or uuid.uuid4().hex
        limits = [limit for limit in (timeout, self.timeout) if limit is not None]
        return await run(self.fn, values, timeout=min(limits, default=None))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function as it was, without validation, conversion or timeout."""
        if self.fn is None:
            raise ToolError(f"tool {self.name!r} is only a declaration; give Tool.from_schema its fn to call it")
        return self.fn(*args, **kwargs)

    def _read(self, arguments: object) -> Converted:
        if not isinstance(arguments, Mapping):
            return {}, [f"expected an object of arguments, got {type(arguments).__name__}"]
        given = cast("Mapping[str, Json]", arguments)
        faults = violations(self.schema, given)
        return ({}, list(faults)) if faults else self.convert(given)


@overload
def tool(fn: Callable[..., Any], /) -> Tool: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    read_only: bool = False,
    idempotent: bool = False,
    needs_approval: bool = False,
    timeout: float | None = None,
    max_result: int = MAX_RESULT,
    terms: Sequence[str] = (),
) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    read_only: bool = False,
    idempotent: bool = False,
    needs_approval: bool = False,
    timeout: float | None = None,
    max_result: int = MAX_RESULT,
    terms: Sequence[str] = (),
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a function a Tool: its schema from the annotations, its texts from the Google-style docstring.

    `read_only`: changes nothing. `idempotent`: twice is as good as once. `needs_approval`: a person agrees to each
    call. A parameter `idempotency_key: str` is filled in by the runtime, the same for every try of one call, and no
    model sees it. `timeout` in seconds; `max_result` in characters; `terms` as in ToolSpec. Raises ToolError naming
    the parameter that cannot be declared to a model: without annotation, `*args`, `**kwargs`, a type JSON Schema
    cannot say.
    """
    frame = inspect.currentframe()
    known = dict(frame.f_back.f_locals) if frame and frame.f_back else {}  # types local to the decorating function

    def decorate(fn: Callable[..., Any]) -> Tool:
        called = name or _name(fn)
        if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
            raise ToolError(f"tool {called!r} is a generator; return a list instead, a model reads the whole result")
        about, texts = read_docstring(inspect.getdoc(_inner(fn)))
        signature = read_signature(fn, called, texts, known)
        text = about if description is None else description
        repeatable = idempotent or signature.wants_key
        spec = ToolSpec(called, text, signature.schema, read_only, repeatable, needs_approval, tuple(terms))
        return Tool(spec, fn, timeout, max_result, signature.convert, signature.wants_key)

    return decorate if fn is None else decorate(fn)


def _inner(fn: Any) -> Any:
    return fn.func if isinstance(fn, functools.partial) else fn  # type: ignore[return-value]  # the stubs know no such form


def _name(fn: Callable[..., Any]) -> str:
    name = getattr(_inner(fn), "__name__", "") or type(fn).__name__
    if not name.isidentifier():
        raise ToolError(f"{fn!r} has no name a model could call; give it one: tool(name=...)")
    return name


def _check_schema(name: str, schema: Mapping[str, Json]) -> None:
    if fault := arguments_fault(schema):
        raise ToolError(f"tool {name!r}: the schema is not valid {fault}")
