"""Who runs a framework that an integration was never tested with is told so, once."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from importlib.metadata import version

import pytest

from orchestra.integrations.tested import UntestedVersion, warn_untested


@pytest.fixture(autouse=True)
def nothing_told_yet() -> Iterator[None]:
    warn_untested.cache_clear()
    yield
    warn_untested.cache_clear()


def test_a_version_outside_the_range_is_told_once_with_the_range():
    with pytest.warns(UntestedVersion) as told:
        assert [warn_untested("Pytest", "pytest", ">=1,<2") for _ in "ab"] == [None, None]
    assert [str(one.message) for one in told] == [
        f"Pytest: pytest {version('pytest')} is installed; orchestra was tested with pytest >=1,<2"
    ]


def test_a_version_within_the_range_is_not_told():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_untested("Pytest", "pytest", ">=1")
