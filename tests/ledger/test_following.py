"""Further callers of a job: each gets its outcome, whenever it comes and whoever dies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from wanimate.contract import CLAIM_TTL_MS, Stage
from wanimate_worker.ledger import Admitted, Bill, Deliver, Entry, Followed, NoOp

from .bench import CANCELLED, UNKNOWN, Bench, follower, success

if TYPE_CHECKING:
    from collections.abc import Callable


def keyed(job_id: str, fingerprint: str = "", **request: object) -> Entry:
    return Entry(job_id, 0, {}, {"type": "animate", **request}, fingerprint=fingerprint, has_key=True)


def test_a_caller_that_follows_gets_the_outcome_when_its_leaders_was_delivered(bench: Bench) -> None:
    submit = bench.start("a")
    assert bench.ledger.followers.add(follower("f", leader="a")) is Followed.FOLLOWING
    assert bench.ledger.jobs.begin("f") == NoOp(Stage.FOLLOWING)
    assert not bench.ledger.followers.conclude("f", "a"), "its leader goes on"
    bench.ledger.jobs.settle("a", submit.nonce, success("t"))
    bench.run("a")
    assert bench.delivered == {"a": [success("t")], "f": [success("t")]}
    assert bench.state().stage("f") == "delivered"
    assert not bench.state().has_work


def test_a_caller_of_a_job_that_has_ended_gets_its_outcome_at_once(bench: Bench) -> None:
    bench.start("a")
    bench.drain()
    for name in ("f", "g"):
        assert bench.ledger.followers.add(follower(name, leader="a")) is Followed.SETTLED
        bench.run(name)
    assert bench.delivered["f"] == bench.delivered["g"] == bench.delivered["a"]


def test_a_follower_that_was_not_concluded_is_found_when_due(bench: Bench) -> None:
    submit = bench.start("a")
    bench.ledger.followers.add(follower("f", leader="a"))
    bench.ledger.jobs.settle("a", submit.nonce, success("t"))
    assert bench.ledger.jobs.begin("a") == Deliver(success("t"))
    assert bench.ledger.jobs.mark_delivered("a") == ["f"], "and whoever finished it died"
    bench.drain()
    assert bench.delivered == {"f": [success("t")]}


def test_a_message_that_comes_twice_is_one_caller_and_another_message_of_its_id_is_not(bench: Bench) -> None:
    bench.start("a")
    assert bench.ledger.followers.add(follower("f", leader="a", caller="one")) is Followed.FOLLOWING
    assert bench.ledger.followers.add(follower("f", leader="a", caller="one")) is Followed.KNOWN
    assert bench.ledger.followers.add(follower("f", leader="a", caller="two")) is Followed.TAKEN
    assert bench.ledger.followers.add(follower("f~two", leader="a", caller="two")) is Followed.FOLLOWING
    bench.drain()
    assert {name: len(outcomes) for name, outcomes in bench.delivered.items()} == {"a": 1, "f": 1, "f~two": 1}


def test_a_caller_with_another_request_is_refused_and_not_recorded(bench: Bench) -> None:
    bench.ledger.jobs.admit([keyed("a", "one")])
    assert bench.ledger.followers.add(follower("f", leader="a", fingerprint="two")) is Followed.CONFLICT
    assert bench.state().stage("f") is None
    bench.drain()


def test_a_job_without_a_record_has_no_followers(bench: Bench) -> None:
    assert bench.ledger.followers.add(follower("f", leader="a")) is Followed.LEADERLESS
    assert not bench.state().has_work


def test_a_caller_that_was_cancelled_in_advance_follows_no_job(bench: Bench) -> None:
    bench.ledger.jobs.cancel("f", CANCELLED)
    assert bench.ledger.followers.add(follower("f", leader="a")) is Followed.SETTLED
    bench.drain()
    assert bench.delivered == {"f": [CANCELLED]}


def test_a_caller_whose_leader_lost_its_record_is_told_that_it_may_be_billed(bench: Bench) -> None:
    bench.start("a")
    bench.ledger.followers.add(follower("f", leader="a"))
    bench.redis.delete(bench.keys.job("a"))
    bench.drain()
    [outcome] = bench.delivered["f"]
    assert (outcome.error, "billed" in outcome.message) == ("SubmissionUnknown", True)


def test_a_failed_leader_that_is_run_again_tells_only_itself(bench: Bench) -> None:
    submit = bench.start("a")
    bench.ledger.followers.add(follower("f", leader="a"))
    bench.ledger.jobs.settle("a", submit.nonce, UNKNOWN)
    bench.drain()
    bench.ledger.failed.retry("a", priority=0, deadline_ms=None, result_key="celery-task-meta-a")
    bench.drain()
    assert {name: len(outcomes) for name, outcomes in bench.delivered.items()} == {"a": 2, "f": 1}


# -- one id, one request --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["waiting", "running", "delivered"])
def test_one_id_with_two_requests_is_refused_and_what_is_recorded_is_sent(bench: Bench, stage: str) -> None:
    first = Entry("a", 0, {}, {"type": "animate", "seed": 1, "video_seconds": 60.0}, fingerprint="one")
    second = Entry("a", 0, {}, {"type": "animate", "seed": 2, "video_seconds": 5.0}, fingerprint="two")
    bench.ledger.jobs.admit([first])
    if stage == "delivered":
        bench.drain()
    elif stage == "running":
        bench.accept("a", bench.begin("a"))
    before = bench.state()
    [admission] = bench.ledger.jobs.admit([second])
    assert (admission.verdict, admission.granted) == (Admitted.CONFLICT, [])
    assert bench.state() == before
    if stage == "waiting":
        assert bench.begin("a").job.request == first.request
        assert [*bench.state().billed.values()] == [str(round(1000 * Bill.of(first.request).seconds))]
    bench.drain()


def test_a_claimed_key_is_for_that_request_in_any_order(bench: Bench) -> None:
    bench.redis.set(bench.keys.idempotency("a"), "one", px=CLAIM_TTL_MS)
    assert bench.ledger.jobs.admit([keyed("a", "two")])[0].verdict is Admitted.CONFLICT
    assert bench.ledger.jobs.admit([keyed("a", "one")])[0].verdict is Admitted.RECORDED
    bench.drain()


def test_a_key_is_remembered_until_the_result_of_its_job_expires(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(result_ttl_ms=60_000)
    key = bench.keys.idempotency("a")
    bench.ledger.jobs.admit([keyed("a", "one")])
    assert bench.redis.get(key) == "one"
    assert bench.redis.pttl(key) > 60_000, "however long the job is held"
    bench.drain()
    assert 0 < bench.redis.pttl(key) <= 60_000
    assert abs(bench.redis.pttl(key) - bench.redis.pttl(bench.keys.job("a"))) < 1_000


def test_a_repeated_call_gets_the_first_caller(bench: Bench) -> None:
    entries = [Entry("a", 0, {}, {"type": "animate"}, caller=caller) for caller in ("one", "two")]
    first, second = (bench.ledger.jobs.admit([entry])[0] for entry in entries)
    assert (first.verdict, first.caller) == (Admitted.RECORDED, "one")
    assert (second.verdict, second.caller) == (Admitted.KNOWN, "one")
    bench.drain()
