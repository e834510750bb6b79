"""What is counted, and what is billed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from wanimate.contract import Outcome, Stage
from wanimate.errors import GenerationFailed, InvalidRequest
from wanimate_worker.ledger import Bill, Blocked, JobFields, Observation, RefusedBy, Submit
from wanimate_worker.ledger.counters import LAG_EDGES_MS, TOOK_EDGES_MS, Counters, Histogram, Sample
from wanimate_worker.ledger.polls import BILLED_DAYS, BILLED_LABEL_DAYS, SAMPLE_MS, SPAN_MS

from .bench import ACCOUNT_LIMITS, CANCELLED, UNKNOWN, Bench, granted_by, success
from .frozen import at_us, run

if TYPE_CHECKING:
    from collections.abc import Callable

REJECTED = Outcome.failure(InvalidRequest("no", "400"))
DAY_MS = 86_400_000
DAY_US = DAY_MS * 1000


def counters(bench: Bench) -> Counters:
    return Counters.read(bench.state().counters)


def begin(bench: Bench, job_id: str, seconds: float, *labels: str, limit_seconds: int | None = None) -> object:
    bench.limit(daily_billed_ms=None if limit_seconds is None else limit_seconds * 1000)
    bench.bill(job_id, seconds, *labels)
    return bench.ledger.jobs.begin(job_id)


def billed(bench: Bench) -> dict[str, float]:
    """Return today's estimate in seconds by label, '' for all."""
    day = str(bench.now_ms() // DAY_MS)
    return {name.removeprefix(day): int(value) / 1000 for name, value in bench.state().billed.items()}


def test_every_transition_is_counted_once_however_often_it_is_told(bench: Bench) -> None:
    submit = bench.start("a")
    for _ in range(2):
        bench.accept("a", submit)
        bench.ledger.jobs.settle("a", submit.nonce, success("t"))
    bench.admit("b", "c")
    lost = bench.begin("b")
    for _ in range(2):
        bench.ledger.jobs.mark_unknown("b", lost.nonce, "timeout")
        bench.ledger.jobs.cancel("c", CANCELLED)
    bench.ledger.jobs.settle("b", lost.nonce, UNKNOWN)
    bench.ledger.gate.close("throttled", sent_at_ms=0, retry_after_seconds=0, refused_by=RefusedBy.REQUESTS)
    bench.ledger.gate.close("not sent", sent_at_ms=0)
    bench.open_gate()
    bench.ledger.polls.permit(3)
    bench.ledger.polls.permit(2)
    counts = counters(bench)
    assert (counts.submits, counts.polls, counts.throttled, counts.lost_answers) == (2, 5, 1, 1)
    assert counts.ended == {"succeeded": 1, "failed": 1, "cancelled": 1}
    assert counts.billed_seconds == 240
    bench.clear_gate()
    bench.drain()


def test_the_lag_counts_from_the_vendors_completion_and_is_never_negative(bench: Bench) -> None:
    ahead, behind = bench.start("ahead"), bench.start("behind")
    now = bench.now_ms()
    bench.ledger.jobs.settle(
        "ahead", ahead.nonce, success("t"), observed=Observation("animate:480p", 9.0, now + 60_000)
    )
    bench.ledger.jobs.settle(
        "behind", behind.nonce, success("t"), observed=Observation("animate:480p", 9.0, now - 20_000)
    )
    lag, took = counters(bench).lag, counters(bench).took["animate:480p"]
    assert lag.counts == (1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0)
    assert lag.sum_seconds == pytest.approx(20, abs=1)
    assert (took.count, took.sum_seconds, took.counts[3]) == (2, 18.0, 2)
    bench.drain()


@pytest.mark.parametrize(("name", "edges"), [("LAG_EDGES_MS", LAG_EDGES_MS), ("TOOK_EDGES_MS", TOOK_EDGES_MS)])
def test_scripts_and_readers_have_the_same_buckets(bench: Bench, name: str, edges: tuple[int, ...]) -> None:
    def bucket(ms: int) -> Any:
        return run(bench, 0, "counters", f"local counts = {{}} observe(counts, 'x', {name}, {ms}) return counts[1]")

    for edge, following in zip(edges, (*edges[1:], "inf"), strict=True):
        assert bucket(edge) == f"x:{edge}"
        assert bucket(edge + 1) == f"x:{following}"


def test_jobs_whose_answer_was_lost_are_listed_until_news_come(bench: Bench) -> None:
    bench.admit("a", "b")
    submits = {job_id: bench.begin(job_id) for job_id in "ab"}
    for job_id in "ab":
        bench.ledger.jobs.mark_unknown(job_id, submits[job_id].nonce, "timeout")
    assert bench.state().unknown == ["a", "b"]
    bench.accept("a", submits["a"])
    bench.ledger.jobs.settle("b", submits["b"].nonce, UNKNOWN)
    assert bench.state().unknown == []
    bench.drain()


def test_an_unknown_job_whose_record_is_lost_leaves_the_list(bench: Bench) -> None:
    bench.admit("a", "b")
    for job_id in "ab":
        bench.ledger.jobs.mark_unknown(job_id, bench.begin(job_id).nonce, "timeout")
        bench.redis.delete(bench.keys.job(job_id))
    bench.ledger.jobs.forget("a")
    bench.redis.zrem(bench.keys.slots, "b")
    bench.ledger.polls.repair()
    assert bench.state().unknown == []
    bench.ledger.jobs.forget("b")


# -- billed seconds ---------------------------------------------------------------------------------------------------


def test_a_submission_counts_from_its_intent_and_is_taken_back_only_if_the_vendor_surely_did_not_accept_it(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(max_in_flight=4)
    bench.admit(*"abcd")
    nonces = {}
    for job_id in "abcd":
        step = begin(bench, job_id, 10, f"job={job_id}", "team=red")
        assert isinstance(step, Submit)
        nonces[job_id] = step.nonce
    assert billed(bench)[""] == billed(bench)[" team=red"] == 40
    bench.ledger.jobs.release("a", nonces["a"])
    bench.ledger.jobs.settle("b", nonces["b"], REJECTED, is_free=True)
    bench.ledger.jobs.mark_unknown("c", nonces["c"], "timeout")
    bench.ledger.jobs.release("c", nonces["c"], may_be_billed=True)
    failed = Outcome.failure(GenerationFailed("no", "GENERATION_FAILED", "t"))
    bench.ledger.jobs.settle("d", nonces["d"], failed)
    assert billed(bench)[""] == billed(bench)[" team=red"] == 20
    assert {name: value for name, value in billed(bench).items() if "job=" in name} == {
        " job=a": 0,
        " job=b": 0,
        " job=c": 10,
        " job=d": 10,
    }
    bench.drain()


def test_what_was_lost_and_then_surely_refused_is_taken_back_too(bench: Bench) -> None:
    bench.admit("a")
    submit = bench.begin("a")
    bench.ledger.jobs.mark_unknown("a", submit.nonce, "the worker was slow")
    bench.ledger.jobs.release("a", submit.nonce)
    assert billed(bench)[""] == 0
    bench.drain()


def test_nothing_more_is_submitted_once_the_days_limit_would_be_passed(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=10)
    bench.admit(*"abcde")
    steps = [begin(bench, job_id, 60, limit_seconds=150) for job_id in "abc"]
    assert [type(step) for step in steps] == [Submit, Submit, Blocked]
    assert bench.state().waiting == ["c"]
    # Not even one that would fit, so that the others are not passed by for ever.
    assert begin(bench, "d", 5, limit_seconds=150) == Blocked()
    limited_until_ms = bench.ledger.gate.read().limited_until_ms
    assert limited_until_ms % DAY_MS == 0
    assert 0 < limited_until_ms - bench.now_ms() <= DAY_MS
    bench.limit(daily_billed_ms=179_999)
    assert bench.ledger.polls.grant() == []
    bench.limit(daily_billed_ms=180_000)
    assert bench.ledger.polls.grant() == ["c", "d"]
    assert bench.ledger.gate.read().limited_until_ms == 0
    bench.limit(daily_billed_ms=None)
    bench.drain()


def test_the_next_day_submissions_go_on_by_themselves(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=10)
    bench.admit(*"ab")
    bench.limit(daily_billed_ms=120_000)
    assert isinstance(bench.ledger.jobs.begin("a"), Submit)
    assert bench.ledger.jobs.begin("b") == Blocked()
    midnight_us = bench.ledger.gate.read().limited_until_ms * 1000
    assert at_us(bench, midnight_us - 1_000).polls.grant() == []
    assert at_us(bench, midnight_us).polls.grant() == ["b"]
    bench.limit(daily_billed_ms=None)
    bench.drain()


def test_what_is_taken_back_makes_room_at_once(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=2, daily_billed_ms=120_000)
    bench.admit("a", "b")
    submit = bench.begin("a")
    assert bench.ledger.jobs.begin("b") == Blocked()
    assert granted_by(bench.ledger.jobs.settle("a", submit.nonce, REJECTED, is_free=True)) == ["b"]
    assert isinstance(bench.ledger.jobs.begin("b"), Submit)
    bench.drain()


def test_a_job_that_says_nothing_about_its_video_counts_as_the_longest() -> None:
    assert Bill.of({}) == Bill.of({"video_seconds": "x", "labels": None}) == Bill(120.0)
    assert Bill.of({"video_seconds": 2, "labels": {"team": "red"}}) == Bill(5.0, ("team=red",))


def test_a_label_name_has_a_hundred_figures_a_day_at_most(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=1000)
    jobs = [f"job{number}" for number in range(130)]
    bench.admit(*jobs)
    for number, job_id in enumerate(jobs):
        assert isinstance(begin(bench, job_id, 10, f"order={job_id}", f"team={number // 125}"), Submit)
    figures = billed(bench)
    assert figures.pop("") == 1300
    # Orders do not take the room of a team that comes later.
    assert (figures.pop(" team=0"), figures.pop(" team=1")) == (1250, 50)
    assert figures.pop(" order") == 10 * 30
    assert (figures.pop("#"), figures.pop("#order"), figures.pop("#team")) == (0.102, 0.1, 0.002)
    assert set(figures.values()) == {10.0}
    assert len(figures) == 100
    job: JobFields = bench.job("job129")
    bench.ledger.jobs.release("job129", job.nonce)
    assert billed(bench)[" order"] == 290
    bench.redis.flushdb()


def test_all_labels_have_four_hundred_figures_a_day_at_most(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=1000)
    jobs = [f"job{number}" for number in range(70)]
    bench.admit(*jobs)
    for job_id in jobs:
        assert isinstance(begin(bench, job_id, 10, *(f"{name}={job_id}" for name in "abcdefgh")), Submit)
    bench.admit("new")
    begin(bench, "new", 30, "team=red", "customer=acme")
    figures = billed(bench)
    assert figures["#"] == 0.4
    assert sum("=" in name for name in figures) == 400
    assert figures[" "] == 30
    assert {figures[f" {name}"] for name in "abcdefgh"} == {10 * 20}
    bench.redis.flushdb()


def test_what_was_billed_long_ago_is_forgotten_labels_before_days(bench: Bench) -> None:
    today = bench.now_ms() // DAY_MS
    ages = [0, BILLED_LABEL_DAYS - 1, BILLED_LABEL_DAYS, BILLED_DAYS - 1, BILLED_DAYS]
    fields = {f"{today - age}{rest}": 1 for age in ages for rest in ("", "#", " ", " a=b")}
    bench.redis.hset(bench.keys.billed, mapping=fields)
    bench.redis.hset(bench.keys.spent, mapping=fields)
    bench.ledger.polls.trim()
    assert bench.state().spent == bench.state().billed
    left = set(bench.state().billed)
    assert {f"{today - age}" for age in ages[:4]} == {name for name in left if name.isdecimal()}
    assert {f"{today - age} a=b" for age in ages[:2]} == {name for name in left if "=" in name}
    assert len(left) == 4 + 2 * 3
    bench.redis.delete(bench.keys.billed, bench.keys.spent)


# -- copies of the counts ---------------------------------------------------------------------------------------------


def test_the_last_copy_is_the_youngest_that_is_as_old_as_the_span(bench: Bench) -> None:
    keys = bench.keys
    bench.redis.hset(keys.counters, "submits", 1)
    start_ms = 1_000_000_000_000
    for second in range(0, 3 * SPAN_MS // 1000, 7):
        at_us(bench, (start_ms + second * 1000) * 1000).polls.tick(ACCOUNT_LIMITS)
    now_ms = start_ms + second * 1000
    samples = [Sample.read(stored) for stored in bench.redis.zrevrange(keys.samples, 0, -1)]
    ages_ms = [now_ms - sample.at_ms for sample in samples]
    assert len(samples) <= SPAN_MS // SAMPLE_MS + 1
    longest_between_ms = SAMPLE_MS + 7_000
    assert SPAN_MS - longest_between_ms < ages_ms[-2] < SPAN_MS + longest_between_ms
    assert SPAN_MS <= ages_ms[-1] < SPAN_MS + 2 * longest_between_ms
    assert samples[0].counters.submits == 1
    bench.redis.expire(keys.counters, 60)


def test_the_first_tick_keeps_a_copy_even_of_nothing(bench: Bench) -> None:
    bench.ledger.polls.tick(ACCOUNT_LIMITS)
    bench.ledger.polls.tick(ACCOUNT_LIMITS)
    [stored] = bench.redis.zrange(bench.keys.samples, 0, -1)
    assert Sample.read(stored).counters.counts == {}
    assert bench.redis.ttl(bench.keys.samples) > 0


def test_counts_that_were_lost_are_never_less_than_nothing() -> None:
    assert Counters({"submits": 2, "polls": 9}).since(Counters({"submits": 5, "polls": 4})).counts == {
        "submits": 0,
        "polls": 5,
    }


def test_a_quantile_is_found_within_its_bucket() -> None:
    histogram = Histogram((1.0, 2.0, 4.0), (10, 0, 10, 0), 50.0)
    assert histogram.quantile_seconds(0.25) == pytest.approx(0.5)
    assert histogram.quantile_seconds(0.75) == pytest.approx(3.0)
    assert histogram.mean_seconds == 2.5
    assert Histogram((1.0,), (0, 3), 30.0).quantile_seconds(0.5) == 1.0
    assert Histogram((1.0,), (0, 0), 0.0).quantile_seconds(0.5) is None


def test_the_stages_of_unknown_jobs_are_what_the_list_says(bench: Bench) -> None:
    bench.admit("a")
    bench.ledger.jobs.mark_unknown("a", bench.begin("a").nonce, "timeout")
    assert [bench.job(job_id).stage for job_id in bench.state().unknown] == [Stage.UNKNOWN]
    bench.drain()
