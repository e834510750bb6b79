"""The vendor's plans, simulated: what the pacer and the budget make of few slots, and of wrong expectations."""

from __future__ import annotations

import pytest
from bounds import by_hazard, log_normal, reach
from simulated import EXPECTED_SECONDS, Load, simulate
from wanimate_worker.pacing import RequestRate


def possible(load: Load) -> tuple[float, float]:
    """Return the mean lateness and the share of slots at work that the budget allows."""
    durations, rate = log_normal(load.sigma, load.mean_seconds), RequestRate(load.per_minute)
    reached = reach(lambda stride: by_hazard(durations, stride), durations, load.slots, 1e6 / rate.emission_interval_us)
    return reached.lag_seconds / load.mean_seconds, reached.slot_use


@pytest.mark.parametrize(
    ("load", "share"), [(Load(3, 10, 500), 0.92), (Load(10, 60, 700), 0.95), (Load(100, 1000, 1200), 0.97)]
)
def test_slots_of_every_plan_are_used_nearly_as_well_as_is_possible(load: Load, share: float) -> None:
    outcome = simulate(load)
    assert outcome.slot_use >= share * possible(load)[1]
    assert outcome.fullest_minute <= load.per_minute


@pytest.mark.parametrize(
    ("load", "times"),
    [
        (Load(100, 1000, 1000), 1.15),
        (Load(100, 10_000, 1000, EXPECTED_SECONDS / 10), 1.15),
        # So few requests a second leave permits unused now and then.
        (Load(100, 100, 800, EXPECTED_SECONDS * 10), 1.5),
    ],
    ids=["right", "ten times too long", "ten times too short"],
)
def test_few_ends_are_noticed_late_even_where_the_expectation_is_wrong(load: Load, times: float) -> None:
    outcome = simulate(load)
    assert outcome.quantile(0.99) < 0.3
    assert outcome.mean < times * possible(load)[0]


def test_an_account_with_less_than_two_requests_for_a_task_spends_them_all() -> None:
    load = Load(10, 60, 150, EXPECTED_SECONDS / 10)
    assert simulate(load).slot_use > 0.8 * possible(load)[1]
