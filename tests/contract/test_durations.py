from __future__ import annotations

import random
from itertools import pairwise
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wanimate.contract.durations import (
    BINS,
    EDGES,
    EXPECTED_SECONDS,
    PRIOR_WEIGHT,
    Durations,
    bin_of,
    field_of,
    kind_of,
)

counts = st.lists(st.integers(0, 500), min_size=BINS, max_size=BINS)
sparse = st.dictionaries(st.integers(0, BINS - 1), st.integers(1, 4000), max_size=40)


def spread(bins: dict[int, int]) -> Durations:
    return Durations([float(bins.get(number, 0)) for number in range(BINS)])


@given(st.floats(0.1001, 6000))
def test_a_duration_is_in_the_bin_whose_ends_are_around_it(seconds: float) -> None:
    number = bin_of(seconds)
    assert EDGES[number] * (1 - 1e-9) <= seconds <= EDGES[number + 1] * (1 + 1e-9)


@pytest.mark.parametrize(("seconds", "number"), [(0.0, 0), (-1.0, 0), (0.05, 0), (1e9, BINS - 1)])
def test_durations_beyond_the_bins_are_counted_at_the_ends(seconds: float, number: int) -> None:
    assert bin_of(seconds) == number


def test_without_data_a_task_is_expected_to_take_what_the_vendor_shows() -> None:
    assert Durations().mean_seconds == pytest.approx(EXPECTED_SECONDS, rel=0.01)


@settings(deadline=None, max_examples=50)
@given(sparse)
def test_the_chance_to_last_longer_never_grows_and_never_ends(bins: dict[int, int]) -> None:
    survival = spread(bins).survival
    assert survival[0] == 1
    assert all(later <= earlier for earlier, later in pairwise(survival))
    assert survival[-1] > 0


@settings(deadline=None, max_examples=50)
@given(sparse)
def test_every_age_has_a_hazard(bins: dict[int, int]) -> None:
    assert all(0 < hazard < 1e6 for hazard in spread(bins).hazard)


@settings(deadline=None, max_examples=20)
@given(sparse, st.floats(0, 500))
def test_what_remains_is_the_area_under_the_survival_from_that_age_on(bins: dict[int, int], age: float) -> None:
    durations = spread(bins)
    end = EDGES[-1]
    # Midpoints in each bin: another way to the same integral.
    steps = 100
    area = 0.0
    for low, high in zip((0.0, *EDGES[1:-1]), EDGES[1:], strict=True):
        start = max(low, age)
        width = (high - start) / steps
        if width > 0:
            area += sum(durations.survival_at(start + (step + 0.5) * width) for step in range(steps)) * width
    area += durations.survival_at(end) / durations.hazard[-1]
    assert durations.remaining_seconds(age) == pytest.approx(area / durations.survival_at(age), rel=2e-3)


def test_what_was_observed_outweighs_the_prior() -> None:
    generator = random.Random(7)
    seen = [generator.uniform(100, 140) for _ in range(2000)]
    bins: dict[int, int] = {}
    for seconds in seen:
        bins[bin_of(seconds)] = bins.get(bin_of(seconds), 0) + 1
    durations = spread(bins)
    assert durations.mean_seconds == pytest.approx(fmean(seen), rel=0.02)
    assert durations.remaining_seconds(110) == pytest.approx(fmean(each - 110 for each in seen if each > 110), rel=0.1)
    assert durations.observed == 2000 > PRIOR_WEIGHT


def test_kinds_are_read_from_the_hash_and_what_is_no_count_is_left_out() -> None:
    kind = kind_of("animate", None)
    field = field_of(kind, 41.388)
    read = Durations.read({field: "7", "replace:720p:3": "1", "total": "8", "called": "0.5", "odd:480p:9999": "1"})
    assert {name: each.observed for name, each in read.items()} == {"animate:480p": 7, "replace:720p": 1}
