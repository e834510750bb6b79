"""The ground truth is exact."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wanimate_simulator.outcomes import SUCCESS
from wanimate_simulator.slots import Slots
from wanimate_simulator.task import Task
from wanimate_simulator.window import SlidingWindow

MakeBench = Callable[..., Any]
MOMENTS = st.lists(st.integers(0, 300), max_size=80).map(sorted)


@given(moments=MOMENTS, length=st.integers(1, 120))
def test_the_sliding_window_agrees_with_counting_every_window(moments: list[int], length: int) -> None:
    window = SlidingWindow(length)
    for moment in moments:
        window.record(moment)

    # Every half-open window of this length that ends at a whole moment.
    fullest = max(sum(end - length < moment <= end for moment in moments) for end in range(421))
    assert window.maximum == fullest
    assert window.count(300) == sum(300 - length < moment <= 300 for moment in moments)


@given(lives=st.lists(st.tuples(st.integers(0, 100), st.integers(1, 40)), min_size=1, max_size=60).map(sorted))
def test_in_flight_and_its_integral_agree_with_looking_at_every_moment(lives: list[tuple[int, int]]) -> None:
    slots = Slots()
    for number, (start, length) in enumerate(lives):
        assert all(task.completes_at_seconds <= start for task in slots.release(start))
        slots.take(
            Task(
                task_id=str(number),
                marker="",
                attempt=1,
                outcome=SUCCESS,
                video_seconds=5.0,
                billed_seconds=5.0,
                cost_usd=0.2,
                base_url="",
                duration_seconds=length,
                accepted_at_seconds=start,
                processing_at_seconds=start,
                completes_at_seconds=start + length,
                input_json=b"{}",
                callback_url=None,
                forget_draw=1.0,
            ),
        )

    def in_flight(moment: int) -> int:
        return sum(start <= moment < start + length for start, length in lives)

    first, last = lives[0][0], lives[-1][0]
    assert slots.in_use_max == max(in_flight(moment) for moment in range(141))
    assert slots.area_at_last_take == sum(in_flight(moment) for moment in range(first, last))
    assert [task.completes_at_seconds for task in slots.release(200)] == sorted(
        start + length for start, length in lives if start + length > last
    )
    assert slots.in_use == 0


def test_markers_accepted_more_than_once_are_listed_with_their_counts(bench: MakeBench) -> None:
    vendor = bench()
    for marker in ("a", "b", "a", "c", "a", "c", None, None):
        vendor.accept(marker)

    assert vendor.vendor.summary()["duplicates"] == [
        {"marker": "a", "accepted": 3},
        {"marker": "c", "accepted": 2},
    ]


def test_a_refused_repeat_is_no_duplicate(bench: MakeBench) -> None:
    vendor = bench(cap=1)
    vendor.accept("a")

    assert vendor.submit("a").code == 429
    assert vendor.vendor.summary()["duplicates"] == []


def test_the_summary_adds_up_over_a_small_run(bench: MakeBench) -> None:
    vendor = bench(cap=4, sigma=0.0, mean_seconds=10.0)
    first = vendor.accept("a")
    vendor.now_seconds = 5.0
    second = vendor.accept("b", prompt="[fail]")
    vendor.submit(seed=-5)
    vendor.submit(key="wrong")
    vendor.now_seconds = 10.5
    vendor.data(first)
    vendor.data(first)
    vendor.status("unknown")
    vendor.now_seconds = 20.0
    vendor.data(second)
    vendor.accept("c")
    billed = [task["billed_seconds"] for task in vendor.vendor.tasks(0, 10)["tasks"]]

    assert vendor.vendor.summary() == {
        "accepted": 3,
        "rejected_by_code": {"400": 1, "401": 1},
        "status_errors_by_code": {"404": 1},
        "in_flight_now": 1,
        "in_flight_max": 2,
        "cap": 4,
        "violations_of_cap": 0,
        "requests_total": 9,
        "submits_total": 5,
        "statuses_total": 4,
        "requests_window_max": 8,
        "window_seconds": 60.0,
        "count_429": {"rate": 0, "concurrency": 0, "injected": 0},
        "duplicates": [],
        "completed": 2,
        "succeeded": 1,
        "failed": 1,
        "failed_by_code": {"GENERATION_FAILED": 1},
        "billed_seconds": pytest.approx(sum(billed)),
        "balance_usd": pytest.approx(1_000_000 - sum(billed) * 0.04),
        "spent_usd": pytest.approx(sum(billed) * 0.04),
        "balances_total": 0,
        "balance_errors_by_code": {},
        "polls_per_task": {"mean": 1.0, "max": 2},
        "first_told_lag_ms": {"count": 2, "mean": 2750.0, "median": 2750.0, "max": 5000.0},
        "callbacks": {
            "waiting": 0,
            "sent": 0,
            "ok": 0,
            "failed": 0,
            "missing": 0,
            "duplicated": 0,
            "refused": 0,
            "extras_waiting": 0,
            "extras": {},
        },
        "downloads": {"answers": {}, "complete": 0, "sent_bytes": 0, "open_now": 0, "open_max": 0},
        "makespan_seconds": 15.0,
        "slot_use": 20.0 / (20.0 * 4),
    }


def test_the_fullest_window_counts_refused_requests_too(bench: MakeBench) -> None:
    vendor = bench(rate=1)
    for moment in (0.0, 1.0, 2.0, 61.5):
        vendor.now_seconds = moment
        vendor.status("unknown")

    assert vendor.vendor.summary()["requests_window_max"] == 3


def test_every_task_is_listed_page_by_page_in_order_of_acceptance(bench: MakeBench) -> None:
    vendor = bench(sigma=0.0)
    ids = [vendor.accept(f"job-{number}", seed=number) for number in range(5)]
    vendor.now_seconds = 41.5
    vendor.data(ids[3])
    vendor.accept("job-5")

    page = vendor.vendor.tasks(3, 2)

    assert (page["total"], page["offset"], page["limit"]) == (6, 3, 2)
    assert [task["task_id"] for task in page["tasks"]] == ids[3:5]
    told, untold = page["tasks"]
    assert told == {
        "task_id": ids[3],
        "marker": "job-3",
        "attempt": 1,
        "state": "success",
        "outcome": "success",
        "duration_seconds": pytest.approx(41.0),
        "video_seconds": told["video_seconds"],
        "billed_seconds": told["billed_seconds"],
        "cost_usd": told["cost_usd"],
        "accepted_at_ms": 1_700_000_000_000,
        "completed_at_ms": 1_700_000_041_000,
        "first_told_at_ms": 1_700_000_041_500,
        "answer_lost": None,
        "answer_delay_seconds": 0.0,
        "polls": 1,
        "forgotten": False,
        "input": told["input"],
        "callback_url": None,
        "callback_state": "none",
        "callback_attempts": 0,
        "extra_callbacks": [],
        "downloads": 0,
        "downloaded": False,
    }
    assert (untold["first_told_at_ms"], untold["polls"]) == (None, 0)


def test_the_listing_and_the_truth_are_served_without_a_key(
    converse: Callable[..., Any],
    request_for: Callable[..., Any],
) -> None:
    request = request_for("job-9", prompt="turn around")

    async def conversation(client: Any) -> Any:
        await client.post("/api/v1/generateTask/wan-2-2-animate", json=request)
        del client.headers["Authorization"]
        paths = ("health", "summary", "tasks", "faults", "tasks?limit=0", "tasks?limit=x", "tasks?offset=-1")
        return [await client.get(f"/simulator/{path}") for path in paths]

    health, summary, tasks, faults, empty, *wrong = converse(conversation, rate=1)

    assert health.json()["status"] == "ok"
    assert summary.json()["requests_total"] == 1
    assert {"elapsed_seconds", "rate", "speed", "seed", "faults_struck"} <= set(summary.json())
    assert tasks.json()["tasks"][0]["input"] == request["input"]
    assert faults.json()["outage"] is False
    assert empty.json()["tasks"] == []
    assert [answer.status_code for answer in wrong] == [400, 400]


def test_a_reset_forgets_everything_and_goes_back_to_the_start(
    converse: Callable[..., Any],
    request_for: Callable[..., Any],
) -> None:
    async def conversation(client: Any) -> Any:
        await client.put("/simulator/faults", json={"latency_ms": 1})
        accepted = await client.post("/api/v1/generateTask/wan-2-2-animate", json=request_for())
        reset = await client.post("/simulator/reset", json={"cap": 7, "rate": 70, "speed": 2.5, "seed": 9})
        task_id = accepted.json()["data"]["taskId"]
        gone = await client.get("/api/v1/statusTask/wan-2-2-animate", params={"taskId": task_id})
        faults = await client.get("/simulator/faults")
        again = await client.post("/simulator/reset")
        return reset.json(), gone.status_code, faults.json(), again.json()

    reset, gone, faults, again = converse(conversation)

    assert {key: reset[key] for key in ("accepted", "requests_total", "cap", "rate", "speed", "seed")} == {
        "accepted": 0,
        "requests_total": 0,
        "cap": 7,
        "rate": 70,
        "speed": 2.5,
        "seed": 9,
    }
    assert gone == 404
    assert faults["latency_ms"] == 0
    assert (again["cap"], again["accepted"], again["statuses_total"]) == (1000, 0, 0)


@pytest.mark.parametrize(
    "changes",
    ['{"host": "0.0.0.0"}', '{"cap": 0}', '{"cap": 1.5}', '{"speed": true}', '{"speed": 0}', "[]", "{"],
)
def test_reset_refuses_options_it_cannot_take_and_forgets_nothing(
    converse: Callable[..., Any],
    request_for: Callable[..., Any],
    changes: str,
) -> None:
    async def conversation(client: Any) -> Any:
        await client.post("/api/v1/generateTask/wan-2-2-animate", json=request_for())
        refused = await client.post("/simulator/reset", content=changes)
        return refused, (await client.get("/simulator/summary")).json()

    refused, summary = converse(conversation)

    assert refused.status_code == 400
    assert json.loads(refused.content)["error"]
    assert summary["accepted"] == 1
