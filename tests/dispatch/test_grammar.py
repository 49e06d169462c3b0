"""Embedded models are held to a grammar as they write, others are asked for the schema, whoever was asked before."""

import pytest

from orchestra.checks import Expect
from orchestra.types import Message, Request
from tests.dispatch.doubles import CARDS, Bench, card, say

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
GRAMMAR = {"anyOf": [{"type": "object", "properties": {"n": {"const": 1}}, "required": ["n"]}]}
EMBEDDED = card("small", weights="small.gguf"), card("strong", "capable")
HOSTED = card("small"), card("strong", "capable", weights="strong.gguf")


def asked(bench, number):
    return bench.transport.body(number)["response_format"]["json_schema"]["schema"]


@pytest.mark.parametrize(("cards", "first", "then"), [(EMBEDDED, GRAMMAR, SCHEMA), (HOSTED, SCHEMA, GRAMMAR)])
async def test_each_attempt_of_a_call_is_held_to_what_its_own_model_is_held_to(cards, first, then):
    bench = Bench({"small": [say("no form")], "strong": [say('{"n": 1}')]}, cards=(*cards, CARDS[3]))
    request = Request((Message.user("How many?"),), output_schema=SCHEMA, grammar=GRAMMAR)
    accepted = await bench.run(request=request, expect=Expect(output_schema=SCHEMA))
    assert bench.transport.models == ["small", "small", "strong"]
    assert [asked(bench, number) for number in range(3)] == [first, first, then]
    assert accepted.reply.text == '{"n": 1}'


async def test_without_a_grammar_an_embedded_model_is_held_to_the_schema():
    bench = Bench({"small": [say('{"n": 1}')]}, cards=EMBEDDED)
    await bench.run(output_schema=SCHEMA)
    assert asked(bench, 0) == SCHEMA
