"""Both of the vendor's limits are kept exactly."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from wanimate_simulator import Faults

MakeBench = Callable[..., Any]


def test_a_request_over_the_rate_is_answered_429_that_says_so(bench: MakeBench) -> None:
    vendor = bench(rate=2)
    task_id = vendor.accept()
    vendor.status(task_id)

    answer = vendor.status(task_id)

    assert answer.code == 429
    assert json.loads(answer.body) == {
        "code": 429,
        "message": "Rate limit exceeded: requests per minute",
        "data": None,
    }
    assert vendor.vendor.summary()["count_429"] == {"rate": 1, "concurrency": 0, "injected": 0}


def test_the_rate_window_slides_and_refused_requests_do_not_consume(bench: MakeBench) -> None:
    vendor = bench(rate=2)
    codes = []
    for moment in (0.0, 10.0, 20.0, 59.9, 60.0, 60.1, 70.0, 70.1):
        vendor.now_seconds = moment
        codes.append(vendor.status("unknown").code)

    assert codes == [404, 404, 429, 429, 404, 429, 404, 429]


def test_the_rate_window_shrinks_with_speed(bench: MakeBench) -> None:
    vendor = bench(rate=1, speed=60.0)
    codes = []
    for moment in (0.0, 0.99, 1.0):
        vendor.now_seconds = moment
        codes.append(vendor.status("unknown").code)

    assert codes == [404, 429, 404]
    assert vendor.vendor.summary()["window_seconds"] == 1.0


def test_requests_with_a_wrong_key_do_not_consume_the_rate(bench: MakeBench) -> None:
    vendor = bench(rate=1)

    assert vendor.status("unknown", key="wrong").code == 401
    assert vendor.status("unknown").code == 404
    assert vendor.vendor.summary()["requests_window_max"] == 1


def test_a_task_over_the_cap_is_answered_429_that_says_so(bench: MakeBench) -> None:
    vendor = bench(cap=2, sigma=0.0)
    vendor.accept("a")
    vendor.accept("b")

    answer = vendor.submit("c")

    assert answer.code == 429
    assert json.loads(answer.body) == {
        "code": 429,
        "message": "Rate limit exceeded: concurrent tasks",
        "data": None,
    }
    summary = vendor.vendor.summary()
    assert summary["count_429"]["concurrency"] == 1
    assert summary["violations_of_cap"] == 1
    assert summary["rejected_by_code"] == {"429": 1}


def test_a_slot_is_free_the_moment_its_task_completes_unpolled(bench: MakeBench) -> None:
    vendor = bench(cap=1, sigma=0.0)
    vendor.accept("a")

    vendor.now_seconds = 40.999
    assert vendor.submit("b").code == 429
    vendor.now_seconds = 41.0
    assert vendor.submit("b").code == 200
    assert vendor.vendor.summary()["in_flight_max"] == 1


def test_a_refusal_for_concurrency_does_not_consume_the_rate(bench: MakeBench) -> None:
    vendor = bench(cap=1, rate=2)
    vendor.accept("a")

    assert [vendor.submit("b").code for _ in range(3)] == [429, 429, 429]
    assert vendor.status("unknown").code == 404
    assert vendor.vendor.summary()["count_429"] == {"rate": 0, "concurrency": 3, "injected": 0}


def test_an_invalid_request_consumes_the_rate_and_no_slot(bench: MakeBench) -> None:
    vendor = bench(rate=1)

    assert vendor.submit(seed=-5).code == 400
    assert vendor.submit().code == 429
    assert vendor.vendor.summary()["in_flight_now"] == 0


def test_tasks_of_somebody_else_take_slots_without_counting_as_violations(bench: MakeBench) -> None:
    vendor = bench(cap=3)
    vendor.board.current = Faults(concurrency_used_elsewhere=2)
    vendor.accept("a")

    assert vendor.submit("b").code == 429
    summary = vendor.vendor.summary()
    assert summary["count_429"]["concurrency"] == 1
    assert summary["violations_of_cap"] == 0


@pytest.mark.parametrize(
    ("form", "header"),
    [(None, ()), ("seconds", ((b"retry-after", b"3"),))],
)
def test_a_real_429_carries_retry_after_only_if_asked_to(
    bench: MakeBench,
    form: str | None,
    header: tuple[tuple[bytes, bytes], ...],
) -> None:
    vendor = bench(rate=1)
    vendor.status("unknown")
    vendor.board.current = Faults.parse({"retry_after": form, "retry_after_seconds": 2.5})

    assert vendor.status("unknown").headers == header


def test_retry_after_can_be_an_http_date(bench: MakeBench) -> None:
    vendor = bench(rate=1)
    vendor.status("unknown")
    vendor.board.current = Faults.parse({"retry_after": "http-date", "retry_after_seconds": 2})

    # The bench's clock stands at 1,700,000,000 seconds of Unix time.
    assert vendor.status("unknown").headers == ((b"retry-after", b"Tue, 14 Nov 2023 22:13:22 GMT"),)
