"""The engine with its threads, on a real server: it takes what it has room for, offers the rest, and drains."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from wanimate.contract import Keys, Stage, parse_job
from wanimate_worker.bridge.admission import entry_of
from wanimate_worker.engine.pool import Pool
from wanimate_worker.vendor import Accepted, SubmitAnswer

from .conftest import JOB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .conftest import Run

KEYS = Keys("default")
PATIENCE_SECONDS = 30.0


def eventually(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def vendor_waits(run: Run) -> Iterator[threading.Event]:
    """Let each submission wait until it is told to go on."""
    go_on = threading.Event()

    def answer() -> SubmitAnswer:
        assert go_on.wait(PATIENCE_SECONDS)
        return Accepted(f"task-{len(run.sent)}")

    run.answer = answer
    yield go_on
    go_on.set()


def record(run: Run, *job_ids: str) -> list[str]:
    """Record jobs, and return those that have a slot."""
    admissions = run.ledger.jobs.admit([entry_of(job_id, parse_job(JOB), {}, JOB) for job_id in job_ids])
    return [job_id for admission in admissions for job_id in admission.granted]


def test_jobs_without_a_free_thread_are_offered_to_other_workers(run: Run, vendor_waits: threading.Event) -> None:
    run.runtime.take = run.engine.take
    run.runtime.go_on(record(run, "a", "b", "c"))
    eventually(lambda: run.stage() is Stage.SUBMITTING)
    assert run.redis.lrange(KEYS.ready, 0, -1) == ["b", "c"]
    assert 0 < run.redis.pttl(KEYS.ready) <= run.runtime.settings.lease_seconds * 1000
    vendor_waits.set()


def test_what_others_offer_is_taken_as_threads_become_free(run: Run, vendor_waits: threading.Event) -> None:
    run.engine.start()
    run.runtime.doorbell.ring_ready(record(run, "a", "b", "c"))
    eventually(lambda: len(run.sent) == 1)
    assert run.redis.llen(KEYS.ready) == 2
    vendor_waits.set()
    eventually(lambda: {job.stage for job in run.ledger.records.read(["a", "b", "c"])} == {Stage.RUNNING})
    assert run.redis.exists(KEYS.ready) == 0


def test_a_stop_waits_for_the_answer_of_a_request_under_way(run: Run, vendor_waits: threading.Event) -> None:
    run.engine.start()
    run.runtime.go_on(record(run, "a", "b"))
    eventually(lambda: run.sent)
    stopping = threading.Thread(target=run.engine.stop)
    stopping.start()
    vendor_waits.set()
    stopping.join(PATIENCE_SECONDS)
    assert not stopping.is_alive()
    assert run.stage() is Stage.RUNNING
    # The other one was offered, not begun.
    assert run.ledger.records.read(["b"])[0].stage is Stage.WAITING


def test_after_a_stop_jobs_are_offered_and_not_taken(run: Run) -> None:
    run.engine.start()
    run.engine.stop()
    run.runtime.go_on(record(run, "a"))
    assert run.redis.lrange(KEYS.ready, 0, -1) == ["a"]
    assert run.sent == []


def test_a_callback_wakes_a_worker_that_does_not_look_by_itself(run: Run) -> None:
    run()
    run.engine.start()
    nonce = run.ledger.records.read(["a"])[0].nonce
    run.ledger.durable.callback("a", nonce)
    run.runtime.doorbell.ring_wake()
    eventually(lambda: run.asked == ["task-a"])


def test_wake_ups_that_come_together_are_one(run: Run) -> None:
    for _ in range(3):
        run.runtime.doorbell.ring_wake()
    assert run.runtime.doorbell.wait_wake(0.01)
    assert not run.runtime.doorbell.wait_wake(0.01)


def test_a_pool_starts_no_more_than_it_has_threads() -> None:
    pool, go_on = Pool(2, "test"), threading.Event()
    assert [pool.start_if_free(go_on.wait, PATIENCE_SECONDS) for _ in range(3)] == [True, True, False]
    go_on.set()
    assert pool.wait_for_room(2, PATIENCE_SECONDS) == 2
    pool.close(waits=True)
    assert not pool.start_if_free(go_on.wait)
