from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import closed_for_seconds

chances = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(
    ("failures", "longest"), [(0, 0.5), (1, 0.5), (2, 1.0), (3, 2.0), (7, 32.0), (8, 60.0), (10**9, 60.0)]
)
def test_the_longest_wait_doubles_up_to_a_minute(failures: int, longest: float) -> None:
    assert closed_for_seconds(failures, None, 1.0) == longest


@settings(deadline=None)
@given(st.integers(1, 10**6), chances)
def test_jitter_takes_the_whole_range_from_nothing_to_the_longest_wait(failures: int, chance: Any) -> None:
    longest = closed_for_seconds(failures, None, 1.0)
    assert closed_for_seconds(failures, None, chance) == chance * longest
    assert closed_for_seconds(failures, None, 0.0) == 0.0


@settings(deadline=None)
@given(st.integers(1, 100), st.floats(0, 3600), chances)
def test_what_the_vendor_asks_for_is_never_undercut_and_hardly_exceeded(
    failures: int, retry_after: Any, chance: Any
) -> None:
    closed = closed_for_seconds(failures, retry_after, chance)
    assert retry_after <= closed <= retry_after + 1.0


def test_workers_that_were_told_the_same_wait_come_back_at_different_times() -> None:
    assert closed_for_seconds(1, 10.0, 0.2) != closed_for_seconds(1, 10.0, 0.7)
