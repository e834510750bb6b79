from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wanimate_worker.vendor.envelope import MAX_RETRY_AFTER_SECONDS, parse_retry_after

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(("header", "seconds"), [("0", 0.0), ("7", 7.0), (" 7 ", 7.0), ("1.5", 1.5), ("007", 7.0)])
def test_seconds_are_read_with_or_without_decimals(header: Any, seconds: Any) -> None:
    assert parse_retry_after(header, NOW) == seconds


def test_a_date_is_relative_to_now() -> None:
    assert parse_retry_after("Fri, 02 Jan 2026 03:04:35 GMT", NOW) == 30.0
    elsewhere = NOW.astimezone(timezone(timedelta(hours=9)))
    assert parse_retry_after("Fri, 02 Jan 2026 03:04:35 GMT", elsewhere) == 30.0
    assert parse_retry_after("Fri, 02 Jan 2026 03:04:35 -0000", NOW) == 30.0


def test_the_obsolete_forms_of_a_date_are_read_too() -> None:
    assert parse_retry_after("Friday, 02-Jan-26 03:04:35 GMT", NOW) == 30.0


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "  ",
        "-5",
        "+5",
        "soon",
        "1e3",
        "nan",
        "inf",
        "1,5",
        "0x10",
        "٣",
        "5 s",
        "Fri, 99 Jan 2026 03:04:35 GMT",
    ],
)
def test_what_is_no_wait_is_none(header: Any) -> None:
    assert parse_retry_after(header, NOW) is None


def test_a_date_in_the_past_is_none() -> None:
    assert parse_retry_after("Fri, 02 Jan 2026 03:04:00 GMT", NOW) is None


@pytest.mark.parametrize("header", ["86400", "9" * 5000, "Fri, 02 Jan 2099 00:00:00 GMT"])
def test_a_wait_is_capped(header: Any) -> None:
    assert parse_retry_after(header, NOW) == MAX_RETRY_AFTER_SECONDS


@settings(deadline=None)
@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, [0-9]+ [A-Z][a-z]{2} [0-9]+ [0-9]+:[0-9]+:[0-9]+ [-+A-Z0-9]+"))
def test_no_header_whatsoever_raises_or_waits_beyond_the_cap(header: Any) -> None:
    seconds = parse_retry_after(header, NOW)
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER_SECONDS


@settings(deadline=None)
@given(st.integers(0, 3600))
def test_a_date_and_its_seconds_mean_the_same(seconds: Any) -> None:
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert parse_retry_after(date, NOW) == parse_retry_after(str(seconds), NOW)
