"""What polls are planned from: durations are counted where a task ends, and one survey reads all of it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from wanimate.contract import Outcome
from wanimate.contract.durations import Kinds
from wanimate.errors import GenerationFailed
from wanimate_worker.ledger import Entry, Observation
from wanimate_worker.pacing import RequestRate

from .bench import UNKNOWN, success

if TYPE_CHECKING:
    from collections.abc import Callable

    from .bench import Bench

FIELD = "animate:480p:140"
SEEN = Observation("animate:480p", 43.5)


def end(bench: Bench, job_id: str, observed: Observation = SEEN) -> None:
    """Bring a job to its end, as a poll does."""
    submit = bench.start(job_id)
    assert bench.ledger.jobs.settle(job_id, submit.nonce, success("t"), observed=observed) is not None


def test_a_task_that_ended_is_counted_once_however_often_its_end_is_told(bench: Bench) -> None:
    submit = bench.start("a")
    for _ in range(3):
        bench.ledger.jobs.settle("a", submit.nonce, success("t"), observed=SEEN)
    assert bench.ledger.jobs.settle("a", "stale", success("t"), observed=SEEN) is None
    assert bench.redis.hgetall(bench.keys.durations) == {FIELD: "1", "total": "1", "called": "0.9688"}
    assert bench.redis.ttl(bench.keys.durations) > 0
    bench.drain()


def test_a_failure_of_the_vendor_is_counted_too_and_what_has_no_duration_is_not(bench: Bench) -> None:
    failed = Outcome.failure(GenerationFailed("no", "GENERATION_FAILED", "t"))
    submit = bench.start("a")
    bench.ledger.jobs.settle("a", submit.nonce, failed, observed=SEEN)
    submit = bench.start("b")
    bench.ledger.jobs.settle("b", submit.nonce, UNKNOWN)
    assert bench.redis.hget(bench.keys.durations, "total") == "1"
    bench.drain()


def test_old_tasks_fade_in_the_call_that_counts_the_four_thousandth(bench: Bench) -> None:
    bench.redis.hset(
        bench.keys.durations, mapping={FIELD: 3000, "replace:720p:150": 998, "rare:480p:9": 1, "total": 3999}
    )
    end(bench, "a")
    counts = bench.redis.hgetall(bench.keys.durations)
    assert counts.pop("called") == "0.9688"
    assert counts == {FIELD: "1500", "replace:720p:150": "499", "total": "1999"}
    bench.drain()


def test_the_share_of_callbacks_rises_while_they_come_and_falls_when_they_stop(bench: Bench) -> None:
    def share() -> float:
        return float(bench.redis.hget(bench.keys.durations, "called") or 1)

    bench.redis.hset(bench.keys.durations, "called", 0)
    for number in range(80):
        submit = bench.start(f"called-{number}")
        bench.ledger.durable.callback(f"called-{number}", submit.nonce)
        bench.ledger.jobs.settle(f"called-{number}", submit.nonce, success("t"), observed=SEEN)
    assert share() > 0.9
    for number in range(80):
        end(bench, f"polled-{number}")
    assert share() < 0.1
    bench.drain()


def test_a_survey_counts_the_slots_by_age_and_what_waits_and_is_late(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=4)
    for job_id in ("new", "young", "old", "ancient"):
        bench.start(job_id)
    bench.admit("x", "y")
    now = bench.now_ms()
    ages = {"new": 0, "young": 10_000, "old": 40_000, "ancient": 50_000_000}
    bench.redis.zadd(bench.keys.slots, {job_id: now - age for job_id, age in ages.items()})
    bench.redis.zadd(bench.keys.due, {"old": now - 5_000, "young": now - 100})

    survey = bench.ledger.polls.survey(1_000)

    assert (survey.in_flight, survey.waiting, survey.late) == (4, 2, 1)
    counted = Counter(dict(survey.in_flight_by_age))
    assert counted.total() == 4
    found = sorted(counted)
    assert found[0] < 0.2
    assert found[1:3] == pytest.approx([10, 40], rel=0.06)
    assert found[3] > 6000
    bench.drain()


def test_a_survey_tells_the_permits_that_polls_could_take(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(rate=RequestRate(20, burst=10), poll_headroom=4)
    assert bench.ledger.polls.survey(0).spare == 6
    assert bench.ledger.polls.permit(2) == 2
    assert bench.ledger.polls.survey(0).spare == 4
    assert bench.ledger.polls.permit(9) == 4
    assert bench.ledger.polls.survey(0).spare == 0
    bench.drain()


def test_a_survey_of_an_idle_account_is_empty(bench: Bench) -> None:
    survey = bench.ledger.polls.survey(0)
    assert (survey.in_flight, survey.waiting, survey.late, list(survey.in_flight_by_age)) == (0, 0, 0, [])
    assert Kinds.read(survey.durations).observed == {}


@pytest.mark.parametrize(("deadline_ms", "planned_ms"), [(10_000_000, 10_000_000), (100_000_000, 50_000_000)])
def test_a_task_is_first_looked_at_when_planned_or_at_its_deadline(
    bench: Bench, deadline_ms: int, planned_ms: int
) -> None:
    bench.ledger.jobs.admit([Entry("a", 0, {"seen": True}, {"type": "animate"}, deadline_ms)])
    before = bench.now_ms()
    bench.accept("a", bench.begin("a"))
    assert bench.state().due["a"] - before == pytest.approx(planned_ms, abs=5_000)
    bench.drain()
