from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import grown, lowered


@pytest.mark.parametrize(
    ("cap", "in_flight", "expected"),
    [(1000, 1000, 900), (1000, 500, 450), (10, 9, 8), (5, 1, 1), (5, 0, 1), (300, 900, 300)],
)
def test_the_cap_falls_to_nine_tenths_of_what_was_in_flight(cap: int, in_flight: int, expected: Any) -> None:
    assert lowered(cap, in_flight) == expected


def test_several_refusals_of_one_moment_lower_the_cap_once() -> None:
    assert lowered(lowered(1000, 1000), 1000) == 900


@settings(deadline=None)
@given(st.integers(1, 5000), st.integers(0, 5000))
def test_a_lowered_cap_is_at_least_one_and_never_higher_than_before(cap: int, in_flight: int) -> None:
    low = lowered(cap, in_flight)
    assert 1 <= low <= cap
    assert low == max(1, min(cap, math.floor(in_flight * 0.9)))


def test_the_cap_grows_back_by_a_six_hundredth_each_second() -> None:
    assert [grown(400, 0, 1000 * seconds, 600) for seconds in (0, 1, 10, 199, 200, 9999)] == [
        400,
        401,
        410,
        599,
        600,
        600,
    ]


def test_a_clock_that_is_set_back_grows_nothing() -> None:
    assert grown(400, 10_000, 0, 600) == 400


@settings(deadline=None)
@given(st.integers(1, 2000), st.integers(1, 2000), st.integers(0, 10**7), st.integers(0, 10**7))
def test_growth_is_steady_and_ends_at_the_full_cap(low: int, cap: int, earlier_ms: int, later_ms: int) -> None:
    first, second = sorted((earlier_ms, later_ms))
    assert min(low, cap) <= grown(low, 0, first, cap) <= grown(low, 0, second, cap) <= cap
    assert grown(low, 0, 600_000, cap) == cap
