from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wanimate_worker.pacing import next_poll_seconds, polls_per_second

chances = st.floats(0, 1, exclude_max=True)


def test_polls_get_what_submissions_leave() -> None:
    assert polls_per_second(10_000, 25) == pytest.approx(10_000 / 60 - 25)


@settings(deadline=None)
@given(st.integers(1, 100_000), st.floats(0, 1e6))
def test_polls_always_get_a_tenth_of_the_budget(limit: int, submits: float) -> None:
    assert polls_per_second(limit, submits) >= limit / 60 * 0.0999


def test_a_thousand_tasks_share_the_polls() -> None:
    assert next_poll_seconds(1000, 140, 0.5, 0.5) == pytest.approx(1000 / 140)


def test_a_few_tasks_are_polled_at_the_floor() -> None:
    assert next_poll_seconds(1, 140, 0.5, 0.5) == pytest.approx(0.5)


@settings(deadline=None)
@given(st.integers(0, 5000), st.floats(0.01, 1000), st.floats(0, 60), chances)
def test_an_interval_is_within_a_tenth_of_its_share(in_flight: int, polls: float, floor: float, chance: Any) -> None:
    share = max(floor, in_flight / polls)
    assert 0.9 * share <= next_poll_seconds(in_flight, polls, floor, chance) <= 1.1 * share * (1 + 1e-12)


def test_jitter_leaves_the_mean_where_it_was() -> None:
    mean = sum(next_poll_seconds(1000, 100, 0.5, (i + 0.5) / 100) for i in range(100)) / 100
    assert mean == pytest.approx(10.0)


def test_tasks_submitted_together_are_not_polled_together() -> None:
    assert next_poll_seconds(1000, 140, 0.5, 0.1) != next_poll_seconds(1000, 140, 0.5, 0.9)


@pytest.mark.parametrize("polls", [0, -1])
def test_no_polls_to_share_is_refused(polls: float) -> None:
    with pytest.raises(ValueError, match="polls_per_second"):
        next_poll_seconds(1, polls, 0.5, 0.5)
