from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wanimate_worker.vendor import (
    Accepted,
    Failed,
    NotSent,
    Pending,
    Refused,
    Rejected,
    StatusAnswer,
    SubmitAnswer,
    Succeeded,
    TaskNotFound,
    Throttled,
    Unauthorised,
    Unknown,
    Unreadable,
)
from wanimate_worker.vendor.classify import classify_error, classify_status, classify_submit
from wanimate_worker.vendor.envelope import HttpAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

#: What each failure of httpx's transports means for a submission.
MEANING = {
    httpx.TransportError: Unknown,
    httpx.TimeoutException: Unknown,
    httpx.ConnectTimeout: NotSent,
    httpx.PoolTimeout: NotSent,
    httpx.ReadTimeout: Unknown,
    httpx.WriteTimeout: Unknown,
    httpx.NetworkError: Unknown,
    httpx.ConnectError: NotSent,
    httpx.ReadError: Unknown,
    httpx.WriteError: Unknown,
    httpx.CloseError: Unknown,
    httpx.ProtocolError: Unknown,
    httpx.LocalProtocolError: Unknown,
    httpx.RemoteProtocolError: Unknown,
    httpx.ProxyError: NotSent,
    httpx.UnsupportedProtocol: NotSent,
}


def family(parent: type[Exception]) -> set[type[Exception]]:
    return {parent}.union(*map(family, parent.__subclasses__()))


def envelope(code: object = 200, message: object = "success", data: object = None) -> bytes:
    return json.dumps({"code": code, "message": message, "data": data}).encode()


def answered(status: int, body: bytes | None, headers: Mapping[str, str] | None = None) -> HttpAnswer:
    """Return an answer; its body is None where it was not read to its end."""
    return HttpAnswer.read(status, headers or {}, body or b"", NOW, is_whole=body is not None)


def submit(status: int, body: bytes | None, **headers: str) -> SubmitAnswer:
    return classify_submit(answered(status, body, headers))


def status_of(status: int, body: bytes | None, task_id: str = "t") -> StatusAnswer:
    return classify_status(task_id, answered(status, body))


def state(**data: object) -> StatusAnswer:
    return status_of(200, envelope(data=data))


def test_every_failure_of_httpx_has_been_thought_about() -> None:
    assert family(httpx.TransportError) == set(MEANING)
    assert family(httpx.RequestError) - set(MEANING) == {
        httpx.RequestError,
        httpx.DecodingError,
        httpx.TooManyRedirects,
    }


@pytest.mark.parametrize("failure", MEANING, ids=lambda failure: failure.__name__)
def test_only_failures_before_the_first_byte_count_as_not_sent(failure: type[httpx.TransportError]) -> None:
    assert type(classify_error(failure("why"), Unknown)) is MEANING[failure]
    expected = NotSent if MEANING[failure] is NotSent else Unreadable
    assert type(classify_error(failure("why"), Unreadable)) is expected


@pytest.mark.parametrize("error", [httpx.DecodingError("?"), ValueError("?"), KeyError("?"), OSError("?")], ids=repr)
def test_an_unexpected_failure_is_unknown_for_a_submission(error: Exception) -> None:
    assert isinstance(classify_error(error, Unknown), Unknown)
    assert isinstance(classify_error(error, Unreadable), Unreadable)


def test_a_failure_that_quotes_a_header_is_not_quoted() -> None:
    answer = classify_error(httpx.LocalProtocolError("Illegal header value b'Bearer secret'"), Unknown)
    assert answer == Unknown("LocalProtocolError")


def test_a_failure_says_what_it_was() -> None:
    assert classify_error(httpx.ConnectError("[Errno 111] refused"), Unknown) == NotSent(
        "ConnectError: [Errno 111] refused"
    )


@pytest.mark.parametrize("status", [200, 201, 202])
def test_a_success_with_a_task_id_is_accepted(status: int) -> None:
    assert submit(status, envelope(data={"taskId": "task_1"})) == Accepted("task_1")


@pytest.mark.parametrize("code", [200, "200"])
def test_a_success_code_may_be_a_number_or_a_text(code: Any) -> None:
    assert submit(200, envelope(code, data={"taskId": "task_1"})) == Accepted("task_1")


def test_a_task_id_without_any_code_is_accepted() -> None:
    assert submit(200, b'{"data": {"taskId": "task_1"}}') == Accepted("task_1")


@pytest.mark.parametrize(
    "body",
    [
        None,
        b"",
        b"ok",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'"task_1"',
        b"[" * 5000,
        envelope(),
        envelope(data={}),
        envelope(data=[{"taskId": "task_1"}]),
        envelope(data={"taskId": ""}),
        envelope(data={"taskId": "  "}),
        envelope(data={"taskId": 17}),
        envelope(data={"taskId": None}),
    ],
)
def test_a_success_without_a_readable_task_id_is_unknown(body: bytes | None) -> None:
    assert isinstance(submit(200, body), Unknown)


@pytest.mark.parametrize("status", [400, 409, 413, 414, 415, 422, 451])
def test_a_client_error_rejects_the_job(status: int) -> None:
    assert submit(status, envelope(status, "bad", None)) == Rejected(str(status), "bad")


def test_a_rejection_says_the_detail_too() -> None:
    body = envelope(400, "Invalid request", {"error": "Missing required field: input.mode"})
    assert submit(400, body) == Rejected("400", "Invalid request: Missing required field: input.mode")


def test_a_rejection_carries_the_vendors_named_code() -> None:
    body = envelope(400, "no", {"failCode": "CONTENT_VIOLATION", "failMsg": "unsafe"})
    assert submit(400, body) == Rejected("CONTENT_VIOLATION", "no: unsafe")


@pytest.mark.parametrize("status", [401, 402])
def test_a_key_or_an_account_that_is_refused_pauses_the_account(status: int) -> None:
    for whole in (envelope(status, "no"), envelope(status, "no", {})):
        assert submit(status, whole) == Unauthorised(status, "no")
        assert submit(200, whole) == Unauthorised(status, "no")
        assert status_of(status, whole) == Unauthorised(status, "no")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_was_not_processed(status: int) -> None:
    assert isinstance(submit(status, None), Refused)
    assert isinstance(status_of(status, None), NotSent)


def test_see_other_is_unknown_because_it_answers_a_post_that_was_processed() -> None:
    assert isinstance(submit(303, None), Unknown)


@pytest.mark.parametrize("status", [101, 300, 304, 500, 501, 502, 504, 520, 599, 600, 999])
def test_whatever_may_hide_an_accepted_task_is_unknown(status: int) -> None:
    assert isinstance(submit(status, envelope(status, "?")), Unknown)
    assert isinstance(submit(status, None), Unknown)


@pytest.mark.parametrize(
    ("code", "expected"),
    [(400, Rejected), (404, Unknown), (401, Unauthorised), (402, Unauthorised), (429, Throttled), (500, Unknown),
     (503, Unknown), (0, Unknown), (-1, Unknown), (1001, Unknown), ("FAIL", Unknown), (True, Unknown), (301, Unknown)],
)  # fmt: skip
def test_a_success_status_with_another_code_is_understood_by_the_code(code: Any, expected: Any) -> None:
    assert isinstance(submit(200, envelope(code, "no", {"taskId": "task_1"})), expected)


def test_the_code_of_an_error_page_does_not_overrule_its_status() -> None:
    assert isinstance(submit(500, envelope(400)), Unknown)
    assert isinstance(submit(502, envelope(200, data={"taskId": "task_1"})), Unknown)
    assert isinstance(submit(400, envelope(200, data={"taskId": "task_1"})), Unknown)


@pytest.mark.parametrize(
    ("message", "concurrency"),
    [
        ("Rate limit exceeded: concurrent tasks", True),
        ("Too many concurrent requests", True),
        ("Concurrency limit reached", True),
        ("1000 tasks in flight", True),
        ("Rate limit exceeded: requests per minute", False),
        ("Too Many Requests", False),
        ("10000 RPM exceeded", False),
        ("Rate limit exceeded", None),
        ("Slow down", None),
        ("", None),
    ],
)
def test_a_throttled_answer_says_which_limit_if_the_vendor_does(message: str, concurrency: Any) -> None:
    answer = submit(429, envelope(429, message))
    assert isinstance(answer, Throttled)
    assert answer.concurrency is concurrency


def test_a_throttled_answer_carries_the_wait_the_vendor_asks_for() -> None:
    assert submit(429, None, **{"retry-after": "12"}) == Throttled(12.0, "code 429 without a message", None)
    headers = httpx.Headers({"Retry-After": "3"})
    assert classify_status("t", answered(429, envelope(429, "x"), headers)) == Throttled(3.0, "x", None)
    assert submit(200, envelope(429, "x"), **{"retry-after": "5"}) == Throttled(5.0, "x", None)


def test_a_long_message_of_several_lines_becomes_one_short_line() -> None:
    answer = submit(400, envelope(400, "a\r\n\x1b[31m\tb" + "c" * 10_000))
    assert isinstance(answer, Rejected)
    assert answer.message.startswith("a [31m b")
    assert len(answer.message) == 500


@pytest.mark.parametrize("word", ["pending", "processing", "queued", "cancelled", "done", "error"])
def test_a_state_that_is_no_known_end_is_asked_about_again(word: str) -> None:
    assert state(state=word) == Pending(word)


def test_a_success_gives_urls_times_and_cost() -> None:
    answer = state(
        taskId="t",
        state="success",
        resultJson='{"resultUrls":["https://r2.apixo.ai/video.mp4"]}',
        createTime=1767965610929,
        completeTime=1767965652317,
        costTime=41388,
    )
    assert isinstance(answer, Succeeded)
    assert answer.result.urls == ("https://r2.apixo.ai/video.mp4",)
    assert answer.result.task_id == "t"
    assert answer.result.created_at == datetime(2026, 1, 9, 13, 33, 30, 929000, tzinfo=UTC)
    assert answer.result.completed_at == datetime(2026, 1, 9, 13, 34, 12, 317000, tzinfo=UTC)
    assert answer.result.cost_time_ms == 41388


@pytest.mark.parametrize("stamp", [None, "yesterday", "", True, 10**30, -(10**18), 1.5, "NaN", "1e999", [], {}])
def test_a_time_that_cannot_be_read_never_costs_a_video(stamp: Any) -> None:
    good = '{"resultUrls":["https://r.example/v.mp4"]}'
    answer = state(state="success", resultJson=good, createTime=stamp, completeTime=stamp, costTime=stamp)
    assert isinstance(answer, Succeeded)
    assert answer.result.created_at is None


@pytest.mark.parametrize(
    "result_json",
    [None, "", "no json", "[]", "{}", "null", 5, True, {}, [], [None], {"resultUrls": None}, '{"resultUrls": []}',
     '{"resultUrls": [""]}', '{"resultUrls": [null]}', '"' * 500, "[" * 500, {"resultUrls": [{"width": 480}]}],
)  # fmt: skip
def test_a_success_whose_result_cannot_be_read_is_asked_about_again_not_failed(result_json: Any) -> None:
    assert isinstance(state(state="success", resultJson=result_json), Unreadable)


def test_a_success_without_result_is_asked_about_again_not_failed() -> None:
    assert isinstance(state(state="success"), Unreadable)


def test_a_failure_carries_the_vendors_code_and_words() -> None:
    answer = state(state="failed", failCode="CONTENT_VIOLATION", failMsg="Content violates safety guidelines")
    assert answer == Failed("CONTENT_VIOLATION", "Content violates safety guidelines")


def test_a_failure_without_code_is_still_a_failure() -> None:
    assert state(state="failed", failCode=None) == Failed(None, "")
    assert state(state="failed", failCode=17, failMsg=5) == Failed("17", "5")


def test_an_answer_about_another_task_is_ignored() -> None:
    assert isinstance(state(taskId="other", state="failed"), Unreadable)


@pytest.mark.parametrize("data", [None, {}, {"state": None}, {"state": ""}, {"state": 5}, []])
def test_an_answer_without_a_state_is_asked_about_again(data: Any) -> None:
    assert isinstance(status_of(200, envelope(data=data)), Unreadable)


@pytest.mark.parametrize("status", [400, 404])
def test_a_task_the_vendor_does_not_know_is_forgotten(status: int) -> None:
    assert status_of(status, envelope(status, "task not found")) == TaskNotFound("task not found")
    assert status_of(200, envelope(status, "task not found")) == TaskNotFound("task not found")


@pytest.mark.parametrize("body", [None, b"", b"<html>404</html>", b'{"detail": "Not Found"}'])
def test_a_gateways_own_error_page_makes_no_task_forgotten(body: bytes | None) -> None:
    assert isinstance(status_of(404, body), Unreadable)


@pytest.mark.parametrize("status", [303, 403, 405, 408, 410, 500, 502, 503, 504, 999])
def test_an_answer_that_tells_nothing_is_asked_about_again(status: int) -> None:
    assert isinstance(status_of(status, envelope(status, "?")), Unreadable)


@pytest.mark.parametrize("body", [None, b"", b"ok", b"[]"])
def test_a_success_that_is_no_json_object_is_asked_about_again(body: bytes | None) -> None:
    assert isinstance(status_of(200, body), Unreadable)


ENDS = {"success", "failed", "succeeded", "successful", "completed", "complete", "done", "finished"}
ENDS |= {"fail", "failure", "error"}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["code", "message", "data", "taskId", "state", "resultJson", "failCode", "error"])
            | st.text(),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)
bodies = st.none() | st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode())
statuses = st.sampled_from([200, 201, 302, 400, 401, 404, 429, 500]) | st.integers(100, 999)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(statuses, bodies, st.text())
def test_no_answer_whatsoever_raises_or_ends_a_task_by_accident(
    status: int, body: bytes | None, retry_after: Any
) -> None:
    headers = {"retry-after": retry_after}
    submitted = classify_submit(answered(status, body, headers))
    assert isinstance(submitted, (Accepted, Rejected, Refused, Unauthorised, Throttled, NotSent, Unknown))
    if isinstance(submitted, Accepted):
        assert json.loads(body or b"")["data"]["taskId"] == submitted.task_id
    told = classify_status("t", answered(status, body, headers))
    if isinstance(told, (Succeeded, Failed)):
        assert json.loads(body or b"")["data"]["state"].strip().lower() in ENDS
