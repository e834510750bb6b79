"""The end of a task is told to its callback URL, to a real receiver."""

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import httpx
import pytest
from wanimate_simulator.webhook_sender import TIMEOUT_SECONDS, WebhookSender

SUBMIT = "/api/v1/generateTask/wan-2-2-animate"
STATUS = "/api/v1/statusTask/wan-2-2-animate"

RequestFor = Callable[..., dict[str, Any]]
Eventually = Callable[..., Any]
Receiver = Any


def counts(live: httpx.Client) -> dict[str, int]:
    callbacks: dict[str, int] = live.get("/simulator/summary").json()["callbacks"]
    return callbacks


def settled(live: httpx.Client) -> dict[str, int] | None:
    totals = live.get("/simulator/summary").json()
    return totals["callbacks"] if totals["completed"] and not totals["callbacks"]["waiting"] else None


@pytest.mark.parametrize("prompt", ["turn around", "[fail]"])
def test_a_callback_carries_what_a_status_request_would_tell(
    live: httpx.Client,
    request_for: RequestFor,
    receiver: Receiver,
    eventually: Eventually,
    prompt: str,
) -> None:
    answer = live.post(SUBMIT, json=request_for(callback_url=receiver.url, prompt=prompt))
    task_id = answer.json()["data"]["taskId"]

    totals = eventually(lambda: settled(live))

    assert receiver.bodies == [live.get(STATUS, params={"taskId": task_id}).json()]
    assert receiver.bodies[0]["data"]["state"] == ("failed" if prompt == "[fail]" else "success")
    assert (totals["sent"], totals["ok"], totals["failed"]) == (1, 1, 0)
    listed = live.get("/simulator/tasks").json()["tasks"][0]
    assert (listed["callback_state"], listed["callback_attempts"]) == ("ok", 1)


def test_a_callback_is_retried_three_times_with_growing_delays(
    live: httpx.Client,
    request_for: RequestFor,
    receiver: Receiver,
    eventually: Eventually,
) -> None:
    live.post("/simulator/reset", json={"speed": 300})
    receiver.codes = [500, 503, 404, 400]
    live.post(SUBMIT, json=request_for(callback_url=receiver.url))

    totals = eventually(lambda: settled(live))

    assert len(receiver.bodies) == 4
    assert (totals["sent"], totals["ok"], totals["failed"]) == (4, 0, 1)
    gaps_ms = [after - before for before, after in pairwise(receiver.arrived_at_ms)]
    assert all(
        gap_ms >= simulated / 300 * 1000 - 5 for gap_ms, simulated in zip(gaps_ms, (30, 60, 120), strict=True)
    ), gaps_ms


@pytest.mark.parametrize("code", [500, 201, 202, 204, 302])
def test_only_an_answer_of_200_counts_as_received(
    live: httpx.Client,
    request_for: RequestFor,
    receiver: Receiver,
    eventually: Eventually,
    code: int,
) -> None:
    live.post("/simulator/reset", json={"speed": 1000})
    receiver.codes = [code]
    live.post(SUBMIT, json=request_for(callback_url=receiver.url))

    totals = eventually(lambda: settled(live))

    assert (totals["sent"], totals["ok"], totals["failed"]) == (2, 1, 0)


def test_a_receiver_that_answers_too_late_has_not_answered(receiver: Receiver) -> None:
    assert TIMEOUT_SECONDS == 30

    async def post() -> list[int | None]:
        hasty = WebhookSender(allow_non_loopback=False, timeout_seconds=0.001)
        patient = WebhookSender(allow_non_loopback=False)
        try:
            return [await each.post(receiver.url, b"{}") for each in (hasty, patient)]
        finally:
            await hasty.close()
            await patient.close()

    receiver.delay_seconds = 0.1
    assert asyncio.run(post()) == [None, 200]


def test_a_receiver_that_is_not_there_counts_as_failed(
    live: httpx.Client,
    request_for: RequestFor,
    eventually: Eventually,
) -> None:
    live.post("/simulator/reset", json={"speed": 1000})
    live.post(SUBMIT, json=request_for(callback_url="http://127.0.0.1:9/callback"))

    totals = eventually(lambda: settled(live))

    assert (totals["sent"], totals["ok"], totals["failed"]) == (4, 0, 1)


@pytest.mark.parametrize("host", ["your-server.com", "192.0.2.1", "localhost.example.com"])
def test_a_callback_never_leaves_this_machine(
    live: httpx.Client,
    request_for: RequestFor,
    eventually: Eventually,
    host: str,
) -> None:
    live.post(SUBMIT, json=request_for(callback_url=f"https://{host}/callback"))

    totals = eventually(lambda: settled(live))

    assert (totals["refused"], totals["sent"]) == (1, 0)


def test_a_callback_can_go_missing(
    live: httpx.Client,
    set_faults: Callable[..., None],
    request_for: RequestFor,
    receiver: Receiver,
    eventually: Eventually,
) -> None:
    set_faults(callback_missing_rate=1)
    live.post(SUBMIT, json=request_for(callback_url=receiver.url))

    totals = eventually(lambda: settled(live))

    assert (totals["missing"], totals["sent"]) == (1, 0)
    assert receiver.bodies == []


def test_a_callback_can_come_twice(
    live: httpx.Client,
    set_faults: Callable[..., None],
    request_for: RequestFor,
    receiver: Receiver,
    eventually: Eventually,
) -> None:
    set_faults(callback_duplicate_rate=1)
    live.post(SUBMIT, json=request_for(callback_url=receiver.url))

    totals = eventually(lambda: settled(live))

    assert (totals["duplicated"], totals["sent"], totals["ok"]) == (1, 2, 2)
    assert receiver.bodies[0] == receiver.bodies[1]


def test_a_callback_can_come_late(
    live: httpx.Client,
    set_faults: Callable[..., None],
    request_for: RequestFor,
    receiver: Receiver,
    eventually: Eventually,
) -> None:
    set_faults(callback_delay_seconds=0.3)
    live.post(SUBMIT, json=request_for(callback_url=receiver.url))

    eventually(lambda: settled(live))

    assert receiver.arrived_at_ms[0] - receiver.bodies[0]["data"]["completeTime"] >= 290


def test_every_one_of_many_callbacks_arrives(
    live: httpx.Client,
    request_for: RequestFor,
    receiver: Receiver,
    eventually: Eventually,
) -> None:
    ids = {
        live.post(SUBMIT, json=request_for(f"job-{number}", callback_url=receiver.url)).json()["data"]["taskId"]
        for number in range(100)
    }

    eventually(lambda: counts(live)["ok"] == 100)

    assert {body["data"]["taskId"] for body in receiver.bodies} == ids
