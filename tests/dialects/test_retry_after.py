import math
from datetime import UTC

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.dialects import CODECS, RateLimit, codec
from orchestra.dialects.faults import http_fault
from orchestra.dialects.retry_after import retry_after, should_retry
from orchestra.dialects.waits import duration

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
        ({"retry-after": "Fri, 20 Nov 2026 10:00:07 -0000", "date": DATE}, 7.0),
        ({"retry-after": "Fri Nov 20 10:00:07 2026", "date": DATE}, 7.0),
        ({"retry-after": "Friday, 20-Nov-26 10:00:07 GMT", "date": DATE}, 7.0),
        ({"retry-after": "Fri, 20 Nov 2026 10:00:07 XYZ", "date": DATE}, None),
        ({"retry-after": "1795168807", "date": DATE}, 7.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, 86_400),
        ({"retry-after": "1e400"}, 86_400),
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
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "3"}, 3.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1795168807", "date": DATE}, 7.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1795168801500", "date": DATE}, 1.5),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1795168700", "date": DATE}, 0.0),
        ({"x-ratelimit-reset": "3"}, 3.0),
        ({"x-ratelimit-remaining": "40", "x-ratelimit-reset": "3"}, None),
        ({"ratelimit-limit": "10", "ratelimit-remaining": "0", "ratelimit-reset": "4"}, 4.0),
        ({"x-ratelimit-reset-requests": "8h", "x-ratelimit-reset-tokens": "6s"}, 6.0),
        ({}, None),
    ],
)
def test_every_spelling_of_a_wait_is_read(headers, seconds):
    assert retry_after(headers) == (None if seconds is None else pytest.approx(seconds))


def test_resets_that_come_with_every_response_are_no_wait_unless_a_limit_is_used_up():
    told = {
        "x-ratelimit-remaining-requests": "14370",
        "x-ratelimit-reset-requests": "2m59.56s",
        "x-ratelimit-remaining-tokens": "5000",
        "x-ratelimit-reset-tokens": "7.66s",
    }
    assert [http_fault(status, told, b"").retry_after for status in (400, 500, 503)] == [None, None, None]
    assert http_fault(429, told, b"").retry_after == pytest.approx(7.66)
    assert http_fault(500, told | {"x-ratelimit-remaining-tokens": "0"}, b"").retry_after == pytest.approx(7.66)
    assert http_fault(503, {"x-ratelimit-reset": "3"}, b"").retry_after is None


@pytest.mark.parametrize(
    ("text", "seconds"), [("2m59.56s", 179.56), ("1d", 86400), ("12", 12), ("", None), ("6x", None)]
)
def test_durations_are_read_whole_or_not_at_all(text, seconds):
    assert duration(text) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize("text", ["inf", "1e999", "9" * 5000, "9" * 400 + "s", "9" * 400 + "m0s"])
def test_a_span_without_an_end_is_a_day_like_all_that_are_longer(text):
    assert duration(text) == 86_400


def test_what_is_no_number_is_no_span():
    assert duration("nan") is None


@pytest.mark.parametrize("text", ["1732297665", "1e300", "1732297665123", "2d"])
def test_no_wait_is_longer_than_a_day_for_what_says_more_means_a_moment(text):
    assert duration(text) == retry_after({"retry-after": text.replace("2d", "172800")}) == 86_400


def test_no_reset_is_further_than_a_day_away():
    assert retry_after({"date": DATE, "retry-after": "Fri, 20 Nov 2099 10:00:00 GMT"}) == 86_400
    told = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1732297665"}
    (limit,) = codec("openai-chat").limits(told)
    assert limit.reset == 86_400


def test_what_lies_in_the_past_is_no_wait():
    assert duration("-3") == 0


@pytest.mark.parametrize("year", ["9" * 20, "9" * 5000, "99999"])
def test_a_date_beyond_all_calendars_is_no_date(year):
    moment = f"Fri, 20 Nov {year} 10:00:00 GMT"
    assert retry_after({"retry-after": moment, "date": DATE}) is None
    assert retry_after({"retry-after": DATE, "date": moment}) is None


def test_anthropics_resets_are_waited_for_where_nothing_else_is_said():
    headers = {
        "date": DATE,
        "anthropic-ratelimit-requests-remaining": "4",
        "anthropic-ratelimit-requests-reset": "2026-11-20T10:00:01Z",
        "anthropic-ratelimit-input-tokens-remaining": "0",
        "anthropic-ratelimit-input-tokens-reset": "2026-11-20T10:00:30Z",
    }
    assert retry_after(headers) == 30
    assert retry_after({**headers, "retry-after": "2"}) == 2


@pytest.mark.parametrize(("said", "meant"), [("true", True), ("false", False), ("maybe", None), (None, None)])
def test_a_provider_may_say_whether_to_send_a_request_again(said, meant):
    headers = {} if said is None else {"x-should-retry": said}
    assert should_retry(headers) is meant
    assert http_fault(503, headers, b"").should_retry is meant


NAMES = (
    "date",
    "retry-after",
    "retry-after-ms",
    *(f"x-ratelimit-{fact}-{of}" for fact in ("limit", "remaining", "reset") for of in ("requests", "tokens")),
    *(f"anthropic-ratelimit-{of}-{fact}" for fact in ("limit", "remaining", "reset") for of in ("tokens", "requests")),
    *(f"x-ratelimit-{fact}-{of}-minute" for fact in ("limit", "remaining") for of in ("req", "tokens")),
    *(f"x-trial-endpoint-call-{fact}" for fact in ("limit", "remaining")),
    *(f"{of}ratelimit-{fact}" for fact in ("limit", "remaining", "reset") for of in ("", "x-")),
)
NUMBERS = st.integers().map(str) | st.floats().map(str) | st.integers(1, 6000).map(lambda digits: "9" * digits)
HUGE = st.integers(-1, 40) | st.integers(-1, 10**30)
ZONES = st.sampled_from(["GMT", "-0000", "+", "-"])
DATES = st.builds("Fri, {} Nov {} {}:00:00 {}{}".format, HUGE, HUGE, HUGE, ZONES, st.just("") | HUGE.map(str))
MOMENTS = st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.isoformat())
SPANS = st.builds("{}{}".format, NUMBERS, st.sampled_from(["ms", "s", "m", "h", "d"]))
VALUES = st.text() | NUMBERS | SPANS | DATES | MOMENTS


@given(st.dictionaries(st.sampled_from(NAMES), VALUES))
@settings(deadline=None, max_examples=300)
def test_whatever_headers_say_waits_and_limits_are_finite_and_not_negative(headers):
    limits = [limit for each in CODECS.values() for limit in each.limits(headers)]
    waits = [retry_after(headers), *(limit.reset for limit in limits)]
    counts = [count for limit in limits for count in (limit.limit, limit.remaining)]
    assert all(number is None or (math.isfinite(number) and number >= 0) for number in (*waits, *counts))


@given(VALUES)
@settings(deadline=None, max_examples=300)
def test_whatever_a_span_says_it_is_finite_and_not_negative(text):
    assert (seconds := duration(text)) is None or (math.isfinite(seconds) and seconds >= 0)


def test_limits_are_told_with_their_resets_in_seconds():
    openai = {
        "x-ratelimit-limit-tokens": "30000",
        "x-ratelimit-remaining-tokens": "29900",
        "x-ratelimit-reset-tokens": "20ms",
        "x-ratelimit-limit-requests": "5" * 5000,
        "x-ratelimit-reset-requests": "6m0s",
    }
    assert codec("openai-chat").limits(openai) == (
        RateLimit("requests", None, None, 360),
        RateLimit("tokens", 30000, 29900, pytest.approx(0.02)),
    )
    anthropic = {
        "date": DATE,
        "anthropic-ratelimit-output-tokens-limit": "8000",
        "anthropic-ratelimit-output-tokens-remaining": "0",
        "anthropic-ratelimit-output-tokens-reset": "2026-11-20T11:00:15+01:00",
    }
    assert codec("anthropic").limits(anthropic) == (RateLimit("output_tokens", 8000, 0, 15),)


def test_a_limit_whose_headers_are_blank_is_none():
    assert codec("openai-chat").limits({"x-ratelimit-limit-requests": " ", "x-ratelimit-reset-requests": ""}) == ()
