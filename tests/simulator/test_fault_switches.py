"""A real client meets each fault over real HTTP."""

import time
from collections import Counter
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest
from wanimate_simulator.faults import Faults, InvalidFaultsError

SUBMIT = "/api/v1/generateTask/wan-2-2-animate"
STATUS = "/api/v1/statusTask/wan-2-2-animate"
#: What httpx raises when the other side hangs up.
HUNG_UP = (httpx.RemoteProtocolError, httpx.ReadError)

SetFaults = Callable[..., None]
RequestFor = Callable[..., dict[str, Any]]


def submit(live: httpx.Client, request: dict[str, Any]) -> str:
    answer = live.post(SUBMIT, json=request)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["taskId"])


def status(live: httpx.Client, task_id: str) -> httpx.Response:
    return live.get(STATUS, params={"taskId": task_id})


def summary(live: httpx.Client) -> dict[str, Any]:
    totals: dict[str, Any] = live.get("/simulator/summary").json()
    return totals


def test_drop_answer_accepts_the_task_and_hangs_up(
    live: httpx.Client,
    set_faults: SetFaults,
    request_for: RequestFor,
) -> None:
    set_faults(drop_answer_rate=1)

    with pytest.raises(HUNG_UP):
        live.post(SUBMIT, json=request_for())

    totals = summary(live)
    assert totals["accepted"] == 1
    assert totals["faults_struck"] == {"drop_answer_rate": 1}


def test_drop_before_hangs_up_and_accepts_nothing(
    live: httpx.Client,
    set_faults: SetFaults,
    request_for: RequestFor,
) -> None:
    # At this speed all the requests below fall into one window.
    live.post("/simulator/reset", json={"speed": 1})
    task_id = submit(live, request_for())
    set_faults(drop_before_rate=1)

    for _ in range(3):
        with pytest.raises(HUNG_UP):
            live.post(SUBMIT, json=request_for())
        with pytest.raises(HUNG_UP):
            status(live, task_id)

    totals = summary(live)
    assert totals["accepted"] == 1
    assert totals["requests_window_max"] == 7


def is_page(answer: httpx.Response) -> bool:
    return answer.headers["content-type"] == "text/html" and answer.text.startswith("<!DOCTYPE html>")


def test_error_5xx_answers_500_502_and_504_half_of_them_as_pages(
    live: httpx.Client,
    set_faults: SetFaults,
    request_for: RequestFor,
) -> None:
    task_id = submit(live, request_for())
    set_faults(error_5xx_rate=1)

    answers = [each for _ in range(3) for each in (live.post(SUBMIT, json=request_for()), status(live, task_id))]

    assert Counter((each.status_code, is_page(each)) for each in answers) == dict.fromkeys(
        [(code, page) for code in (500, 502, 504) for page in (False, True)], 1
    )
    message = "Server error, please try again later"
    assert all(
        each.json() == {"code": each.status_code, "message": message, "data": None}
        for each in answers
        if not is_page(each)
    )
    assert summary(live)["accepted"] == 1


def test_error_5xx_after_accept_accepts_the_task_all_the_same(
    live: httpx.Client,
    set_faults: SetFaults,
    request_for: RequestFor,
) -> None:
    set_faults(error_5xx_after_accept_rate=1)

    answers = [live.post(SUBMIT, json=request_for(f"job-{number}")) for number in range(6)]

    assert sorted(each.status_code for each in answers) == [500, 500, 502, 502, 504, 504]
    assert sum(is_page(each) for each in answers) == 3
    assert summary(live)["accepted"] == 6
    assert {task["answer_lost"] for task in live.get("/simulator/tasks").json()["tasks"]} == {"error_5xx"}


def test_unavailable_answers_503_in_the_envelope_and_accepts_nothing(
    live: httpx.Client, set_faults: SetFaults, request_for: RequestFor
) -> None:
    task_id = submit(live, request_for())
    set_faults(unavailable_rate=1)

    answers = [live.post(SUBMIT, json=request_for()), status(live, task_id)]

    body = {"code": 503, "message": "Service temporarily unavailable, please try again later", "data": None}
    assert [(each.status_code, each.json()) for each in answers] == [(503, body)] * 2
    assert summary(live)["accepted"] == 1


@pytest.mark.parametrize(
    ("switches", "prompt", "message"),
    [
        ({"forbidden": True}, "turn around", "Forbidden"),
        ({"forbidden": True, "forbidden_message": "No access"}, "turn around", "No access"),
        ({}, "turn [forbidden] around", "Forbidden"),
        ({}, "turn [forbidden:Content violates policy] around", "Content violates policy"),
    ],
)
def test_forbidden_submissions_are_answered_403_without_a_code(
    live: httpx.Client,
    set_faults: SetFaults,
    request_for: RequestFor,
    switches: dict[str, Any],
    prompt: str,
    message: str,
) -> None:
    task_id = submit(live, request_for())
    set_faults(**switches)

    answer = live.post(SUBMIT, json=request_for(prompt=prompt))

    assert (answer.status_code, answer.json()) == (403, {"code": 403, "message": message, "data": None})
    assert status(live, task_id).status_code == 200
    assert summary(live)["accepted"] == 1


@pytest.mark.parametrize(
    ("switches", "prompt", "code"),
    [
        ({"waf": True}, "turn around", 403),
        ({"waf": True, "waf_status": 406}, "turn around", 406),
        ({}, "turn [waf] around", 403),
        ({"waf_status": 429}, "[waf]", 429),
    ],
)
def test_a_firewall_answers_submissions_with_a_page(
    live: httpx.Client, set_faults: SetFaults, request_for: RequestFor, switches: dict[str, Any], prompt: str, code: int
) -> None:
    task_id = submit(live, request_for())
    set_faults(**switches)

    answer = live.post(SUBMIT, json=request_for(prompt=prompt), headers={"Authorization": "Bearer wrong"})

    assert (answer.status_code, is_page(answer)) == (code, True)
    assert status(live, task_id).status_code == 200
    assert summary(live)["accepted"] == 1


def test_a_prompt_can_ask_to_lose_the_answer_of_its_first_submission(
    live: httpx.Client, request_for: RequestFor
) -> None:
    lost = request_for(prompt="turn [lost] around")

    with pytest.raises(HUNG_UP):
        live.post(SUBMIT, json=lost)

    assert summary(live)["accepted"] == 1
    assert status(live, submit(live, lost)).status_code == 200
    assert summary(live)["accepted"] == 2


def test_out_of_credit_refuses_submissions_with_402(
    live: httpx.Client, set_faults: SetFaults, request_for: RequestFor
) -> None:
    task_id = submit(live, request_for())
    set_faults(out_of_credit=True)

    answer = live.post(SUBMIT, json=request_for())

    failure = {"failCode": "INSUFFICIENT_CREDITS", "failMsg": "The balance is insufficient"}
    assert answer.status_code == 402
    assert answer.json() == {"code": 402, "message": "Insufficient balance", "data": failure}
    assert status(live, task_id).status_code == 200


@pytest.mark.parametrize("code", ["CONTENT_VIOLATION", "PromptLengthExceeded", "MODEL_UNAVAILABLE", "NEW_CODE"])
@pytest.mark.parametrize(("suffix", "status_code"), [("", 400), ("@403", 403), ("@503", 503)])
def test_a_prompt_can_ask_for_a_refusal_with_a_failure_code(
    live: httpx.Client, request_for: RequestFor, code: str, suffix: str, status_code: int
) -> None:
    answer = live.post(SUBMIT, json=request_for(prompt=f"turn [refuse:{code}{suffix}] around"))

    assert answer.status_code == status_code
    assert answer.json()["code"] == status_code
    assert answer.json()["data"]["failCode"] == code
    assert answer.json()["message"] == answer.json()["data"]["failMsg"] != ""
    assert summary(live)["accepted"] == 0


@pytest.mark.parametrize("switches", [{"latency_ms": 150}, {"slow_rate": 1, "slow_ms": 150}])
def test_latency_and_slowness_hold_answers_back(
    live: httpx.Client,
    set_faults: SetFaults,
    request_for: RequestFor,
    switches: dict[str, float],
) -> None:
    set_faults(**switches)
    began = time.monotonic()

    submit(live, request_for())

    assert 0.14 < time.monotonic() - began < 5


def test_a_share_of_answers_is_slow(live: httpx.Client, set_faults: SetFaults) -> None:
    set_faults(slow_rate=0.3, slow_ms=1)

    for _ in range(100):
        status(live, "unknown")

    assert 15 <= summary(live)["faults_struck"]["slow_rate"] <= 45


@pytest.mark.parametrize("form", [None, "seconds", "http-date"])
def test_throttling_answers_429_with_the_asked_for_retry_after(
    live: httpx.Client,
    set_faults: SetFaults,
    request_for: RequestFor,
    form: str | None,
) -> None:
    set_faults(throttle_rate=1, retry_after=form, retry_after_seconds=7)

    answer = live.post(SUBMIT, json=request_for())

    assert answer.status_code == 429
    assert answer.json()["message"] == "Rate limit exceeded: requests per minute"
    assert summary(live)["count_429"] == {"rate": 0, "concurrency": 0, "injected": 1}
    header = answer.headers.get("retry-after")
    if form is None:
        assert header is None
    elif form == "seconds":
        assert header == "7"
    else:
        assert 5 < parsedate_to_datetime(header).timestamp() - time.time() <= 7


def test_concurrency_used_elsewhere_lowers_the_usable_cap(
    live: httpx.Client,
    set_faults: SetFaults,
    request_for: RequestFor,
) -> None:
    set_faults(concurrency_used_elsewhere=1000)

    answer = live.post(SUBMIT, json=request_for())

    assert (answer.status_code, answer.json()["message"]) == (429, "Rate limit exceeded: concurrent tasks")


def test_an_outage_answers_503_and_ends(
    live: httpx.Client,
    set_faults: SetFaults,
    request_for: RequestFor,
) -> None:
    set_faults(outage=True)
    during = live.post(SUBMIT, json=request_for())
    set_faults(outage=True, outage_in_envelope=True)
    enveloped = live.post(SUBMIT, json=request_for())
    set_faults()

    assert (during.status_code, is_page(during)) == (503, True)
    assert (enveloped.status_code, enveloped.json()["code"]) == (503, 503)
    assert summary(live)["accepted"] == 0
    submit(live, request_for())


def test_an_outage_window_begins_and_ends_by_itself(bench: Callable[..., Any]) -> None:
    vendor = bench()
    task_id = vendor.accept()
    vendor.board.current = Faults.parse({"outage_windows": [[10, 20]]})
    codes = []
    for moment in (9.9, 10.0, 19.9, 20.0):
        vendor.now_seconds = moment
        codes.append(vendor.status(task_id).code)

    assert codes == [200, 503, 503, 200]


def test_bad_json_cannot_be_parsed_and_tells_nothing(
    live: httpx.Client,
    set_faults: SetFaults,
    request_for: RequestFor,
    eventually: Callable[..., Any],
) -> None:
    task_id = submit(live, request_for())
    set_faults(bad_json_rate=1)
    eventually(lambda: summary(live)["completed"] == 1)

    answer = status(live, task_id)

    assert answer.status_code == 200
    with pytest.raises(ValueError, match="line 1"):
        answer.json()
    assert summary(live)["first_told_lag_ms"]["count"] == 0


def test_unknown_fields_are_added_to_the_documented_ones(
    live: httpx.Client,
    set_faults: SetFaults,
    request_for: RequestFor,
) -> None:
    set_faults(unknown_fields=True)

    answer = status(live, submit(live, request_for())).json()

    assert {"code", "message", "data"} < set(answer)
    assert {"taskId", "state", "createTime"} < set(answer["data"])


def test_an_unknown_state_hides_the_real_one(
    live: httpx.Client,
    set_faults: SetFaults,
    request_for: RequestFor,
    eventually: Callable[..., Any],
) -> None:
    task_id = submit(live, request_for())
    set_faults(unknown_state_rate=1)
    eventually(lambda: summary(live)["completed"] == 1)

    assert status(live, task_id).json()["data"]["state"] == "queued_v2"
    assert summary(live)["first_told_lag_ms"]["count"] == 0


def test_a_forgotten_task_stays_forgotten_and_holds_its_slot_to_the_end(
    live: httpx.Client,
    set_faults: SetFaults,
    request_for: RequestFor,
    eventually: Callable[..., Any],
) -> None:
    task_id = submit(live, request_for())
    set_faults(forget_rate=1)
    first = status(live, task_id)
    set_faults()
    second = status(live, task_id)

    assert first.json() == second.json() == {"code": 404, "message": "task not found", "data": None}
    eventually(lambda: summary(live)["completed"] == 1)
    assert live.get("/simulator/tasks").json()["tasks"][0]["forgotten"] is True


def test_stalled_tasks_hold_their_slots_and_end_when_the_stall_does(bench: Callable[..., Any]) -> None:
    vendor = bench(cap=2, mean_seconds=10, sigma=0)
    ended = vendor.accept("before")
    vendor.now_seconds = 11
    vendor.vendor.stall(stalled=True)
    ids = [vendor.accept("one"), vendor.accept("two")]
    vendor.now_seconds = 1_000
    assert vendor.data(ended)["state"] == "success"
    assert [vendor.data(each)["state"] for each in ids] == ["pending"] * 2
    assert vendor.submit("three").code == 429
    assert vendor.vendor.summary()["completed"] == 1

    vendor.vendor.stall(stalled=False)
    assert [vendor.data(each)["state"] for each in ids] == ["success"] * 2
    assert [task["completed_at_ms"] for task in vendor.vendor.tasks(1, 2)["tasks"]] == [vendor.clock.unix_ms(1_000)] * 2
    late = vendor.accept("four")
    vendor.now_seconds = 1_005
    assert vendor.data(late)["state"] == "processing"


def test_a_stalled_task_is_told_by_its_callback_when_the_stall_ends(
    live: httpx.Client, set_faults: SetFaults, request_for: RequestFor, receiver: Any, eventually: Callable[..., Any]
) -> None:
    set_faults(stalled=True)
    task_id = submit(live, request_for(callback_url=receiver.url))
    later = submit(live, request_for("job-2"))
    # As long as both would take without it, and longer.
    until = time.monotonic() + 0.5
    eventually(lambda: time.monotonic() > until)
    assert receiver.bodies == []
    assert status(live, later).json()["data"]["state"] == "pending"

    set_faults()
    eventually(lambda: receiver.bodies)
    assert receiver.bodies == [status(live, task_id).json()]
    assert receiver.bodies[0]["data"]["state"] == "success"


def test_forget_rate_is_the_share_of_tasks_forgotten_however_often_they_are_polled(
    live: httpx.Client,
    set_faults: SetFaults,
    request_for: RequestFor,
) -> None:
    set_faults(forget_rate=0.4)
    ids = [submit(live, request_for(f"job-{number}")) for number in range(100)]

    forgotten = [{task_id for task_id in ids if status(live, task_id).status_code == 404} for _ in range(3)]

    assert forgotten[0] == forgotten[1] == forgotten[2]
    assert 25 <= len(forgotten[0]) <= 55


def test_a_revoked_key_is_answered_401(
    live: httpx.Client,
    set_faults: SetFaults,
    request_for: RequestFor,
) -> None:
    set_faults(revoked_keys=["simulator-key"])
    during = live.post(SUBMIT, json=request_for())
    set_faults(revoked_keys=["another-key"])

    assert during.status_code == 401
    assert summary(live)["rejected_by_code"] == {"401": 1}
    submit(live, request_for())


def test_putting_faults_sets_every_switch_and_reading_tells_them(live: httpx.Client) -> None:
    live.put("/simulator/faults", json={"latency_ms": 5, "outage_windows": [[1000, 2000]]})
    answer = live.put("/simulator/faults", json={"slow_rate": 0.5})

    assert answer.json() == live.get("/simulator/faults").json()
    assert answer.json() == {**Faults().as_json(), "outage_windows": [], "revoked_keys": [], "slow_rate": 0.5}


@pytest.mark.parametrize("body", ['{"no_such_fault": 1}', '{"slow_rate": 2}', "[]", "{"])
def test_faults_that_make_no_sense_are_refused_and_change_nothing(live: httpx.Client, body: str) -> None:
    answer = live.put("/simulator/faults", content=body)

    assert answer.status_code == 400
    assert answer.json()["error"]
    assert live.get("/simulator/faults").json()["slow_rate"] == 0


@pytest.mark.parametrize(
    ("switch", "value"),
    [
        ("drop_answer_rate", -0.1),
        ("drop_before_rate", 1.1),
        ("error_5xx_rate", "1"),
        ("bad_json_rate", True),
        ("latency_ms", -1),
        ("latency_ms", float("inf")),
        ("slow_ms", None),
        ("retry_after", "minutes"),
        ("retry_after_seconds", "7"),
        ("concurrency_used_elsewhere", 1.5),
        ("concurrency_used_elsewhere", -1),
        ("outage", 1),
        ("outage_in_envelope", 1),
        ("not_found_status", 200),
        ("not_found_status", True),
        ("forbidden_message", 1),
        ("unavailable_rate", 2),
        ("forbidden", 1),
        ("waf", "true"),
        ("waf_status", 200),
        ("waf_status", True),
        ("out_of_credit", None),
        ("outage_windows", {"a": 1}),
        ("outage_windows", [1, 2]),
        ("outage_windows", [[2, 1]]),
        ("outage_windows", [[1, 2, 3]]),
        ("stalled", 1),
        ("revoked_keys", "key"),
        ("revoked_keys", [1]),
        ("refuse_for_seconds", -1),
        ("malformed_body_rate", 2),
        ("callback_delay_seconds", -1),
        ("callback_hold_rate", 2),
        ("callback_hold_seconds", "1"),
        ("callback_replay_rate", -1),
        ("callback_replay_seconds", None),
        ("callback_forged_rate", True),
        ("callback_other_signature_rate", 2),
        ("callback_premature_rate", 2),
        ("callback_wrong_task_rate", 2),
        ("callback_huge_rate", 2),
    ],
)
def test_each_switch_refuses_what_it_cannot_take(switch: str, value: object) -> None:
    with pytest.raises(InvalidFaultsError, match=f"^{switch} must be "):
        Faults.parse({switch: value})
