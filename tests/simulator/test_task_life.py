"""A task lives by time alone, and is told as documented."""

import json
from collections.abc import Callable
from typing import Any

import pytest

MakeBench = Callable[..., Any]


def test_a_task_goes_from_pending_to_processing_to_success(bench: MakeBench) -> None:
    vendor = bench(sigma=0.0, mean_seconds=100.0)
    task_id = vendor.accept()
    states = []
    for moment in (0.0, 4.99, 5.0, 99.99, 100.0, 10_000.0):
        vendor.now_seconds = moment
        states.append(vendor.data(task_id)["state"])

    assert states == ["pending", "pending", "processing", "processing", "success", "success"]


def test_a_success_is_told_with_exactly_the_documented_fields(bench: MakeBench) -> None:
    vendor = bench(sigma=0.0, mean_seconds=41.388)
    task_id = vendor.accept()
    vendor.now_seconds = 50.0

    data = vendor.data(task_id)

    assert isinstance(data["resultJson"], str)
    assert json.loads(data["resultJson"]) == {"resultUrls": [f"http://vendor/results/{task_id}.mp4"]}
    assert data == {
        "taskId": task_id,
        "state": "success",
        "resultJson": data["resultJson"],
        "createTime": 1_700_000_000_000,
        "completeTime": 1_700_000_041_388,
        "costTime": 41_388,
    }


@pytest.mark.parametrize(
    ("prompt", "code", "message"),
    [
        ("[violation] please", "CONTENT_VIOLATION", "Content violates safety guidelines"),
        ("please [fail]", "GENERATION_FAILED", "Video generation failed"),
        ("[code:PROCESSING_TIMEOUT] please", "PROCESSING_TIMEOUT", "Processing took too long"),
        ("[code:SensitiveContent]", "SensitiveContent", "Sensitive content"),
        ("[code:NEW_CODE]", "NEW_CODE", "The task failed"),
    ],
)
def test_a_failure_is_told_with_its_code_and_message(
    bench: MakeBench,
    prompt: str,
    code: str,
    message: str,
) -> None:
    vendor = bench(sigma=0.0)
    task_id = vendor.accept(prompt=prompt)
    vendor.now_seconds = 41.0

    assert vendor.data(task_id) == {
        "taskId": task_id,
        "state": "failed",
        "failCode": code,
        "failMsg": message,
        "createTime": 1_700_000_000_000,
        "completeTime": 1_700_000_041_000,
        "costTime": 41_000,
    }


def test_neither_result_nor_failure_is_told_before_the_end(bench: MakeBench) -> None:
    vendor = bench(sigma=0.0)
    task_id = vendor.accept(prompt="[fail]")
    vendor.now_seconds = 20.0

    assert vendor.data(task_id) == {
        "taskId": task_id,
        "state": "processing",
        "createTime": 1_700_000_000_000,
    }


def test_speed_shortens_the_wall_clock_and_leaves_the_cost_time_simulated(bench: MakeBench) -> None:
    vendor = bench(sigma=0.0, speed=10.0)
    task_id = vendor.accept()
    vendor.now_seconds = 4.1

    data = vendor.data(task_id)

    assert data["completeTime"] - data["createTime"] == 4_100
    assert data["costTime"] == 41_000


def test_a_task_really_completes_in_its_duration_divided_by_speed(
    live: Any,
    request_for: Callable[..., Any],
    eventually: Callable[..., Any],
) -> None:
    live.post("/simulator/reset", json={"speed": 400, "mean_seconds": 100, "sigma": 0})
    task_id = live.post("/api/v1/generateTask/wan-2-2-animate", json=request_for()).json()["data"]["taskId"]

    def ended() -> Any:
        answer = live.get("/api/v1/statusTask/wan-2-2-animate", params={"taskId": task_id}).json()["data"]
        return answer if answer["state"] == "success" else None

    data = eventually(ended)

    assert data["completeTime"] - data["createTime"] == pytest.approx(250, abs=1)
    assert data["costTime"] == 100_000
    listed = live.get("/simulator/tasks").json()["tasks"][0]
    assert listed["first_told_at_ms"] >= listed["completed_at_ms"]
