from __future__ import annotations

import pytest
from wanimate.contract.durations import Durations, Kinds, bin_of, expected_shares, field_of
from wanimate_worker.pacing.pace import PACES, Pace

from .spread import drawn


def expected(counts: dict[str, str], running: list[tuple[float, int]]) -> float:
    """Return how long a task at 480p is expected to take."""
    return Durations((), Pace.learn(counts, running).expected_shares("480p")).mean_seconds


def counted(seconds: list[float], kind: str = "animate:480p") -> dict[str, str]:
    fields = [field_of(kind, each) for each in seconds]
    return {field: str(fields.count(field)) for field in fields}


def test_without_any_tasks_what_the_page_says_is_the_likeliest() -> None:
    pace = Pace.learn({}, [])
    assert sum(pace.weights) == pytest.approx(1)
    assert pace.weights[PACES.index(1)] == max(pace.weights) == pytest.approx(0.5)
    assert sum(pace.expected_shares("480p")) == pytest.approx(1, rel=0.001)


@pytest.mark.parametrize("times", [0.1, 0.3, 1, 3, 10])
def test_a_dozen_tasks_that_ended_tell_the_pace(times: float) -> None:
    mean_seconds = 41 * times
    assert expected(counted(drawn(0.3, 12, 4, mean_seconds)), []) == pytest.approx(mean_seconds, rel=0.35)


@pytest.mark.parametrize("times", [0.1, 10])
def test_tasks_of_one_resolution_tell_the_pace_of_another(times: float) -> None:
    pace = Pace.learn(counted(drawn(0.3, 50, 4, 41 * times)), [])
    mean_seconds = Kinds({}, pace.expected_shares).of("replace:720p:5s").mean_seconds
    assert mean_seconds == pytest.approx(62 * times, rel=0.35)


def test_tasks_that_run_for_long_tell_of_a_slow_vendor_before_one_has_ended() -> None:
    assert expected({}, [(5.0, 100)]) < 150
    assert expected({}, [(400.0, 100)]) > 300
    assert expected({}, [(400.0, 1)]) < expected({}, [(400.0, 100)])


def test_tasks_that_run_and_may_have_ended_say_less_than_those_that_did() -> None:
    ended = counted(drawn(0.3, 20, 4, 4.1))
    assert expected(ended, [(12.0, 100)]) < 10


def test_fields_that_count_no_duration_are_passed_over() -> None:
    odd = {"called": "0.5", "total": "3", "animate:480p:999": "7", "what:3": "1"}
    assert expected(odd, []) == pytest.approx(expected({}, []), rel=0.3)


def test_a_pace_of_one_is_what_is_expected() -> None:
    certain = Pace([float(pace == 1) for pace in PACES])
    assert certain.expected_shares("720p") == pytest.approx(expected_shares("720p"))
    assert bin_of(Durations((), certain.expected_shares("480p")).mean_seconds) == bin_of(41.388)
