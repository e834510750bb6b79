from __future__ import annotations

import gzip
import json
import socket
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from wanimate.contract import AnimateJob
from wanimate.errors import SettingsError
from wanimate_worker.settings import WorkerSettings
from wanimate_worker.vendor import (
    Accepted,
    Exchange,
    NotSent,
    Pending,
    Refused,
    Rejected,
    Succeeded,
    TaskNotFound,
    Throttled,
    Unauthorised,
    Unknown,
    Unreadable,
    VendorClient,
)

from .conftest import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ACCEPTED = '{"code": 200, "message": "success", "data": {"taskId": "task_1"}}'
PROCESSING = '{"code": 200, "message": "success", "data": {"taskId": "task_1", "state": "processing"}}'


@pytest.fixture
def nobody() -> Iterator[str]:
    """Give an address that is taken, so that nobody else gets it, and refuses connections."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


def test_a_submission_carries_the_job_and_the_key_and_gives_the_task_id(
    server: Any, client: VendorClient, job: AnimateJob, key: str
) -> None:
    server.answers(ACCEPTED)
    assert client.submit(job) == Accepted("task_1")
    [request] = server.requests
    assert (request.method, request.target) == ("POST", "/api/v1/generateTask/wan-2-2-animate")
    assert request.headers["authorization"] == f"Bearer {key}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == f"wanimate/{version('wanimate')}"
    assert json.loads(request.body)["input"]["image_urls"] == ["https://example.com/c.png"]


def test_a_prompt_in_any_language_arrives_as_it_was_written(server: Any, client: VendorClient) -> None:
    server.answers(ACCEPTED)
    prompt = "keep the face — 顔を保つ 🎬"
    client.submit(AnimateJob(image_url="https://e.com/c", video_url="https://e.com/m", prompt=prompt, seed=2**31 - 1))
    given = json.loads(server.requests[0].body)["input"]
    assert (given["prompt"], given["seed"]) == (prompt, 2**31 - 1)


def test_a_callback_address_is_passed_on(server: Any, client: VendorClient, job: AnimateJob) -> None:
    server.answers(ACCEPTED)
    client.submit(job, callback_url="https://us.example/cb?job=1")
    assert json.loads(server.requests[0].body)["callback_url"] == "https://us.example/cb?job=1"


def test_a_status_request_asks_for_one_task_by_its_id(server: Any, client: VendorClient) -> None:
    server.answers(PROCESSING)
    assert client.status("task_1") == Pending("processing")
    assert server.requests[0].method == "GET"
    assert server.requests[0].target == "/api/v1/statusTask/wan-2-2-animate?taskId=task_1"


def test_a_task_id_with_special_characters_stays_one_parameter(server: Any, client: VendorClient) -> None:
    server.answers(PROCESSING)
    client.status("a&b=c d/é#")
    assert server.requests[0].target.endswith("?taskId=a%26b%3Dc+d%2F%C3%A9%23")


def test_a_finished_task_gives_its_result(server: Any, client: VendorClient) -> None:
    data = {"taskId": "t", "state": "success", "resultJson": '{"resultUrls": ["https://r.example/v.mp4"]}'}
    server.answers(json.dumps({"code": 200, "message": "success", "data": data}))
    answer = client.status("t")
    assert isinstance(answer, Succeeded)
    assert answer.result.urls == ("https://r.example/v.mp4",)


def test_a_base_url_with_a_path_and_a_slash_is_kept(
    server: Any, connect: Callable[..., VendorClient], job: AnimateJob
) -> None:
    server.answers(ACCEPTED)
    connect(f"http://{server.address}/proxy/").submit(job)
    assert server.requests[0].target == "/proxy/api/v1/generateTask/wan-2-2-animate"


def test_a_refused_connection_is_surely_not_sent(
    nobody: str, connect: Callable[..., VendorClient], job: AnimateJob
) -> None:
    client = connect(f"http://{nobody}")
    assert isinstance(client.submit(job), NotSent)
    assert isinstance(client.status("t"), NotSent)


def test_a_host_without_address_is_surely_not_sent(connect: Callable[..., VendorClient], job: AnimateJob) -> None:
    assert isinstance(connect("http://no-such-host.invalid").submit(job), NotSent)


def test_a_broken_tls_handshake_is_surely_not_sent(
    server: Any, connect: Callable[..., VendorClient], job: AnimateJob
) -> None:
    answer = connect(f"https://{server.address}").submit(job)
    assert isinstance(answer, NotSent)
    assert server.requests == []


def test_a_tls_handshake_without_end_is_surely_not_sent(connect: Callable[..., VendorClient], job: AnimateJob) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = connect(f"https://127.0.0.1:{silent.getsockname()[1]}", seconds=0.2)
        assert isinstance(client.submit(job), NotSent)


@pytest.mark.parametrize("trouble", ["drops", "resets"])
def test_a_connection_lost_after_the_request_leaves_the_submission_unknown(
    server: Any, client: VendorClient, job: AnimateJob, trouble: str
) -> None:
    getattr(server, trouble)()
    assert isinstance(client.submit(job), Unknown)
    assert isinstance(client.status("t"), Unreadable)
    assert len(server.requests) == 2  # neither was sent again


def test_silence_after_the_request_leaves_the_submission_unknown(
    server: Any, connect: Callable[..., VendorClient], job: AnimateJob
) -> None:
    server.keeps_silent()
    client = connect(seconds=0.2)
    assert isinstance(client.submit(job), Unknown)
    assert isinstance(client.status("t"), Unreadable)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + ACCEPTED.encode(),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 2",
        b"SSH-2.0-OpenSSH_9.6\r\n",
    ],
    ids=["cut short", "cut chunk", "not gzip", "cut status line", "another protocol"],
)
def test_an_answer_that_cannot_be_read_leaves_the_submission_unknown(
    server: Any, client: VendorClient, job: AnimateJob, raw: bytes
) -> None:
    server.sends(raw, then_close=True)
    assert isinstance(client.submit(job), Unknown)
    assert isinstance(client.status("t"), Unreadable)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + ACCEPTED.encode(),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n46\r\n" + ACCEPTED.encode(),
        b"HTTP/1.1 400 Bad\r\nContent-Length: 5000\r\n\r\n" + ACCEPTED.encode(),
    ],
    ids=["cut short", "cut chunk", "an error that names a task"],
)
def test_the_id_in_an_answer_that_was_cut_off_is_kept_as_a_hint(
    server: Any, client: VendorClient, job: AnimateJob, raw: bytes
) -> None:
    server.sends(raw, then_close=True)
    answer = client.submit(job)
    assert isinstance(answer, Unknown)
    assert answer.hint == "task_1"


def test_an_oversized_answer_is_not_read_to_its_end(server: Any, client: VendorClient, job: AnimateJob) -> None:
    sent = 0

    def pour(server: Any, conn: Any, _request: Any) -> None:
        nonlocal sent
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while not server.stopped.is_set():
            sent += conn.send(b" " * 65536)

    server.behave = pour
    assert isinstance(client.submit(job), Unknown)
    assert isinstance(client.status("t"), Unreadable)
    assert sent < 100_000_000


def test_a_refusal_is_understood_even_if_its_body_is_cut_short(
    server: Any, client: VendorClient, job: AnimateJob
) -> None:
    server.sends(b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 5000\r\n\r\n{", then_close=True)
    assert client.submit(job) == Throttled(7.0, "code 429 without a message", None)


def test_an_answer_that_drips_in_does_not_hold_the_thread(
    server: Any, connect: Callable[..., VendorClient], job: AnimateJob
) -> None:
    server.drips(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    started = time.monotonic()
    assert isinstance(connect(seconds=0.3).submit(job), Unknown)
    assert time.monotonic() - started < 3


def test_an_answer_compressed_unasked_is_still_understood(server: Any, client: VendorClient, job: AnimateJob) -> None:
    server.answers(gzip.compress(ACCEPTED.encode()), 200, "Content-Encoding: gzip")
    assert client.submit(job) == Accepted("task_1")
    assert server.requests[0].headers["accept-encoding"] == "identity"


def test_a_redirect_is_not_followed_and_counts_as_not_sent(server: Any, client: VendorClient, job: AnimateJob) -> None:
    server.answers("", 307, f"Location: http://{server.address}/elsewhere")
    assert isinstance(client.submit(job), Refused)
    assert isinstance(client.status("t"), NotSent)
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_key_goes_to_no_other_host_whatever_the_vendor_answers(
    server: Any, client: VendorClient, job: AnimateJob, status: int
) -> None:
    elsewhere = Server()
    elsewhere.answers(ACCEPTED)
    try:
        server.answers(
            "", status, f"Location: http://{elsewhere.address}/api", f"Refresh: 0;http://{elsewhere.address}/"
        )
        client.submit(job, callback_url=f"http://{elsewhere.address}/v1/callbacks/a")
        client.status("t")
        assert elsewhere.connections == 0
    finally:
        elsewhere.stop()


def test_the_urls_of_a_job_are_never_fetched(server: Any, client: VendorClient) -> None:
    elsewhere = Server()
    try:
        server.answers(ACCEPTED)
        url = f"http://{elsewhere.address}/c"
        assert client.submit(AnimateJob(image_url=url, video_url=url)) == Accepted("task_1")
        assert elsewhere.connections == 0
    finally:
        elsewhere.stop()


@pytest.mark.parametrize(
    ("status", "expected"), [(400, Rejected), (401, Unauthorised), (429, Throttled), (500, Unknown), (502, Unknown)]
)
def test_each_http_status_reaches_its_class(
    server: Any, client: VendorClient, job: AnimateJob, status: int, expected: Any
) -> None:
    server.answers(f'{{"code": {status}, "message": "no", "data": null}}', status)
    assert isinstance(client.submit(job), expected)


def test_a_task_the_vendor_does_not_know_is_forgotten(server: Any, client: VendorClient) -> None:
    server.answers('{"code": 404, "message": "task not found", "data": null}', 404)
    assert client.status("t") == TaskNotFound("task not found")


def test_the_key_is_in_no_representation_log_or_answer(
    server: Any, client: VendorClient, job: AnimateJob, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    for status in (200, 302, 400, 401, 404, 429, 500):
        server.answers(json.dumps({"code": status, "message": f"your key {key} …", "data": {"error": key}}), status)
        for answer in (client.submit(job), client.status("t")):
            assert key not in repr(answer)
    server.answers(json.dumps({"code": 400, "message": f"bad key {key}"}), 400)
    assert client.submit(job) == Rejected("400", "bad key [API key]")
    server.drops()
    assert key not in repr(client.submit(job))
    assert key not in repr(client)
    assert key not in str(vars(client))
    assert key not in caplog.text
    assert "receive_response_headers" in caplog.text  # the HTTP client's own log was looked at


@pytest.mark.parametrize("bad", ["", "two words", "ends\n", "ключ-0123456789", "tab\there"])
def test_a_key_that_cannot_be_a_header_is_refused_without_being_shown(bad: str) -> None:
    with pytest.raises(SettingsError, match="API key") as caught:
        VendorClient("https://api.example", SecretStr(bad))
    assert not bad or bad not in str(caught.value)


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "api.example",
        "ftp://api.example",
        "https://",
        "https://user:pw@api.example",
        "https://api.example?x=1",
        "http://[",
        "http://h:99999",
        "http://a b",
        f"https://{'a' * 64}.example",
    ],
)
def test_a_base_url_that_cannot_be_used_is_refused(bad: str) -> None:
    with pytest.raises(SettingsError, match="base URL"):
        VendorClient(bad, SecretStr("key"))


@pytest.mark.parametrize(
    "url", ["http://api.example", "http://10.0.0.7:8900", "http://localhost.example/x", "HTTP://h"]
)
def test_the_key_is_sent_in_clear_to_no_other_machine_unless_allowed(url: str) -> None:
    with pytest.raises(SettingsError, match="WANIMATE_ALLOW_HTTP"):
        VendorClient(url, SecretStr("key"))
    VendorClient(url, SecretStr("key"), allow_http=True)
    VendorClient(url.lower().replace("http:", "https:"), SecretStr("key"))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8900", "http://localhost:8900/p", "http://[::1]:8900", "http://127.8.8.8"]
)
def test_loopback_needs_no_tls(url: str) -> None:
    VendorClient(url, SecretStr("key"))


def test_the_environments_proxy_is_used_only_if_asked_for(
    server: Any,
    nobody: str,
    connect: Callable[..., VendorClient],
    job: AnimateJob,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, f"http://{nobody}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    server.answers(ACCEPTED)
    assert connect().submit(job) == Accepted("task_1")
    assert isinstance(connect(trust_env=True).submit(job), NotSent)


def test_a_proxy_is_asked_for_the_whole_address_unless_the_host_is_exempt(
    server: Any, connect: Callable[..., VendorClient], nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"user:hunter2@{server.address}")
    monkeypatch.delenv("http_proxy", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    server.answers(PROCESSING)
    assert connect("http://api.example/v2", trust_env=True).status("task_1") == Pending("processing")
    [request] = server.requests
    assert request.target == "http://api.example/v2/api/v1/statusTask/wan-2-2-animate?taskId=task_1"
    assert request.headers["host"] == "api.example"
    assert request.headers["proxy-authorization"].startswith("Basic ")
    for exempt in (nobody, "other.example, 127.0.0.1", "*"):
        monkeypatch.setenv("NO_PROXY", exempt)
        assert isinstance(connect(f"http://{nobody}", trust_env=True).status("t"), NotSent)
    assert len(server.requests) == 1


@pytest.mark.parametrize("step", ["connect", "submit", "poll"])
def test_a_time_out_of_zero_is_refused(step: str) -> None:
    with pytest.raises(SettingsError, match=f"WANIMATE_{step.upper()}_TIMEOUT_SECONDS"):
        WorkerSettings(_env_file=None, **{f"{step}_timeout_seconds": 0.0})


def test_the_signature_of_the_callback_url_is_in_no_answer(client: VendorClient, server: Any, job: AnimateJob) -> None:
    signature = "0123456789abcdef" * 4
    url = f"https://callbacks.example.com/v1/callbacks/acct/job/nonce/{signature}"
    server.answers(f'{{"code": 400, "message": "cannot reach {url}"}}', 400)
    answer = client.submit(job, url)
    assert isinstance(answer, Rejected)
    assert signature not in answer.message
    assert answer.message.endswith("/nonce/[signature]")
    assert signature in server.requests[-1].body.decode()


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("req-7f.3/a", "req-7f.3/a"),
        ("", None),
        ("two words", None),
        ("x" * 129, None),
        ('"},{"event":"forged"', None),
        ("of-[the key]", None),
    ],
)
def test_each_request_has_an_id_and_the_vendors_own_is_shown_only_if_it_is_harmless(
    server: Any, client: VendorClient, key: str, said: str, shown: str | None
) -> None:
    server.answers(PROCESSING, 200, f"X-Request-Id: {said.replace('[the key]', key)}")
    first, second = Exchange(), Exchange()
    client.status("t", first)
    client.status("t", second)
    assert [request.headers["x-request-id"] for request in server.requests] == [first.request_id, second.request_id]
    assert first.request_id != second.request_id
    assert first.facts()["vendor_request_id"] == shown
    assert first.facts()["http_status"] == 200
    assert 0 < first.facts()["request_ms"] < 60_000


def test_a_request_that_was_not_answered_has_an_id_and_no_status(
    nobody: str, connect: Callable[..., VendorClient], job: AnimateJob
) -> None:
    exchange = Exchange()
    connect(f"http://{nobody}").submit(job, None, exchange)
    assert exchange.facts()["request_id"] == exchange.request_id
    assert exchange.facts()["http_status"] is None
