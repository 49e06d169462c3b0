"""calculator: arithmetic a model can trust, by an evaluator of its own: exact fractions, no names, bounded powers."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from decimal import Context, Decimal
from fractions import Fraction

from orchestra.toolbox import ToolFailed, ToolRejected, tool

LONGEST = 1_000  # characters of an expression
BITS = 10_000  # of any number on the way
_EXACT = 40  # digits shown before a result is rounded
_ROUNDED = 15  # significant digits of a rounded result
_CONTEXT = Context(prec=50)
_SIGNS = str.maketrans("×÷−–", "*/--")  # noqa: RUF001  # the signs that people and models write


@tool(read_only=True, idempotent=True)
def calculator(expression: str) -> str:
    """Compute an arithmetic expression: + - * / // % **, parentheses, abs, max, min, round, sqrt, sum.

    Args:
        expression: numbers that were found, joined by operators
    """
    return _text(evaluate(expression))


def evaluate(expression: str) -> Fraction:
    """The exact value; roots and fractional powers to 50 digits. `//` rounds down, `round` takes halves away from 0.

    Raises ToolRejected saying what is not understood, ToolFailed where it is not defined.
    """
    if len(expression) > LONGEST:
        raise ToolRejected(f"the expression has {len(expression):,} characters, {LONGEST:,} at most; split it")
    source = expression.translate(_SIGNS).strip()
    try:
        return _value(ast.parse(source, mode="eval").body, source)
    except ZeroDivisionError:
        raise ToolFailed(f"division by zero in {expression!r}") from None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ToolRejected(f"{expression!r:.200} is not an arithmetic expression{_hint(source)}") from None


def _value(node: ast.expr, source: str) -> Fraction:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return _number(number, ast.get_source_segment(source, node) or "")
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, source)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand, source)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _bounded(_OPERATORS[type(op)](_value(left, source), _value(right, source)))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            return _call(name, [value for arg in args for value in _values(arg, source)])
    raise ToolRejected(_not_understood(node, source))


def _values(node: ast.expr, source: str) -> list[Fraction]:
    """An argument's values: sum([1, 2]) is as good as sum(1, 2)."""
    return [_value(item, source) for item in (node.elts if isinstance(node, ast.List | ast.Tuple) else [node])]


def _number(number: float, literal: str) -> Fraction:
    if isinstance(number, int):
        return _bounded(Fraction(number))
    written = Decimal(literal)  # as written: 0.1 is a tenth
    if abs(written.adjusted()) > BITS // 4:
        raise ToolRejected(f"{literal} is out of range")
    return Fraction(written)


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > BITS:
        raise ToolRejected(f"a number on the way has more than {BITS * 3 // 10:,} digits")
    return value


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    size = max(base.numerator.bit_length(), base.denominator.bit_length())
    if abs(exponent) * (size - 1) > BITS or abs(exponent) > BITS:
        raise ToolRejected(f"the power is too large: {_text(base)} ** {_text(exponent)}")
    if exponent.denominator == 1:
        return base**exponent.numerator
    if base < 0:
        raise ToolFailed(f"{_text(base)} ** {_text(exponent)} is not a real number")
    if not base and exponent < 0:
        raise ZeroDivisionError  # as for whole exponents; a Decimal would be infinite
    return Fraction(_CONTEXT.power(_decimal(base), _decimal(exponent)))


def _call(name: str, values: list[Fraction]) -> Fraction:
    function, least, most = _FUNCTIONS[name]
    if not least <= len(values) <= most:
        wanted = {least: f"{least}", 2: "1 or 2"}.get(most, "1 or more")
        raise ToolRejected(f"{name} takes {wanted} numbers, got {len(values)}")
    return _bounded(function(*values))


def _sqrt(value: Fraction) -> Fraction:
    if value < 0:
        raise ToolFailed(f"sqrt({_text(value)}) is not a real number")
    exact = Fraction(math.isqrt(value.numerator), math.isqrt(value.denominator))
    return exact if exact * exact == value else Fraction(_CONTEXT.sqrt(_decimal(value)))


def _round(value: Fraction, digits: Fraction = Fraction(0)) -> Fraction:
    if digits.denominator != 1 or abs(digits) > 100:
        raise ToolRejected(f"round: digits must be a whole number up to 100, got {_text(digits)}")
    scale = Fraction(10) ** digits.numerator
    whole = math.floor(abs(value) * scale + Fraction(1, 2))
    return (whole if value >= 0 else -whole) / scale


_OPERATORS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: lambda a, b: Fraction(a // b),
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
_MANY = 1_000
_FUNCTIONS: dict[str, tuple[Callable[..., Fraction], int, int]] = {
    "abs": (abs, 1, 1),
    "max": (lambda *values: max(values), 1, _MANY),
    "min": (lambda *values: min(values), 1, _MANY),
    "round": (_round, 1, 2),
    "sqrt": (_sqrt, 1, 1),
    "sum": (lambda *values: sum(values, Fraction(0)), 1, _MANY),
}


def _decimal(value: Fraction) -> Decimal:
    return _CONTEXT.divide(Decimal(value.numerator), Decimal(value.denominator))


def _text(value: Fraction) -> str:
    """Exact where _EXACT digits say it all, else rounded to _ROUNDED significant digits."""
    digits = Context(prec=_EXACT)
    shown = digits.divide(Decimal(value.numerator), Decimal(value.denominator))
    if Fraction(shown) != value:
        shown = Context(prec=_ROUNDED).plus(shown)
    plain = abs(shown.adjusted()) <= _EXACT
    if not plain:
        return str(shown.normalize())
    return f"{shown:f}".rstrip("0").rstrip(".") if "." in f"{shown:f}" else f"{shown:f}"


def _not_understood(node: ast.expr, source: str) -> str:
    part = ast.get_source_segment(source, node) or source
    known = ", ".join(_FUNCTIONS)
    match node:
        case ast.Name(id=name) | ast.Call(func=ast.Name(id=name)) if name not in _FUNCTIONS:
            return f"unknown name {name!r:.50}; put in the number itself; known functions: {known}"
        case ast.Tuple():
            return f"{part!r:.50} are several numbers; write numbers without commas between thousands"
        case ast.BinOp(op=ast.BitXor()):
            return "^ is not understood; write ** for powers"
    return f"{part!r:.50} is not understood; use numbers, + - * / // % **, parentheses and {known}"


def _hint(source: str) -> str:
    percent = "; % is the remainder, for percent divide by 100" if "%" in source else ""
    return f"; write only numbers, operators, parentheses and {', '.join(_FUNCTIONS)}{percent}"
