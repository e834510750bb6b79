"""How a worker process feeds the planner; the ledger's survey is written down here instead of read."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING, Any, cast

import pytest
from wanimate.contract.durations import field_of
from wanimate_worker.engine.pacer import Pacer
from wanimate_worker.ledger import Ledger, Survey
from wanimate_worker.settings import WorkerSettings

if TYPE_CHECKING:
    from wanimate_worker.pacing import Mix

REQUEST = {"type": "animate", "resolution": "480p"}
CALLBACKS = {"callback_base_url": "https://callbacks.example.com", "callback_secret": "0123456789abcdef"}


class Surveyed:
    """A full account whose tasks take about 41 s, and how often it was read."""

    def __init__(self, called: float = 0.0, late: int = 0, in_flight: int = 1000, spare: int = 0) -> None:
        counts = {field_of("animate:480p", 41 + offset): "200" for offset in range(-10, 11)}
        by_age = [(float(age), in_flight // 40) for age in range(40)]
        fields = {**counts, "called": str(called), "total": "4200"}
        self.survey_ = Survey(
            in_flight, 5000, late, spare, by_age, fields, max_in_flight=1000, requests_per_second=1e6 / 6161
        )
        self.reads = 0

    @property
    def polls(self) -> Surveyed:
        return self

    def survey(self, _: int) -> Survey:
        self.reads += 1
        return self.survey_


def mean_delay_ms(surveyed: Surveyed, age_ms: int = 41_000, **settings: Any) -> float:
    pacer = Pacer(cast("Ledger", surveyed), WorkerSettings(**settings))
    return fmean(pacer.next_poll_ms(REQUEST, age_ms) for _ in range(200))


def test_while_callbacks_come_polls_are_sparse_and_dense_again_when_they_stop() -> None:
    dense = mean_delay_ms(Surveyed(called=0.0), **CALLBACKS)
    assert mean_delay_ms(Surveyed(called=1.0), **CALLBACKS) > 3 * dense
    assert mean_delay_ms(Surveyed(called=0.0)) == pytest.approx(dense, rel=0.1)


def test_without_callbacks_configured_it_does_not_matter_that_they_came_once() -> None:
    assert mean_delay_ms(Surveyed(called=1.0)) == pytest.approx(mean_delay_ms(Surveyed(called=0.0)), rel=0.1)


def test_a_long_video_is_first_polled_when_long_videos_end() -> None:
    surveyed = Surveyed()
    counts = {field_of("animate:480p:5s", 20): "2000", field_of("animate:480p:120s", 300): "2000", "total": "4000"}
    surveyed.survey_ = replace(surveyed.survey_, durations=counts)
    pacer = Pacer(cast("Ledger", surveyed), WorkerSettings())

    def first_ms(video_seconds: float) -> float:
        return fmean(pacer.next_poll_ms({**REQUEST, "video_seconds": video_seconds}) for _ in range(50))

    assert 10_000 < first_ms(5) < 25_000
    # The longest interval.
    assert first_ms(120) == pytest.approx(60_000, rel=0.001)


def test_a_few_more_tasks_do_not_make_a_new_plan_and_many_do() -> None:
    survey, pacer = Surveyed().survey_, Pacer(cast("Ledger", Surveyed()), WorkerSettings())

    def mix_of(total: int) -> Mix:
        return pacer._mix_of({**survey.durations, "total": str(total)}, survey.in_flight_by_age)

    first = mix_of(4200)
    assert mix_of(4250) is first
    assert mix_of(4300) is not first
    faded = mix_of(2000)
    assert faded.mean_seconds == pytest.approx(first.mean_seconds, rel=0.01)
    assert pacer._mix_of({}, survey.in_flight_by_age) is not faded


def test_tasks_that_outlive_what_is_expected_make_a_new_plan() -> None:
    surveyed, pacer = Surveyed(), Pacer(cast("Ledger", Surveyed()), WorkerSettings())
    young = pacer._mix_of({}, surveyed.survey_.in_flight_by_age)
    old = pacer._mix_of({}, [(age + 200, count) for age, count in surveyed.survey_.in_flight_by_age])
    assert old.mean_seconds > 3 * young.mean_seconds


def test_late_polls_make_the_next_ones_rarer() -> None:
    assert mean_delay_ms(Surveyed(late=200)) > 1.25 * mean_delay_ms(Surveyed())


def test_unused_permits_make_polls_more_frequent() -> None:
    assert mean_delay_ms(Surveyed(spare=75)) < 0.9 * mean_delay_ms(Surveyed())


def test_a_few_tasks_are_polled_at_the_floor_when_their_end_is_likely() -> None:
    few = mean_delay_ms(Surveyed(in_flight=40), age_ms=45_000, poll_floor_seconds=0.5)
    assert few == pytest.approx(500, rel=0.05)


def test_a_task_is_looked_at_when_its_time_is_up_even_if_no_poll_is_planned_before() -> None:
    pacer = Pacer(cast("Ledger", Surveyed()), WorkerSettings())
    assert pacer.next_poll_ms(REQUEST, 1_000, 50) == 50
    assert pacer.next_poll_ms(REQUEST, 41_000, 50_000_000) < 60_001
    # It was up before, and the vendor's answer decided nothing.
    assert pacer.next_poll_ms(REQUEST, 41_000, -5) > 50


def test_many_threads_plan_from_one_survey() -> None:
    surveyed = Surveyed()
    pacer = Pacer(cast("Ledger", surveyed), WorkerSettings())
    with ThreadPoolExecutor(8) as threads:
        delays = list(threads.map(lambda _: pacer.next_poll_ms(REQUEST), range(200)))
    assert len(delays) == 200
    # Once, and again if these took longer than a second.
    assert surveyed.reads < 10
