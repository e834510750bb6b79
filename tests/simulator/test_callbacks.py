"""The end of a task is told to its callback URL, to a real receiver."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

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


def test_a_callback_is_tried_three_times_before_it_is_given_up(
    live: httpx.Client,
    request_for: RequestFor,
    receiver: Receiver,
    eventually: Eventually,
) -> None:
    receiver.codes = [500, 503, 404]
    live.post(SUBMIT, json=request_for(callback_url=receiver.url))

    totals = eventually(lambda: settled(live))

    assert len(receiver.bodies) == 3
    assert (totals["sent"], totals["ok"], totals["failed"]) == (3, 0, 1)


def test_a_callback_that_fails_once_is_delivered_by_the_second_try(
    live: httpx.Client,
    request_for: RequestFor,
    receiver: Receiver,
    eventually: Eventually,
) -> None:
    receiver.codes = [500]
    live.post(SUBMIT, json=request_for(callback_url=receiver.url))

    totals = eventually(lambda: settled(live))

    assert (totals["sent"], totals["ok"], totals["failed"]) == (2, 1, 0)


def test_a_receiver_that_is_not_there_counts_as_failed(
    live: httpx.Client,
    request_for: RequestFor,
    eventually: Eventually,
) -> None:
    live.post(SUBMIT, json=request_for(callback_url="http://127.0.0.1:9/callback"))

    totals = eventually(lambda: settled(live))

    assert (totals["sent"], totals["ok"], totals["failed"]) == (3, 0, 1)


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
