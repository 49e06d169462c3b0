"""Every scenario is asked for both ways, of every dialect."""

import pytest

from tests.faults.stage import DIALECTS, WAYS


@pytest.fixture(params=DIALECTS)
def dialect(request):
    return request.param


@pytest.fixture(params=WAYS)
def way(request):
    return request.param
