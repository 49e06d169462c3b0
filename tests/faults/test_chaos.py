"""What holds however much fails at once."""

import pytest

from tests.faults.chaos import outage, storm
from tests.faults.stage import WAYS


async def test_a_thousand_calls_in_a_storm_end_as_promised_and_leave_nothing():
    tally = await storm(1000, "suite")
    assert tally.ends.total() == 1000
    assert tally.ends.keys() >= {"answered", "StreamCut", "ContentFiltered", "DeadlineExceeded", "cancelled"}
    assert tally.unsent


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("alone", [True, False])
async def test_in_a_full_outage_a_provider_sees_at_most_a_fifth_more_than_its_share(way, alone):
    share, seen = await outage(300, way, alone=alone)
    assert 0 < seen <= 1.2 * share
