"""Jobs whose videos are copied: the slot is free at the vendor's end, the caller is told after the copy."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from wanimate.contract import JobStatus, KeptFile, Outcome, Result

from .bench import LONG_MS, UNKNOWN, Bench, eventually, success

if TYPE_CHECKING:
    from collections.abc import Callable

    from wanimate_worker.ledger import Keep

STORE = "file:///videos"


def rendered(task_id: str, expires_at_ms: int) -> Outcome:
    expiry = datetime.fromtimestamp(expires_at_ms / 1000, UTC)
    return Outcome.success(Result(urls=("https://vendor/v.mp4",), task_id=task_id, urls_expire_at=expiry))


def kept(keep: Keep) -> Outcome:
    assert keep.outcome.result
    file = KeptFile(url=f"{STORE}/{keep.job_id}", source_url="s", size_bytes=1, sha256="0", content_type="video/mp4")
    update = {"urls": (file.url,), "source_urls": keep.outcome.result.urls, "kept": True, "files": (file,)}
    return Outcome.success(keep.outcome.result.model_copy(update=update))


@pytest.fixture
def keeping(make_bench: Callable[..., Bench]) -> Bench:
    bench = make_bench(max_in_flight=1, keep_lease_ms=LONG_MS)
    bench.limit(keep_url=STORE)  # type: ignore[arg-type]
    return bench


def finish(bench: Bench, job_id: str, expires_at_ms: int = 0) -> None:
    """Have the vendor finish a job's task."""
    submit = bench.start(job_id)
    outcome = rendered(f"task-{job_id}", expires_at_ms or bench.now_ms() + LONG_MS)
    assert bench.ledger.jobs.settle(job_id, submit.nonce, outcome, is_plain=True, result=("celery-task-meta-a", "{}"))


def end(bench: Bench) -> None:
    bench.drain()
    for keep in bench.ledger.keeps.claim(100):
        assert bench.ledger.keeps.finish(keep, kept(keep))
    bench.drain()
    keys = bench.keys
    assert not bench.redis.exists(keys.keeping, keys.keeping_later)


def test_while_the_video_is_copied_the_slot_is_free_and_the_caller_not_told(keeping: Bench) -> None:
    finish(keeping, "a")
    assert keeping.admit("b") == ["b"], "the slot is free"
    state = keeping.state()
    assert (state.stage("a"), "a" in state.due, "a" in state.slots) == ("keeping", False, False)
    assert keeping.redis.get("celery-task-meta-a") is None
    assert keeping.redis.xlen(keeping.keys.events) == 0
    status = JobStatus.from_hash("a", state.jobs["a"], None, has_slot=False)
    assert (status.state, status.settled_at) == ("keeping", None)
    assert status.rendered_at is not None
    (keep,) = keeping.ledger.keeps.claim(1)
    assert keeping.ledger.keeps.finish(keep, kept(keep))
    assert not keeping.ledger.keeps.finish(keep, kept(keep)), "once"
    end(keeping)
    (outcome,) = keeping.delivered["a"]
    assert outcome.result
    assert (outcome.result.kept, outcome.result.urls) == (True, (f"{STORE}/a",))
    assert outcome.result.urls_expire_at is None, "what is kept does not expire"


def test_what_the_vendor_stops_serving_first_is_copied_first(keeping: Bench) -> None:
    now_ms = keeping.now_ms()
    for job_id, expires_at_ms in (("late", now_ms + 3000), ("soon", now_ms + 1000), ("then", now_ms + 2000)):
        finish(keeping, job_id, expires_at_ms)
    keeps = [keep for _ in range(3) for keep in keeping.ledger.keeps.claim(1)]
    assert [keep.job_id for keep in keeps] == ["soon", "then", "late"]
    assert [keep.expires_at_ms for keep in keeps] == [now_ms + 1000, now_ms + 2000, now_ms + 3000]
    assert keeping.ledger.keeps.claim(1) == []
    for keep in keeps:
        assert keeping.ledger.keeps.finish(keep, kept(keep))
    end(keeping)


def test_a_copy_that_failed_is_tried_again_after_its_delay(keeping: Bench) -> None:
    finish(keeping, "a")
    (keep,) = keeping.ledger.keeps.claim(1)
    assert keeping.ledger.keeps.postpone(keep, "the store is full", LONG_MS)
    assert keeping.ledger.keeps.claim(1) == []
    assert keeping.ledger.keeps.waiting() == 1
    assert keeping.state().jobs["a"]["keep_why"] == "the store is full"
    keeping.redis.zadd(keeping.keys.keeping_later, {keep.member: 1}, xx=True)
    (again,) = keeping.ledger.keeps.claim(1)
    assert (again.job_id, again.tries) == ("a", 1)
    assert keeping.ledger.keeps.finish(again, kept(again))
    end(keeping)


def test_a_copy_whose_keeper_died_is_claimed_by_another(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(keep_lease_ms=1)
    bench.limit(keep_url=STORE)  # type: ignore[arg-type]
    finish(bench, "a")
    (first,) = bench.ledger.keeps.claim(1)
    (second,) = eventually(lambda: bench.ledger.keeps.claim(1))
    assert second.job_id == first.job_id
    other = bench.with_own(keep_lease_ms=LONG_MS)
    other.keeps.renew([second])
    bench.next_ms()
    assert bench.ledger.keeps.claim(1) == [], "its lease was prolonged"
    assert bench.ledger.keeps.finish(first, kept(first)), "a late copy is as good"
    end(bench)


def test_a_job_that_failed_is_not_copied(keeping: Bench) -> None:
    submit = keeping.start("a")
    assert keeping.ledger.jobs.settle("a", submit.nonce, UNKNOWN)
    assert keeping.ledger.keeps.waiting() == 0
    end(keeping)


def test_a_result_found_by_hand_is_copied_too(keeping: Bench) -> None:
    submit = keeping.start("a")
    assert keeping.ledger.jobs.settle("a", submit.nonce, UNKNOWN)
    keeping.drain()
    settled = keeping.state().jobs["a"]["settled_at_ms"]
    found = success("found")
    assert keeping.ledger.failed.replace_outcome("a", settled, found, task_id="found", result_key="celery-task-meta-a")
    assert keeping.state().stage("a") == "keeping"
    end(keeping)
    assert [each.kind for each in keeping.delivered["a"]] == ["failed", "succeeded"]


def test_a_record_that_was_deleted_is_no_longer_copied(keeping: Bench) -> None:
    finish(keeping, "a")
    keeping.redis.delete(keeping.keys.job("a"))
    assert keeping.ledger.keeps.claim(1) == []
    assert keeping.ledger.keeps.waiting() == 0


def test_copies_go_on_after_keeping_was_switched_off(keeping: Bench) -> None:
    finish(keeping, "a")
    keeping.limit(keep_url=None)
    finish(keeping, "b")
    assert keeping.state().stage("b") == "delivered"
    (keep,) = keeping.ledger.keeps.claim(9)
    assert keep.job_id == "a"
    assert keeping.ledger.keeps.finish(keep, kept(keep))
    end(keeping)


def test_a_clock_that_was_set_back_delays_no_copy(keeping: Bench) -> None:
    finish(keeping, "a")
    (keep,) = keeping.ledger.keeps.claim(1)
    keeping.ledger.keeps.postpone(keep, "why", LONG_MS)
    keeping.redis.set(keeping.keys.tick, keeping.now_ms() + 2 * LONG_MS)
    limits = keeping.ledger.limits.read()
    assert limits
    assert keeping.ledger.polls.tick(limits).set_back_ms > 0
    (again,) = keeping.ledger.keeps.claim(1)
    assert keeping.ledger.keeps.finish(again, kept(again))
    end(keeping)
