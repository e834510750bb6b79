from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wanimate import AnimateJob
from wanimate.contract import JobStatus, billed_seconds
from wanimate.contract.cost import Prices, format_usd, to_micro_usd

IMAGE, VIDEO = "https://example.com/a.png", "https://example.com/b.mp4"


@pytest.mark.parametrize(
    ("video_seconds", "billed"),
    [(0.2, 5.0), (5, 5.0), (5.01, 5.01), (41.4, 41.4), (120, 120.0), (121, 120.0), (None, 120.0)],
)
def test_a_video_is_billed_by_its_seconds_at_least_5_and_at_most_120(
    video_seconds: float | None, billed: float
) -> None:
    assert billed_seconds(video_seconds) == billed


@given(st.none() | st.floats(0, 1e6, exclude_min=True))
def test_whatever_a_video_is_its_estimate_is_within_the_vendors_bounds(video_seconds: float | None) -> None:
    assert 5 <= billed_seconds(video_seconds) <= 120


def test_the_length_of_the_video_is_no_part_of_the_request() -> None:
    job = AnimateJob(image_url=IMAGE, video_url=VIDEO, video_seconds=12)
    assert job.fingerprint() == AnimateJob(image_url=IMAGE, video_url=VIDEO).fingerprint()


@pytest.mark.parametrize(("request_fields", "billed"), [({"video_seconds": 3}, 5.0), ({}, None)])
def test_a_status_tells_the_estimate_of_a_job_that_says_how_long_its_video_is(
    request_fields: dict[str, float], billed: float | None
) -> None:
    fields = {"stage": "waiting", "request": json.dumps({"type": "animate", **request_fields})}
    assert JobStatus.from_hash("id", fields, 0, has_slot=False).billed_seconds == billed


@pytest.mark.parametrize(
    ("micro_usd", "shown"),
    [
        (0, "$0.00"),
        (1, "$0.000001"),
        (4_000, "$0.004"),
        (41_234, "$0.0412"),
        (200_000, "$0.20"),
        (496_000, "$0.496"),
        (999_999, "$1.00"),
        (1_234_567, "$1.23"),
        (1_234_500_000, "$1,234.50"),
        (-1_230_000, "-$1.23"),
        (-4_000, "-$0.004"),
    ],
)
def test_money_is_shown_in_cents_and_small_amounts_with_enough_digits(micro_usd: int, shown: str) -> None:
    assert format_usd(micro_usd) == shown


def test_the_price_of_a_job_is_that_of_its_resolution() -> None:
    prices = Prices(40_000, 80_000)
    assert prices.micro_usd(12.4, "480p") == prices.micro_usd(12.4, None) == 496_000
    assert prices.micro_usd(5, "720p") == 400_000
    assert Prices(40_000).micro_usd(5, "720p") is None
    assert Prices.read({"price_480p_micro_usd": "40000", "price_720p_micro_usd": ""}) == Prices(40_000)


@given(st.integers(0, 10**15))
def test_an_amount_survives_being_dollars(micro_usd: int) -> None:
    assert to_micro_usd(micro_usd / 1_000_000) == micro_usd
