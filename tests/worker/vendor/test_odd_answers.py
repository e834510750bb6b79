"""Answers that are not as documented: nothing that was paid for is lost to them, and nothing is believed in haste."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from wanimate.contract import Outcome
from wanimate.errors import GenerationFailed
from wanimate_worker.vendor import (
    Accepted,
    Failed,
    Pending,
    Refused,
    Rejected,
    Succeeded,
    Unknown,
    Unreadable,
)

from .test_classify import envelope, state, status_of, submit

#: What answers in the vendor's place: nginx, frameworks, gateways for gRPC and REST, a WAF.
OTHERS = [
    b"<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>",
    b"",
    None,
    b'{"detail": "Not Found"}',
    b'{"code": 5, "message": "Not Found", "details": []}',
    b'{"code": 404, "message": "Not Found"}',
    b'{"code": 400}',
    b'{"code": 413, "message": "Request Entity Too Large", "status": "error"}',
    b'{"code": "rest_no_route", "message": "No route", "data": {"status": 404}}',
    b'{"message": "no Route matched with those values", "request_id": "0a1b"}',
    b'{"error": {"id": "req-1", "status": 400}}',
]
REFUSED_ON_THE_WAY = [*range(400, 419), 421, 422, 423, 424, 425, 426, 428, 431, 451]


@pytest.mark.parametrize("status", REFUSED_ON_THE_WAY)
@pytest.mark.parametrize("body", OTHERS)
def test_a_server_that_is_not_the_vendors_api_refuses_no_job(status: int, body: bytes | None) -> None:
    answer = submit(status, body)
    assert isinstance(answer, Refused)
    assert answer.code == str(status)
    assert "check WANIMATE_API_BASE_URL" in answer.message


@pytest.mark.parametrize("body", [*OTHERS, b"<!doctype html><title>Sign in</title>"])
def test_a_page_that_is_no_answer_of_the_vendor_is_no_verdict_whatever_its_status(body: bytes | None) -> None:
    for status in (200, 204, 303, 500, 502, 503, 504, 511):
        assert not isinstance(submit(status, body), Accepted | Rejected)
        assert isinstance(status_of(status, body), Unreadable)
    for status in (301, 302, 307, 308):
        assert isinstance(submit(status, body), Refused)


@pytest.mark.parametrize("body", OTHERS)
def test_a_server_that_is_not_the_vendors_api_knows_nothing_of_tasks(body: bytes | None) -> None:
    for status in REFUSED_ON_THE_WAY:
        assert isinstance(status_of(status, body), Unreadable)


@pytest.mark.parametrize("status", [420, 440, 444, 449, 460, 494, 498, 499])
@pytest.mark.parametrize("body", OTHERS)
def test_a_number_that_http_does_not_know_may_hide_an_accepted_task(status: int, body: bytes | None) -> None:
    assert isinstance(submit(status, body), Unknown)


@pytest.mark.parametrize(
    "body",
    [
        b'{"code":0,"message":"success","data":{"taskId":"task_1"}}',
        b'{"code":"ok","message":"success","data":{"taskId":"task_1"}}',
        b'{"code":200,"message":"success","data":{"task_id":"task_1"}}',
        b'{"code":200,"message":"success","data":{"id":"task_1"}}',
        b'{"code":200,"message":"success","data":{"task":{"taskId":"task_1"}}}',
        b'{"code":200,"message":"success","data":[{"taskId":"task_1"}]}',
        b'{"code":200,"id":"req","taskId":"task_1"}',
        b'[{"taskId":"task_1"}]',
        b'{"code":200,"message":"success","data":{"taskId":"task_1","extra":"cut of',
        b'\xef\xbb\xbf{"code":0,"data":{"taskId":"task_1"}}',
        '{"code":0,"data":{"taskId":"task_1"}}'.encode("utf-16"),
        b'{"code":0,"data":{"taskId":"task_1"},"note":"\\ud800"}',
        b'{"code":0,"data":{"taskId":"task_1"},"big":' + b"9" * 40 + b"}",
    ],
)
@pytest.mark.parametrize("status", [200, 202])
def test_an_id_that_can_be_read_in_an_odd_answer_is_kept_as_a_hint(status: int, body: bytes) -> None:
    answer = submit(status, body)
    assert isinstance(answer, Unknown)
    assert answer.hint == "task_1"
    assert "task_1" in answer.reason


@pytest.mark.parametrize(("task_id", "hint"), [(17, "17"), (None, ""), (True, ""), ("  ", ""), ({}, "")])
def test_only_what_may_be_an_id_is_a_hint(task_id: object, hint: str) -> None:
    answer = submit(200, envelope(data={"taskId": task_id}))
    assert isinstance(answer, Unknown)
    assert answer.hint == hint


def test_an_error_that_names_a_task_is_no_refusal() -> None:
    for status in (400, 409, 500, 502):
        answer = submit(status, b'{"taskId": "task_1"}')
        assert isinstance(answer, Unknown)
        assert answer.hint == "task_1"
    assert submit(500, b'{"id": "req-1"}') == Unknown("HTTP 500: code 500 without a message")


def test_a_byte_order_mark_spoils_no_answer() -> None:
    assert submit(200, b"\xef\xbb\xbf" + envelope(data={"taskId": "task_1"})) == Accepted("task_1")
    assert status_of(200, b"\xef\xbb\xbf" + envelope(data={"state": "pending"})) == Pending("pending")


URL = "https://r.example/v.mp4"


@pytest.mark.parametrize(
    "result",
    [
        {"resultUrls": [URL]},
        [URL],
        URL,
        {"resultUrls": URL},
        {"resultUrls": [{"url": URL}]},
        {"result_urls": [URL, URL]},
        {"videoUrl": URL},
        json.dumps({"resultUrls": URL}),
        json.dumps({"resultUrls": [{"url": URL, "width": 480}]}),
        json.dumps({"resultUrls": json.dumps([URL])}),
        json.dumps(json.dumps({"resultUrls": [URL]})),
        json.dumps([URL]),
        json.dumps({"resultUrls": [URL, 5]}),
    ],
)
def test_a_paid_result_is_read_in_whatever_shape_it_comes(result: object) -> None:
    answer = state(state="success", resultJson=result)
    assert isinstance(answer, Succeeded)
    assert answer.result.urls == (URL,)
    assert answer.oddity


def test_a_result_beside_resultjson_is_read_and_the_documented_one_is_not_odd() -> None:
    beside = state(state="success", resultUrls=[URL])
    assert isinstance(beside, Succeeded)
    assert beside.result.urls == (URL,)
    documented = state(state="success", resultJson=json.dumps({"resultUrls": [URL]}))
    assert isinstance(documented, Succeeded)
    assert documented.oddity == ""


@pytest.mark.parametrize("word", ["SUCCESS", "Success", " success ", "succeeded", "COMPLETED", "done"])
def test_another_word_for_success_counts_with_its_videos(word: str) -> None:
    assert isinstance(state(state=word, resultJson=json.dumps({"resultUrls": [URL]})), Succeeded)
    assert not isinstance(state(state=word), Succeeded)


@pytest.mark.parametrize("word", ["FAILED", "Failed", "failure", "error"])
def test_another_word_for_failure_counts_with_its_code(word: str) -> None:
    answer = state(state=word, failCode="GENERATION_FAILED", failMsg="no")
    assert answer == Failed("GENERATION_FAILED", "no")
    assert isinstance(answer, Failed)
    assert answer.oddity


@pytest.mark.parametrize("message", ['"\\ud800 bad"', '{"why": "bad"}', "[1]", "5", '"\\u0000"', "1" * 400])
def test_a_failure_is_read_and_can_be_stored_whatever_its_message_is(message: str) -> None:
    body = f'{{"code":200,"data":{{"state":"failed","failCode":"X\\udfff","failMsg":{message}}}}}'
    answer = status_of(200, body.encode())
    assert isinstance(answer, Failed)
    stored = Outcome.failure(GenerationFailed(answer.message, answer.code)).model_dump_json()
    assert Outcome.model_validate_json(stored).error == "GenerationFailed"


def test_a_result_with_a_lone_surrogate_can_be_stored() -> None:
    body = b'{"code":200,"data":{"state":"success","resultJson":"{\\"resultUrls\\":[\\"https://r/\\ud800\\"]}"}}'
    answer = status_of(200, body)
    assert isinstance(answer, Succeeded)
    Outcome.success(answer.result).model_dump_json()


@pytest.mark.parametrize("stamp", ["1767965610929", 1767965610.929, "1767965610.929", "2026-01-09T13:33:30.929Z"])
def test_a_time_is_read_as_a_text_in_seconds_and_in_iso_8601(stamp: object) -> None:
    answer = state(state="failed", createTime=stamp)
    assert isinstance(answer, Failed)
    assert answer.created_at == datetime(2026, 1, 9, 13, 33, 30, 929000, tzinfo=UTC)


def test_a_status_answer_with_code_0_or_wrapped_data_is_read() -> None:
    done = {"taskId": "t", "state": "success", "resultJson": json.dumps({"resultUrls": [URL]})}
    for body in (envelope(0, data=done), envelope(data=json.dumps(done)), envelope(data=[done])):
        assert isinstance(status_of(200, body), Succeeded)
    assert isinstance(status_of(200, envelope(0, data={**done, "taskId": "other"})), Unreadable)
