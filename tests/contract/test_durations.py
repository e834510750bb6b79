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
    Durations,
    Kinds,
    bin_of,
    field_of,
    kind_of,
    without_length,
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


@pytest.mark.parametrize(("resolution", "seconds"), [("480p", 41.388), ("720p", 62), ("1080p", 41.388)])
def test_without_data_a_task_is_expected_to_take_what_the_vendors_pages_say(resolution: str, seconds: float) -> None:
    for kind in (
        kind_of({"type": "animate", "resolution": resolution}),
        kind_of({"type": "replace", "resolution": resolution, "video_seconds": 12}),
    ):
        assert Kinds({}).of(kind).mean_seconds == pytest.approx(seconds, rel=0.01)


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


def kinds(**seen: tuple[float, int]) -> Kinds:
    """Return what is known after some tasks of each kind took so long; `animate_480p_10s` is `animate:480p:10s`."""
    fields = {field_of(kind.replace("_", ":"), seconds): str(count) for kind, (seconds, count) in seen.items()}
    return Kinds.read({**fields, "total": "1", "called": "0.5"})


def test_kinds_are_read_from_the_hash_and_what_is_no_count_is_left_out() -> None:
    field = field_of(kind_of({"type": "animate"}), 41.388)
    read = Kinds.read({field: "7", "replace:720p:3": "1", "total": "8", "called": "0.5", "odd:480p:9999": "1"})
    assert read.observed == {"animate:480p": 7, "replace:720p": 1}


@pytest.mark.parametrize(
    ("seconds", "kind"),
    [
        (None, "animate:480p"),
        (0.5, "animate:480p:5s"),
        (5, "animate:480p:5s"),
        (5.1, "animate:480p:10s"),
        (10.0, "animate:480p:10s"),
        (20, "animate:480p:20s"),
        (40, "animate:480p:40s"),
        (80.0, "animate:480p:80s"),
        (80.5, "animate:480p:120s"),
        (120, "animate:480p:120s"),
        (3600, "animate:480p:120s"),
    ],
)
def test_the_length_of_a_video_is_in_its_kind_by_band(seconds: float | None, kind: str) -> None:
    assert kind_of({"type": "animate", "video_seconds": seconds}) == kind
    assert without_length(kind) == "animate:480p"


def test_a_length_is_expected_to_take_what_all_lengths_took_until_some_have_ended() -> None:
    known = kinds(animate_480p_5s=(20, 500), animate_480p_120s=(300, 500))
    unseen = known.of("animate:480p:40s")
    assert unseen.mean_seconds == pytest.approx(known.of("animate:480p").mean_seconds, rel=0.01)
    assert known.of("animate:480p:5s").mean_seconds == pytest.approx(20, rel=0.1)
    assert known.of("animate:480p:120s").mean_seconds == pytest.approx(300, rel=0.05)


def test_twenty_tasks_of_a_length_outweigh_all_others() -> None:
    known = kinds(animate_480p_5s=(20, 2000), animate_480p_120s=(300, 20))
    assert known.of("animate:480p:120s").mean_seconds > 200


def test_a_job_of_unknown_length_is_expected_to_take_what_all_lengths_took() -> None:
    known = kinds(animate_480p=(100, 200), animate_480p_5s=(20, 100), animate_480p_120s=(300, 100))
    assert known.of("animate:480p").mean_seconds == pytest.approx((200 * 100 + 100 * 20 + 100 * 300) / 400, rel=0.05)


def test_counts_of_older_versions_stand_for_every_length() -> None:
    known = kinds(animate_480p=(100, 500))
    for kind in ("animate:480p", "animate:480p:5s", "animate:480p:120s"):
        assert known.of(kind).mean_seconds == pytest.approx(100, rel=0.05)


def test_a_prior_that_is_wrong_by_ten_is_outvoted_by_a_hundred_tasks() -> None:
    for seconds in (4.1, 410.0):
        assert kinds(animate_480p=(seconds, 100)).of("animate:480p").mean_seconds == pytest.approx(seconds, rel=0.5)


def test_the_mean_of_all_kinds_weighs_each_by_how_often_it_was_seen() -> None:
    assert Kinds({}).mean_seconds == Durations().mean_seconds
    known = kinds(animate_480p_5s=(20, 3000), replace_720p=(200, 1000))
    assert known.mean_seconds == pytest.approx((3 * 20 + 200) / 4, rel=0.03)


def test_the_seconds_of_all_bins_are_the_mean() -> None:
    durations = kinds(animate_480p=(100, 500)).of("animate:480p")
    assert sum(durations.seconds_by_bin) == pytest.approx(durations.mean_seconds)
    assert sum(durations.shares) == pytest.approx(1)
