"""The calculator: right where models are wrong, and a clear word where it will not compute."""

from __future__ import annotations

import contextlib
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.toolbox import ToolFailed, ToolRejected, execute, load_tools
from orchestra.types import Text, ToolCall, Trigger

module = load_tools("calculator")
calculator = module.calculator


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("-7 // 2", "-4"),
        ("-7 % 3", "2"),
        ("+2 - -3", "5"),
        ("0.1 + 0.2", "0.3"),
        ("19.99 * 3", "59.97"),
        ("1 / 3", "0.333333333333333"),
        ("2 / 3", "0.666666666666667"),
        ("10 / 4", "2.5"),
        ("1e3 / 1_000", "1"),
        ("100 * 10", "1000"),
        ("2 ** 10", "1024"),
        ("2 ** -2", "0.25"),
        ("2 ** 0.5", "1.4142135623731"),
        ("(1/4) ** 0.5", "0.5"),
        ("0 ** 0", "1"),
        ("2 ** 100", "1267650600228229401496703205376"),
        ("2 ** 200", "1.60693804425899E+60"),
        ("10 ** 60", "1E+60"),
        ("1 / 10 ** 50", "1E-50"),
        ("1 / 3 / 10 ** 8", "0.00000000333333333333333"),
        ("0 * 5", "0"),
        ("2 × 3 ÷ 4 − 1", "0.5"),  # noqa: RUF001  # signs as people write them
        ("sqrt(16)", "4"),
        ("sqrt(1/4)", "0.5"),
        ("sqrt(2)", "1.4142135623731"),
        ("round(2.5)", "3"),
        ("round(-2.5)", "-3"),
        ("max(7) - min(3)", "4"),
        ("round(3700.66225, 2)", "3700.66"),
        ("round(1250, -2)", "1300"),
        ("abs(-3) + max(1, 2, 3) + min(4, 5)", "10"),
        ("sum([1, 2.5]) + sum((1, 2)) + sum(1, 2)", "9.5"),
        ("round((5076.02 - 3700.66) / 3700.66 * 100, 1)", "37.2"),
        ("9" * 41, "1E+41"),
    ],
)
def test_arithmetic_is_right_to_the_digit(expression: str, shown: str) -> None:
    assert calculator(expression) == shown


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("1 / 0", "division by zero in '1 / 0'"),
        ("1 % 0", "division by zero"),
        ("0 ** -1", "division by zero"),
        ("0 ** -0.5", r"division by zero in '0 \*\* -0.5'"),
        ("price * 2", "unknown name 'price'; put in the number itself; known functions: abs, max"),
        ("open('x')", "unknown name 'open'"),
        ("__import__('os').system('x')", "is not understood"),
        ("round(1, ndigits=2)", r"'round\(1, ndigits=2\)' is not understood"),
        ("1,234 + 1", "are several numbers; write numbers without commas"),
        ("2 ^ 3", r"\^ is not understood; write \*\* for powers"),
        ("15%", "% is the remainder, for percent divide by 100"),
        ("", "'' is not an arithmetic expression; write only numbers, operators, parentheses and abs, max"),
        ("1 +", "is not an arithmetic expression"),
        ("1\0", "is not an arithmetic expression"),
        ("True", "'True' is not understood"),
        ("'a' * 3", "is not understood"),
        ("1j", "'1j' is not understood"),
        ("1 if 1 else 2", "is not understood"),
        ("[1, 2]", "is not understood"),
        ("1 << 2", "is not understood"),
        ("not 1", "is not understood"),
        ("9 ** 9 ** 9", r"the power is too large: 9 \*\* 387420489"),
        ("2 ** 99999", "the power is too large"),
        ("1 ** 99999", "the power is too large"),
        ("(9 ** 2000) ** 5", "the power is too large"),
        ("9 ** 2000 * 9 ** 2000", "a number on the way has more than 3,000 digits"),
        ("(-8) ** (1 / 3)", "is not a real number"),
        ("sqrt(-1)", r"sqrt\(-1\) is not a real number"),
        ("sqrt()", "sqrt takes 1 numbers, got 0"),
        ("round(1, 2, 3)", "round takes 1 or 2 numbers, got 3"),
        ("max()", "max takes 1 or more numbers, got 0"),
        ("round(1, 0.5)", "digits must be a whole number up to 100, got 0.5"),
        ("round(1, 9999)", "digits must be a whole number up to 100, got 9999"),
        ("1e-99999999", "1e-99999999 is out of range"),
        ("1e99999999", "1e99999999 is out of range"),
        ("1+" * 600 + "1", "the expression has 1,201 characters, 1,000 at most; split it"),
        ("(" * 300 + "1" + ")" * 300, "is not an arithmetic expression"),
    ],
)
def test_what_it_will_not_compute_is_told_in_words_a_model_can_act_on(expression: str, told: str) -> None:
    with pytest.raises((ToolFailed, ToolRejected), match=told):
        calculator(expression)


numbers = st.integers(-(10**6), 10**6) | st.decimals(-1000, 1000, places=3)


@settings(deadline=None)
@given(numbers, numbers, st.sampled_from("+-*/"))
def test_results_are_exact_fractions(a: object, b: object, sign: str) -> None:
    left, right = Fraction(a), Fraction(b)
    if sign == "/" and not right:
        return
    wanted = {"+": left.__add__, "-": left.__sub__, "*": left.__mul__, "/": left.__truediv__}[sign](right)
    assert module.evaluate(f"({a:f}) {sign} ({b:f})") == wanted


@settings(deadline=None)
@given(st.text(max_size=30) | st.text("0123456789+-*/%().,e ", max_size=30))
def test_any_text_is_computed_or_rejected(expression: str) -> None:
    with contextlib.suppress(ToolFailed, ToolRejected):
        float(calculator(expression))


async def test_it_is_a_tool_that_changes_nothing() -> None:
    outcome = await execute(calculator, ToolCall("1", "calculator", {"expression": "1/0"}))
    assert (outcome.trigger, outcome.result.content) == (Trigger.tool_error, (Text("division by zero in '1/0'"),))
    assert calculator.read_only
    assert calculator.idempotent
    assert "sqrt" in calculator.description
