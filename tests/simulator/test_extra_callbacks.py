"""Besides the true callback, a callback URL gets what anybody might send it."""

from collections.abc import Callable
from itertools import accumulate
from typing import Any

import httpx
import pytest
from wanimate_simulator.callback_faults import BOGUS_RESULT_URL

SUBMIT = "/api/v1/generateTask/wan-2-2-animate"
STATUS = "/api/v1/statusTask/wan-2-2-animate"

SetFaults = Callable[..., None]
RequestFor = Callable[..., dict[str, Any]]
Eventually = Callable[..., Any]
Receiver = Any


@pytest.fixture
def accept(live: httpx.Client, request_for: RequestFor, receiver: Receiver) -> Callable[..., str]:
    """Have a task accepted whose callback URL ends in a signature; gives its id."""

    def submit(job: str, signature: str) -> str:
        url = f"{receiver.url}/{job}/1/{signature}?a=b"
        return str(live.post(SUBMIT, json=request_for(job, callback_url=url)).json()["data"]["taskId"])

    return submit


@pytest.fixture
def settle(live: httpx.Client, eventually: Eventually) -> Callable[[int], dict[str, Any]]:
    """Wait until so many true callbacks and all extras are settled; gives the counts."""

    def settled(true_ones: int) -> dict[str, Any] | None:
        counts: dict[str, Any] = live.get("/simulator/summary").json()["callbacks"]
        busy = counts["waiting"] or counts["extras_waiting"] or counts["ok"] < true_ones
        return None if busy else counts

    return lambda true_ones: dict(eventually(lambda: settled(true_ones)))


def extras(live: httpx.Client) -> list[list[str]]:
    return [task["extra_callbacks"] for task in live.get("/simulator/tasks").json()["tasks"]]


def test_a_forged_callback_has_another_signature_and_comes_before_the_true_one(
    live: httpx.Client,
    set_faults: SetFaults,
    receiver: Receiver,
    accept: Callable[..., str],
    settle: Callable[[int], dict[str, Any]],
) -> None:
    receiver.codes = [403]
    # Long enough for the forged one to arrive before the task ends.
    live.post("/simulator/reset", json={"mean_seconds": 600})
    set_faults(callback_forged_rate=1)
    accept("job-1", "abc0")

    counts = settle(1)

    assert receiver.paths == ["/callback/job-1/1/abc1?a=b", "/callback/job-1/1/abc0?a=b"]
    assert (counts["sent"], counts["ok"], counts["extras"]) == (1, 1, {"forged": {"403": 1}})
    assert extras(live) == [["forged"]]
    assert live.get("/simulator/tasks").json()["tasks"][0]["callback_attempts"] == 1
    assert live.get("/simulator/summary").json()["faults_struck"] == {"callback_forged_rate": 1}


def test_a_callback_can_carry_the_signature_of_another_task(
    live: httpx.Client,
    set_faults: SetFaults,
    receiver: Receiver,
    accept: Callable[..., str],
    settle: Callable[[int], dict[str, Any]],
) -> None:
    set_faults(callback_other_signature_rate=1)
    accept("job-1", "aaa")
    accept("job-2", "bbb")

    counts = settle(2)

    assert "/callback/job-2/1/aaa?a=b" in receiver.paths
    assert (counts["sent"], counts["extras"]) == (2, {"other_signature": {"200": 1}})
    # The first task has nobody's signature to borrow.
    assert extras(live) == [[], ["other_signature"]]


def test_a_premature_callback_claims_a_success_while_the_task_runs(
    live: httpx.Client,
    set_faults: SetFaults,
    receiver: Receiver,
    request_for: RequestFor,
    eventually: Eventually,
    settle: Callable[[int], dict[str, Any]],
) -> None:
    set_faults(callback_premature_rate=1, stalled=True)
    answer = live.post(SUBMIT, json=request_for(callback_url=receiver.url, prompt="[fail]"))
    task_id = answer.json()["data"]["taskId"]

    early = eventually(lambda: receiver.bodies and receiver.bodies[0]["data"])
    state_then = live.get(STATUS, params={"taskId": task_id}).json()["data"]["state"]
    set_faults()
    counts = settle(1)

    assert (early["taskId"], early["state"], state_then) == (task_id, "success", "pending")
    assert BOGUS_RESULT_URL in early["resultJson"]
    assert receiver.bodies[1]["data"]["state"] == "failed"
    assert counts["extras"] == {"premature": {"200": 1}}


def test_a_callback_can_name_the_task_of_another_job(
    live: httpx.Client,
    set_faults: SetFaults,
    receiver: Receiver,
    accept: Callable[..., str],
    settle: Callable[[int], dict[str, Any]],
) -> None:
    set_faults(callback_wrong_task_rate=1)
    first = accept("job-1", "aaa")
    second = accept("job-2", "bbb")

    settle(2)

    named = [(path, body["data"]["taskId"]) for path, body in zip(receiver.paths, receiver.bodies, strict=True)]
    assert sorted(named) == sorted(
        [
            ("/callback/job-1/1/aaa?a=b", first),
            ("/callback/job-2/1/bbb?a=b", first),
            ("/callback/job-2/1/bbb?a=b", second),
        ],
    )
    assert extras(live) == [[], ["wrong_task"]]


def test_a_huge_callback_has_10_megabytes(
    set_faults: SetFaults,
    receiver: Receiver,
    accept: Callable[..., str],
    settle: Callable[[int], dict[str, Any]],
) -> None:
    set_faults(callback_huge_rate=1)
    accept("job-1", "aaa")

    counts = settle(1)

    # The two may cross: reading so much takes time.
    assert max(len(body["message"]) for body in receiver.bodies) == 10_000_000
    assert counts["extras"] == {"huge": {"200": 1}}


def test_a_callback_can_be_replayed_after_it_was_delivered(
    live: httpx.Client,
    set_faults: SetFaults,
    receiver: Receiver,
    accept: Callable[..., str],
    settle: Callable[[int], dict[str, Any]],
) -> None:
    set_faults(callback_replay_rate=1, callback_replay_seconds=0.2)
    accept("job-1", "aaa")

    counts = settle(1)

    assert receiver.bodies[0] == receiver.bodies[1]
    assert receiver.paths[0] == receiver.paths[1]
    assert receiver.arrived_at_ms[1] - receiver.arrived_at_ms[0] >= 190
    assert (counts["sent"], counts["extras"]) == (1, {"replay": {"200": 1}})
    assert extras(live) == [["replay"]]


def test_callbacks_that_are_held_come_out_of_order(
    live: httpx.Client,
    set_faults: SetFaults,
    receiver: Receiver,
    accept: Callable[..., str],
    settle: Callable[[int], dict[str, Any]],
) -> None:
    set_faults(callback_hold_rate=0.5, callback_hold_seconds=1)
    for number in range(20):
        accept(f"job-{number}", "aaa")

    counts = settle(20)

    ended_at_ms = [body["data"]["completeTime"] for body in receiver.bodies]
    # By more than threads of the receiver overtake each other.
    assert max(latest - each for latest, each in zip(accumulate(ended_at_ms, max), ended_at_ms, strict=True)) > 50
    assert counts["sent"] == 20
    assert 3 <= live.get("/simulator/summary").json()["faults_struck"]["callback_hold_rate"] <= 17


def test_an_unanswered_extra_callback_is_counted(
    live: httpx.Client,
    set_faults: SetFaults,
    request_for: RequestFor,
    eventually: Eventually,
) -> None:
    set_faults(callback_premature_rate=1, callback_missing_rate=1)
    live.post(SUBMIT, json=request_for(callback_url="http://127.0.0.1:9/callback"))

    counts = eventually(lambda: live.get("/simulator/summary").json()["callbacks"]["extras"])

    assert counts == {"premature": {"none": 1}}


def test_an_extra_callback_never_leaves_this_machine(
    live: httpx.Client,
    set_faults: SetFaults,
    request_for: RequestFor,
) -> None:
    set_faults(callback_forged_rate=1, callback_premature_rate=1, callback_huge_rate=1)
    live.post(SUBMIT, json=request_for(callback_url="https://192.0.2.1/callback"))

    summary = live.get("/simulator/summary").json()

    assert (summary["callbacks"]["extras_waiting"], summary["faults_struck"]) == (0, {})
