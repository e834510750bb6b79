"""The clock: a claim never removes, a token fences, and what a crash leaves behind is looked at again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from wanimate.contract import Stage
from wanimate_worker.ledger import Ledger, News

from .bench import ACCOUNT, LONG_MS, UNKNOWN, eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from .bench import Bench


def test_only_jobs_whose_time_has_come_are_claimed_the_earliest_first(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=4)
    bench.admit("a", "b", "c", "d")
    for job_id, score in (("c", 1), ("a", 2), ("b", 3)):
        bench.redis.zadd(bench.keys.due, {job_id: score})
    assert bench.ledger.polls.claim(2).job_ids == ["c", "a"]
    assert bench.ledger.polls.claim(2).job_ids == ["b"]
    assert bench.ledger.polls.claim(2).job_ids == []
    bench.drain()


def test_a_claim_tells_when_the_next_job_is_due(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=3)
    assert bench.ledger.polls.claim(1).due_in_ms is None
    bench.admit("a", "b")
    bench.redis.zadd(bench.keys.due, {"a": 1, "b": bench.now_ms() + LONG_MS})
    claim = bench.ledger.polls.claim(1)
    assert claim.job_ids == ["a"]
    assert LONG_MS - 60_000 < (claim.due_in_ms or 0) <= LONG_MS
    bench.redis.zadd(bench.keys.due, {"a": 1, "b": 2})
    assert bench.ledger.polls.claim(1).due_in_ms == 0, "another one is due already"
    lease_ms = bench.limits.poll_lease_ms
    assert lease_ms - 60_000 < (bench.ledger.polls.claim(1).due_in_ms or 0) <= lease_ms
    bench.drain()


def test_a_claimed_job_stays_under_the_clock_until_the_end_of_the_lease(bench: Bench) -> None:
    bench.admit("a")
    bench.let_time_pass()
    claim = bench.ledger.polls.claim(1)
    assert bench.state().due == {"a": float(claim.token)}
    assert int(claim.token) == claim.claimed_at_ms + bench.limits.poll_lease_ms
    bench.drain()


def test_two_claimers_never_get_the_same_job_before_the_lease_ends(
    make_bench: Callable[..., Bench], connect: Callable[..., Redis]
) -> None:
    bench = make_bench(max_in_flight=60)
    jobs = [f"job{number}" for number in range(60)]
    bench.admit(*jobs)
    bench.let_time_pass()

    def claim_all(_: int) -> list[str]:
        ledger = Ledger(connect(), ACCOUNT, bench.limits)
        claimed: list[str] = []
        while batch := ledger.polls.claim(3).job_ids:
            claimed += batch
        return claimed

    with ThreadPoolExecutor(6) as pool:
        claimed = [job_id for batch in pool.map(claim_all, range(6)) for job_id in batch]
    assert sorted(claimed) == sorted(jobs)
    bench.redis.flushdb()


def test_a_job_whose_claimer_died_is_claimed_again_when_the_lease_ends(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(poll_lease_ms=5)
    bench.admit("a")
    bench.let_time_pass()
    first = bench.ledger.polls.claim(1)
    second = eventually(lambda: (claim := bench.ledger.polls.claim(1)).job_ids and claim)
    assert second.job_ids == first.job_ids == ["a"]
    assert second.claimed_at_ms >= int(first.token)
    assert bench.state().slots == {"a"}, "looking frees nothing"
    bench.drain()


def test_a_job_with_a_slot_that_no_worker_took_is_due_when_the_lease_ends(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(lease_ms=5)
    bench.admit("a")
    eventually(lambda: bench.ledger.polls.claim(1).job_ids == ["a"])
    bench.run("a")
    assert bench.state().stage("a") == "running"
    bench.drain()


def test_plan_sets_the_next_look_of_claimed_jobs(bench: Bench) -> None:
    bench.start("a")
    bench.start("b")
    bench.let_time_pass()
    claim = bench.ledger.polls.claim(2)
    assert bench.ledger.polls.plan(claim.token, {"a": 6 * LONG_MS, "b": 7 * LONG_MS}) == 2
    due = bench.state().due
    assert due["b"] - due["a"] == LONG_MS
    assert bench.ledger.polls.plan(claim.token, {"a": 0}) == 0, "the claim ended with the plan"
    assert bench.ledger.polls.plan(claim.token, {}) == 0
    bench.drain()


def test_a_claim_first_writes_down_what_the_answers_to_earlier_ones_came_to(bench: Bench) -> None:
    bench.start("a")
    bench.start("b")
    bench.let_time_pass()
    first = bench.ledger.polls.claim(1)
    bench.next_ms()
    second = bench.ledger.polls.claim(1)
    [one], [other] = first.job_ids, second.job_ids
    due_ms = bench.now_ms() + LONG_MS
    news = News([first.token, 0, one, second.token, due_ms, other, first.token, 0, other], answered=2)
    again = bench.ledger.polls.claim(2, news=news)
    assert again.job_ids == [one], "planned for a time that has passed"
    assert bench.state().due[other] == due_ms, "the claim of the other job is another"
    assert sum(map(int, bench.redis.hvals(bench.keys.answered))) == 4, "two submissions and two polls"
    bench.drain()


def test_plan_counts_from_the_claim_however_long_the_vendor_took_to_answer(bench: Bench) -> None:
    bench.start("a")
    bench.let_time_pass()
    claim = bench.ledger.polls.claim(1)
    bench.next_ms()
    assert bench.ledger.polls.plan(claim.token, {"a": 6 * LONG_MS}) == 1
    assert bench.state().due["a"] == claim.claimed_at_ms + 6 * LONG_MS
    bench.drain()


def test_plan_with_an_old_token_does_nothing(bench: Bench) -> None:
    bench.start("a")
    bench.let_time_pass()
    old = bench.ledger.polls.claim(1)
    bench.let_time_pass()
    bench.next_ms()
    new = bench.ledger.polls.claim(1)
    before = bench.state()
    assert bench.ledger.polls.plan(old.token, {"a": 0, "nobody": 0}) == 0
    assert bench.state() == before
    assert bench.ledger.polls.plan(new.token, {"a": LONG_MS, "nobody": 0}) == 1
    assert set(bench.state().due) == {"a"}
    bench.drain()


def test_plan_of_a_job_that_was_settled_meanwhile_does_nothing(bench: Bench) -> None:
    submit = bench.start("a")
    bench.let_time_pass()
    claim = bench.ledger.polls.claim(1)
    bench.ledger.jobs.settle("a", submit.nonce, UNKNOWN)
    before = bench.state()
    assert bench.ledger.polls.plan(claim.token, {"a": 0}) == 0
    assert bench.state() == before
    bench.drain()


def test_a_slot_outside_the_clock_is_put_back_under_it(bench: Bench) -> None:
    bench.start("a")
    bench.start("b")
    bench.redis.zrem(bench.keys.due, "a")
    b_due = bench.state().due["b"]
    assert bench.ledger.polls.repair() == 1
    assert bench.ledger.polls.repair() == 0
    assert bench.state().due["b"] == b_due
    assert bench.ledger.polls.claim(10).job_ids == ["a"]
    bench.drain()


def test_a_job_whose_record_was_deleted_is_forgotten_and_its_slot_handed_on(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=1)
    bench.start("a")
    bench.admit("b", "c")
    bench.redis.delete(bench.keys.job("a"), bench.keys.job("c"))
    assert bench.job("a").stage is None
    assert bench.ledger.jobs.forget("a") == ["b"]
    assert bench.ledger.jobs.forget("c") == []
    assert bench.ledger.jobs.forget("a") == []
    state = bench.state()
    assert (state.slots, state.waiting, set(state.due)) == ({"b"}, [], {"b"})
    bench.drain()


def test_a_job_with_a_record_is_never_forgotten(bench: Bench) -> None:
    bench.start("a")
    before = bench.state()
    assert bench.ledger.jobs.forget("a") is None
    assert bench.state() == before
    bench.drain()
    assert bench.ledger.jobs.forget("a") is None


def test_late_writers_do_not_bring_a_deleted_record_back(bench: Bench) -> None:
    submit = bench.start("a")
    bench.redis.delete(bench.keys.job("a"))
    bench.ledger.jobs.forget("a")
    assert not bench.accept("a", submit)
    assert not bench.ledger.jobs.mark_unknown("a", submit.nonce, "why")
    assert bench.ledger.jobs.mark_delivered("a") is None
    assert bench.ledger.jobs.settle("a", submit.nonce, UNKNOWN) is None
    assert bench.ledger.jobs.release("a", submit.nonce) is None
    assert bench.state().jobs == {}


def test_reading_tells_the_stages_of_many_jobs_in_order(bench: Bench) -> None:
    bench.start("a")
    bench.admit("b")
    jobs = bench.ledger.records.read(["b", "nobody", "a"])
    assert [job.stage for job in jobs] == [Stage.WAITING, None, Stage.RUNNING]
    assert (jobs[2].task_id, jobs[2].attempts, jobs[1].request) == ("task-a", 1, {})
    assert bench.ledger.records.read([]) == []
    assert bench.ledger.records.in_flight() == 2
    bench.drain()
