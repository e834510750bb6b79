"""The ground truth tells, for each accepted task, whether its submit was answered as documented."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from wanimate_simulator import Faults
from wanimate_simulator.malformed import FORMS

SUBMIT = "/api/v1/generateTask/wan-2-2-animate"
STATUS = "/api/v1/statusTask/wan-2-2-animate"
HUNG_UP = (httpx.RemoteProtocolError, httpx.ReadError)

SetFaults = Callable[..., None]
RequestFor = Callable[..., dict[str, Any]]
MakeBench = Callable[..., Any]
Eventually = Callable[..., Any]


def task(live: httpx.Client) -> dict[str, Any]:
    tasks: list[dict[str, Any]] = live.get("/simulator/tasks").json()["tasks"]
    assert len(tasks) == 1
    return tasks[0]


@pytest.mark.parametrize(
    ("switches", "loss"),
    [
        ({}, None),
        ({"unknown_fields": True}, None),
        ({"drop_answer_rate": 1}, "dropped"),
        ({"error_5xx_after_accept_rate": 1}, "error_5xx"),
        ({"bad_json_rate": 1}, "bad_json"),
        ({"malformed_body_rate": 1}, "malformed_body"),
    ],
)
def test_a_task_tells_why_its_answer_was_lost(
    bench: MakeBench,
    switches: dict[str, Any],
    loss: str | None,
) -> None:
    vendor = bench()
    vendor.board.current = Faults.parse(switches)

    vendor.submit()

    (listed,) = vendor.vendor.tasks(0, 10)["tasks"]
    assert (listed["answer_lost"], listed["answer_delay_seconds"]) == (loss, 0)


@pytest.mark.parametrize("switch", [{}, {"drop_answer_rate": 1}, {"error_5xx_after_accept_rate": 1}])
def test_a_task_tells_how_long_its_answer_was_held_back(bench: MakeBench, switch: dict[str, Any]) -> None:
    vendor = bench()
    vendor.board.current = Faults.parse({"latency_ms": 250, "slow_rate": 1, "slow_ms": 4_000, **switch})

    vendor.submit()

    assert vendor.vendor.tasks(0, 10)["tasks"][0]["answer_delay_seconds"] == 4.25


def test_an_answer_whose_caller_gave_up_is_lost(
    live: httpx.Client,
    set_faults: SetFaults,
    request_for: RequestFor,
    eventually: Eventually,
) -> None:
    set_faults(latency_ms=1500)

    with pytest.raises(httpx.ReadTimeout):
        live.post(SUBMIT, json=request_for(), timeout=0.1)

    assert eventually(lambda: task(live)["answer_lost"]) == "gone"
    assert task(live)["answer_delay_seconds"] == 1.5


def test_malformed_bodies_come_whole_with_status_200_each_form_in_turn(
    live: httpx.Client,
    set_faults: SetFaults,
    request_for: RequestFor,
) -> None:
    set_faults(malformed_body_rate=1)

    answers = [live.post(SUBMIT, json=request_for(f"job-{number}")) for number in range(len(FORMS))]

    assert {answer.status_code for answer in answers} == {200}
    bodies = {form: answer.content for form, answer in zip(FORMS, answers, strict=True)}
    kinds = {form: answer.headers["content-type"] for form, answer in zip(FORMS, answers, strict=True)}
    assert json.loads(bodies["a list"]) == []
    assert json.loads(bodies["null"]) is None
    assert json.loads(bodies["no data"])["data"] is None
    assert json.loads(bodies["data that is text"])["data"] == "success"
    assert json.loads(bodies["data without a task id"]) == {"code": 200, "message": "success", "data": {}}
    assert json.loads(bodies["a code that is text"])["code"] == "200"
    assert bodies["an HTML page"].startswith(b"<!DOCTYPE html>")
    assert bodies["nothing"] == b""
    assert len(bodies["10 MB"]) >= 10_000_000
    assert kinds.pop("an HTML page") == "text/html"
    assert set(kinds.values()) == {"application/json"}
    totals = live.get("/simulator/summary").json()
    assert (totals["accepted"], totals["faults_struck"]) == (len(FORMS), {"malformed_body_rate": len(FORMS)})


def test_a_malformed_status_answer_tells_nothing(
    live: httpx.Client,
    set_faults: SetFaults,
    request_for: RequestFor,
    eventually: Eventually,
) -> None:
    task_id = live.post(SUBMIT, json=request_for()).json()["data"]["taskId"]
    eventually(lambda: live.get("/simulator/summary").json()["completed"] == 1)
    set_faults(malformed_body_rate=1)

    for _ in FORMS:
        assert live.get(STATUS, params={"taskId": task_id}).status_code == 200

    assert live.get("/simulator/summary").json()["first_told_lag_ms"]["count"] == 0
    assert task(live)["answer_lost"] is None
