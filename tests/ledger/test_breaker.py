"""Answers lost one after the other: an outage must not cost a backlog, for every job sent into it may be paid for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from wanimate.contract import Outcome
from wanimate.errors import InvalidRequest
from wanimate_worker.ledger import Blocked, Submit

from .bench import LONG_MS

if TYPE_CHECKING:
    from collections.abc import Callable

    from .bench import Bench

pytestmark = pytest.mark.leaves("account")
JOBS = ("a", "b", "c", "d", "e", "f")


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    """Six jobs with a slot, three of which lost their answer."""
    bench = make_bench(max_in_flight=6, backoff_max_ms=4 * LONG_MS)
    bench.admit(*JOBS)
    lose(bench, "a", "b", "c")
    return bench


def lose(bench: Bench, *job_ids: str) -> None:
    for job_id in job_ids:
        assert bench.ledger.jobs.mark_unknown(job_id, submit(bench, job_id).nonce, "timeout")


def submit(bench: Bench, job_id: str) -> Submit:
    step = bench.ledger.jobs.begin(job_id)
    assert isinstance(step, Submit)
    return step


def is_closed(bench: Bench) -> bool:
    return bench.ledger.gate.read().breaker_next_ms is None


def test_two_lost_answers_change_nothing(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=6)
    bench.admit(*JOBS)
    lose(bench, "a", "b")
    submit(bench, "c")
    assert is_closed(bench)
    bench.drain()


def test_three_lost_answers_open_the_breaker_then_one_is_sent_at_a_time(bench: Bench) -> None:
    assert bench.ledger.jobs.begin("d") == Blocked()
    assert bench.ledger.jobs.begin("e") == Blocked()
    assert bench.ledger.polls.grant() == []
    bench.open_gate()
    assert bench.ledger.polls.grant() == ["d"], "one slot for one attempt"
    submit(bench, "d")
    assert bench.ledger.jobs.begin("f") == Blocked()
    bench.drain()


def test_answers_that_our_own_side_lost_say_nothing_about_the_vendor(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=6)
    bench.admit(*JOBS)
    for job_id in JOBS[:4]:
        assert bench.ledger.jobs.mark_unknown(job_id, submit(bench, job_id).nonce, "the worker died", is_ours=True)
    assert is_closed(bench)
    bench.drain()


def test_an_accepted_submission_closes_the_breaker(bench: Bench) -> None:
    bench.open_gate()
    attempt = submit(bench, "d")
    assert bench.ledger.jobs.accept("d", attempt.nonce, task_id="t", first_poll_ms=0, begun_at_ms=attempt.begun_at_ms)
    assert is_closed(bench)
    submit(bench, "e")
    bench.drain()


def test_a_refused_submission_closes_the_breaker_too(bench: Bench) -> None:
    bench.open_gate()
    refused = Outcome.failure(InvalidRequest("the vendor refused the request", "400"))
    assert bench.ledger.jobs.settle("d", submit(bench, "d").nonce, refused) is not None
    assert is_closed(bench)
    bench.drain()


def test_a_task_that_a_callback_told_of_ends_it_too(bench: Bench) -> None:
    nonce = bench.ledger.records.read(["a"])[0].nonce
    assert bench.ledger.jobs.accept("a", nonce, task_id="t", first_poll_ms=0, begun_at_ms=bench.now_ms())
    assert is_closed(bench)
    bench.drain()


def test_a_lost_half_open_submission_doubles_the_pause(bench: Bench) -> None:
    pauses = []
    for job_id in ("d", "e", "f"):
        bench.open_gate()
        if not bench.ledger.records.in_flight() or job_id not in bench.state().slots:
            assert bench.ledger.polls.grant() == [job_id]
        lose(bench, job_id)
        pauses.append((bench.ledger.gate.read().breaker_next_ms or 0) - bench.now_ms())
    assert [round(pause / LONG_MS) for pause in pauses] == [2, 4, 4], "twice as long each time, up to the longest"
    bench.drain()


def test_an_unsent_half_open_submission_is_replaced_at_once(bench: Bench) -> None:
    bench.open_gate()
    bench.ledger.jobs.release("d", submit(bench, "d").nonce, "not sent")
    submit(bench, bench.ledger.polls.grant()[0] if "e" not in bench.state().slots else "e")
    bench.drain()


def test_a_half_open_submission_of_a_dead_worker_is_replaced_after_its_lease(bench: Bench) -> None:
    bench.open_gate()
    submit(bench, "d")
    assert bench.ledger.jobs.begin("e") == Blocked()
    bench.open_gate()
    submit(bench, bench.ledger.polls.grant()[0])
    bench.drain()
