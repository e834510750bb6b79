"""What the vendor's 429s show about its plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from wanimate_worker.ledger import AccountLimits, RefusedBy, Tasks, Throttle, Throttles
from wanimate_worker.pacing import RequestRate

from .bench import LONG_MS, success

if TYPE_CHECKING:
    from collections.abc import Callable

    from .bench import Bench

NOW_MS = 1_795_000_000_000
LIMITS = AccountLimits(max_in_flight=1000, requests_per_minute=10_000)


def seen(
    *counts: tuple[int | tuple[int, int] | None, int],
    refused_by: RefusedBy,
    answered: int = 50,
    since: int = 0,
    age_ms: int = 1000,
) -> Throttles:
    """Return 429s, the newest first: each with tasks at the vendor and requests of the last minute."""
    throttles = [
        Throttle(NOW_MS - age_ms - 1000 * number, refused_by, tasks_of(tasks), requests, answered - number)
        for number, (tasks, requests) in enumerate(counts)
    ]
    return Throttles(throttles, {"total": str(answered + since)}, NOW_MS)


def tasks_of(counts: int | tuple[int, int] | None) -> Tasks | None:
    return Tasks(*(counts if isinstance(counts, tuple) else (counts, counts))) if counts is not None else None


# -- which limits would fit -------------------------------------------------------------------------------------------


def test_a_vendor_that_refuses_a_fourth_task_has_a_plan_of_three() -> None:
    fitting = seen((3, 9), (3, 7), (4, 8), (3, 8), (9, 5), refused_by=RefusedBy.TASKS).fitting(LIMITS)
    assert fitting is not None
    assert fitting.command == "wanimate-worker limits --max-in-flight 3"
    assert "free: 3 tasks at once and 10 requests a minute" in fitting.advice


@pytest.mark.parametrize(
    "seen_tasks",
    [
        pytest.param([(10, 13), (10, 12), (10, 11), (4, 20)], id="others are being submitted"),
        pytest.param([(9, 10), (10, 10), (9, 14), (8, 10)], id="some are accepted and not recorded"),
        pytest.param([(12, 12), (11, 11), (10, 10), (10, 12)], id="some have ended unnoticed"),
        pytest.param([(11, 14), (10, 13), (12, 12), (10, 12), (10, 13)], id="some have ended, others are submitted"),
    ],
)
def test_what_is_under_way_does_not_change_how_many_tasks_fit(seen_tasks: list[tuple[int, int]]) -> None:
    fitting = seen(*((tasks, 5) for tasks in seen_tasks), refused_by=RefusedBy.TASKS).fitting(LIMITS)
    assert fitting is not None
    assert fitting.command == "wanimate-worker limits --max-in-flight 10"


def test_a_task_that_has_ended_unnoticed_is_not_a_fourth_of_a_plan_of_three() -> None:
    seen_tasks = [(3, 4), (3, 13), (3, 15), (5, 14), (4, 15), (0, 15)]
    fitting = seen(*((tasks, 5) for tasks in seen_tasks), refused_by=RefusedBy.TASKS).fitting(LIMITS)
    assert fitting is not None
    assert fitting.max_in_flight == 3


def test_a_vendor_that_refuses_an_eleventh_request_has_a_plan_of_ten() -> None:
    fitting = seen((None, 10), (None, 10), (2, 9), (None, 3), refused_by=RefusedBy.REQUESTS).fitting(LIMITS)
    assert fitting is not None
    assert fitting.command == "wanimate-worker limits --requests-per-minute 10"
    assert "10 requests a minute" in fitting.text


def test_requests_that_were_written_down_late_are_not_an_eleventh_of_a_plan_of_ten() -> None:
    fitting = seen((None, 10), (None, 11), (None, 10), (None, 10), refused_by=RefusedBy.REQUESTS).fitting(LIMITS)
    assert fitting is not None
    assert fitting.requests_per_minute == 10


@pytest.mark.parametrize(("tasks", "requests", "plan"), [(3, 10, "free"), (10, 59, "pro"), (4, 10, None), (3, 8, None)])
def test_the_documented_plan_that_has_both_limits_is_named(tasks: int, requests: int, plan: str | None) -> None:
    refused = [Throttle(NOW_MS - n, RefusedBy.TASKS, Tasks(tasks, tasks), requests, 5) for n in range(3)]
    refused += [Throttle(NOW_MS - n, RefusedBy.REQUESTS, None, requests, 5) for n in range(3)]
    fitting = Throttles(refused, {"total": "5"}, NOW_MS).fitting(LIMITS)
    assert fitting is not None
    assert (fitting.max_in_flight, fitting.requests_per_minute) == (tasks, requests)
    assert (fitting.plan or "None").split(":")[0] == str(plan)


def test_429s_that_name_no_limit_count_for_requests_where_polls_meet_them_too() -> None:
    fitting = seen((3, 10), (3, 10), (3, 10), refused_by=RefusedBy.EITHER).fitting(LIMITS)
    assert fitting is not None
    assert fitting.requests_per_minute == 10


def test_429s_that_name_no_limit_count_for_tasks_where_requests_differ() -> None:
    fitting = seen((3, 4), (3, 40), (3, 20), refused_by=RefusedBy.EITHER).fitting(LIMITS)
    assert fitting is not None
    assert fitting.command == "wanimate-worker limits --max-in-flight 3"


@pytest.mark.parametrize(
    "throttles",
    [
        pytest.param(seen(refused_by=RefusedBy.REQUESTS), id="none"),
        pytest.param(seen((None, 7), (None, 7), refused_by=RefusedBy.REQUESTS), id="two are an accident"),
        pytest.param(seen((None, 70), (None, 33), (None, 5), refused_by=RefusedBy.REQUESTS), id="at any pace"),
        pytest.param(seen((None, 7), (None, 7), (None, 7), refused_by=RefusedBy.REQUESTS, since=15), id="it has ended"),
        pytest.param(seen((None, 7), (None, 7), (None, 7), refused_by=RefusedBy.REQUESTS, age_ms=900_000), id="old"),
        pytest.param(seen((40, 1), (9, 1), (3, 1), (80, 1), refused_by=RefusedBy.TASKS), id="at any number of tasks"),
        pytest.param(seen((0, 0), (0, 0), (0, 0), refused_by=RefusedBy.EITHER), id="nothing gets through"),
        pytest.param(seen(*[(None, 10_000)] * 3, refused_by=RefusedBy.REQUESTS), id="no less than is set"),
    ],
)
def test_nothing_is_suggested_where_429s_do_not_show_a_limit(throttles: Throttles) -> None:
    assert throttles.fitting(LIMITS) is None


# -- what is written down ---------------------------------------------------------------------------------------------


pytestmark = pytest.mark.leaves("account")


def stored(bench: Bench) -> list[Throttle]:
    return [Throttle.read(each) for each in bench.redis.lrange(bench.keys.throttles, 0, -1)]


def test_a_429_is_kept_with_the_tasks_and_the_answered_requests_of_the_last_minute(bench: Bench) -> None:
    bench.start("a")
    bench.let_time_pass()
    claim = bench.ledger.polls.claim(10)
    bench.ledger.polls.plan(claim.token, {"a": LONG_MS}, answered_since_ms=claim.claimed_at_ms, answered=7)
    bench.ledger.gate.close("429", sent_at_ms=bench.now_ms(), refused_by=RefusedBy.TASKS, tasks=Tasks(1, 2))
    bench.ledger.gate.close("not sent", sent_at_ms=bench.next_ms())
    [throttle] = stored(bench)
    assert (throttle.refused_by, throttle.tasks, throttle.requests, throttle.answered) == (
        RefusedBy.TASKS,
        Tasks(1, 2),
        8,
        8,
    )
    assert bench.redis.ttl(bench.keys.throttles) > 0
    assert bench.redis.ttl(bench.keys.answered) > 0
    bench.drain()


def test_requests_of_more_than_a_minute_ago_do_not_count_and_are_forgotten(bench: Bench) -> None:
    old = bench.now_ms() // 1000 - 60
    bench.redis.hset(bench.keys.answered, mapping={str(old): 5, str(old - 9): 5, str(old + 30): 2})
    bench.start("a")
    bench.ledger.gate.close("429", sent_at_ms=bench.next_ms(), refused_by=RefusedBy.REQUESTS)
    [throttle] = stored(bench)
    assert (throttle.tasks, throttle.requests, throttle.answered) == (None, 3, 13)
    assert str(old - 9) not in bench.redis.hgetall(bench.keys.answered)
    bench.drain()


def test_tasks_that_the_vendor_may_have_count_and_jobs_that_only_hold_a_slot_do_not(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(max_in_flight=4, rate=RequestRate(1000))
    bench.start("a")
    bench.admit("b", "c", "d")
    submit = bench.begin("b")
    assert bench.ledger.gate.tasks_at_vendor() == Tasks(accepted=1, perhaps=2)
    assert bench.ledger.gate.tasks_at_vendor(besides="b") == Tasks(accepted=1, perhaps=1)
    bench.ledger.jobs.mark_unknown("b", submit.nonce, "why")
    assert bench.ledger.gate.tasks_at_vendor() == Tasks(accepted=1, perhaps=2)
    bench.ledger.jobs.settle("b", submit.nonce, success("t"))
    assert bench.ledger.gate.tasks_at_vendor() == Tasks(accepted=1, perhaps=1)
    bench.drain()


def test_new_limits_begin_without_the_429s_of_the_old(bench: Bench) -> None:
    bench.ledger.gate.close("429", sent_at_ms=bench.now_ms(), refused_by=RefusedBy.REQUESTS)
    assert stored(bench)
    assert bench.ledger.limits.set(AccountLimits(3, 10))
    assert not stored(bench)
