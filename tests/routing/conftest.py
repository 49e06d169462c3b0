"""A fleet of three tiers with plain prices, and the step most tests begin with."""

from dataclasses import replace

import pytest

from orchestra.fleet import Fleet
from orchestra.types import ModelCard, Price, Step, StepContext

BASE = ModelCard("x", "x", "p", "openai-chat", "efficient", window=100_000, speed=50.0, prompt_speed=1_000.0)
SMALL = replace(BASE, name="small", price=Price(0.1, 0.4))
MIDDLE = replace(BASE, name="middle", tier="capable", price=Price(1.0, 4.0))
LARGE = replace(BASE, name="large", tier="frontier", price=Price(10.0, 40.0))


@pytest.fixture
def fleet() -> Fleet:
    return Fleet.from_cards([SMALL, MIDDLE, LARGE])


@pytest.fixture
def context() -> StepContext:
    return StepContext(Step("s"), tokens=1_000, output_tokens=100)
