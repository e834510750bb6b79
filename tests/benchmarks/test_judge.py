"""What the benchmark makes of the simulator's ground truth."""

from __future__ import annotations

from typing import Any

import pytest
from bounds import polling_bound
from rig import goals, judge
from rig.load import Load
from rig.tables import markdown

LOAD = Load(jobs=4, cap=2, rate=600, speed=10)


def task(accepted_ms: float, completed_ms: float | None, duration_seconds: float = 10) -> dict[str, Any]:
    return {"accepted_at_ms": accepted_ms, "completed_at_ms": completed_ms, "duration_seconds": duration_seconds}


def test_a_slot_is_free_from_an_end_to_the_acceptance_that_takes_it() -> None:
    """Two slots; the third and the fourth task wait for the first two ends, in whatever order these come."""
    accepted = [task(0, 2000), task(0, 1000), task(1015, 2020), task(2500, None)]

    assert judge.handovers_ms(accepted, cap=2) == [15, 500]


def test_slots_that_were_never_full_hand_nothing_over() -> None:
    assert judge.handovers_ms([task(0, 1000), task(2000, 3000)], cap=2) == []


def test_the_ideal_starts_each_job_the_moment_a_slot_is_free() -> None:
    accepted = [task(0, None, 10), task(0, None, 30), task(0, None, 10), task(0, None, 10)]

    assert judge.ideal_makespan_seconds(accepted, LOAD) == pytest.approx(3.0)


def test_lateness_is_in_mean_durations() -> None:
    late = judge.lateness([0.1] * 98 + [1.0] * 2, mean_seconds=2)

    assert (late["late_p50"], late["late_p99"]) == (0.05, 0.5)
    assert late["late_mean"] == pytest.approx(0.059)
    assert judge.lateness([], mean_seconds=2)["late_p99"] is None


def test_the_bound_of_polling_keeps_within_the_budget_and_is_better_with_more_of_it() -> None:
    bound, doubled = (polling_bound(1000, rate / 60, 41.0, 0.3) for rate in (10_000, 20_000))

    assert bound.slot_use == pytest.approx(0.960, abs=0.001)
    assert 1000 * (1 + bound.polls) / (41 + bound.lag_seconds) <= 10_000 / 60 * (1 + 1e-9)
    assert doubled.lag_seconds < bound.lag_seconds


def test_a_smoke_run_fails_for_a_result_that_is_not_right() -> None:
    row = {"right_results": 2999, "jobs": 3000, "in_flight_max": 200, "cap": 200, "above_cap": 0, "paid_twice": 0}
    row |= {"429_per_job": 0, "left": [], "requests_window_max": 10, "rate": 2000}
    judged = goals.judge({"smoke": {"rows": [row]}})

    assert [goal.figure for goal in judged if goal.is_must and not goal.is_met] == ["smoke: right results"]


def test_a_table_with_many_figures_and_few_rows_can_be_turned() -> None:
    rows = [["arq", 1234.5, None], ["SAQ", 0.12345, 2]]

    assert markdown(["contender", "CPU", "429"], rows, is_turned=True).splitlines() == [
        "| contender | arq   | SAQ    |",
        "| --------- | ----- | ------ |",
        "| CPU       | 1,234 | 0.1235 |",
        "| 429       |       | 2      |",
    ]
