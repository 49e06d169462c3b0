import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.dialects.retry_after import duration, retry_after

DATE = "Fri, 20 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "Fri, 20 Nov 2026 10:00:07 GMT", "date": DATE}, 7.0),
        ({"retry-after": "Fri, 20 Nov 2026 09:00:00 GMT", "date": DATE}, 0.0),
        ({"retry-after": "Fri, 20 Nov 2026 10:00:07 GMT"}, None),
        ({"retry-after": "Fri, 20 Nov 2026 10:00:07 -0000", "date": DATE}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon", "x-ratelimit-reset-requests": "6m0s"}, 360.0),
        (
            {
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-reset-tokens": "12ms",
                "x-ratelimit-remaining-requests": "0",
            },
            1.0,
        ),
        (
            {
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-reset-tokens": "2s",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-remaining-tokens": "0",
            },
            2.0,
        ),
        ({"x-ratelimit-reset-requests": "8h", "x-ratelimit-reset-tokens": "6s"}, 6.0),
        ({}, None),
    ],
)
def test_every_spelling_of_a_wait_is_read(headers, seconds):
    assert retry_after(headers) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("text", "seconds"), [("2m59.56s", 179.56), ("1d", 86400), ("12", 12), ("", None), ("6x", None)]
)
def test_durations_are_read_whole_or_not_at_all(text, seconds):
    assert duration(text) == (None if seconds is None else pytest.approx(seconds))


@given(
    st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms", "date", "x-ratelimit-reset-tokens"]), st.text())
)
def test_strange_headers_never_raise_and_never_ask_for_a_negative_wait(headers):
    wait = retry_after(headers)
    assert wait is None or wait >= 0
