"""One webhook over HTTP: signed, bounded, and never more than a value."""

from __future__ import annotations

import asyncio
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError
from wanimate import Event
from wanimate.errors import SettingsError
from wanimate_worker.webhooks import send_test
from wanimate_worker.webhooks.client import MAX_BODY_BYTES, WebhookClient, shown
from webhook_receiver import OLD_SECRET, SECRET

from .conftest import settings_with

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler

    from wanimate_worker.webhooks import Answer
    from webhook_receiver import Receiver

BODY = b'{"type":"job.succeeded","data":{"labels":{"name":"\xc3\xa9"}}}'


def post(url: str, times: int = 1, **settings: object) -> list[Answer]:
    async def send() -> list[Answer]:
        client = WebhookClient(settings_with(**settings))
        try:
            return [await client.post(url, "1700000000000-0", BODY) for _ in range(times)]
        finally:
            client.close()

    return asyncio.run(send())


def test_the_signature_is_as_standard_webhooks_say(receiver: Receiver) -> None:
    assert post(receiver.url())[0].why == ""
    [received] = receiver.received
    assert Webhook(SECRET).verify(received.body, received.headers)["type"] == "job.succeeded"
    assert received.body == BODY
    assert received.event_id == "1700000000000-0"
    assert received.path == "/hook?token=secret-of-the-url"
    assert received.headers["content-type"] == "application/json"
    assert received.headers["user-agent"].startswith("wanimate/")
    assert abs(int(received.headers["webhook-timestamp"]) - time.time()) < 60


def test_while_a_secret_is_replaced_both_are_good(receiver: Receiver) -> None:
    post(receiver.url(), webhook_secret=SecretStr(f"{SECRET} {OLD_SECRET}"))
    [received] = receiver.received
    for secret in (SECRET, OLD_SECRET):
        Webhook(secret).verify(received.body, received.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "eA" * 16).verify(received.body, received.headers)


def test_nothing_is_sent_without_a_secret(receiver: Receiver) -> None:
    with pytest.raises(SettingsError, match="WANIMATE_WEBHOOK_SECRET"):
        send_test(settings_with(webhook_secret=None), receiver.url())


def test_the_test_webhook_is_signed_too(receiver: Receiver) -> None:
    answer = send_test(settings_with(), receiver.url())
    assert (answer.why, answer.status) == ("", 204)
    assert 0 < answer.seconds < 5
    [received] = receiver.received
    assert Webhook(SECRET).verify(received.body, received.headers)["type"] == "wanimate.test"
    assert Event.from_webhook(received.body, received.headers, SECRET).job_id == "test"


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_success_is_taken(receiver: Receiver, status: int) -> None:
    receiver.answer = receiver.answers(status)
    assert post(receiver.url())[0].why == ""


@pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 503])
def test_any_error_is_a_failure(receiver: Receiver, status: int) -> None:
    receiver.answer = receiver.answers(status, Retry_After="120")
    [answer] = post(receiver.url())
    assert (answer.why, answer.status, answer.retry_after_seconds) == (f"HTTP {status}", status, 120)
    assert answer.is_gone is (status == 410)


def test_redirects_are_not_followed(receiver: Receiver) -> None:
    for status in (301, 302, 303, 307, 308):
        receiver.answer = receiver.answers(status, Location=receiver.url("/elsewhere"))
        assert post(receiver.url())[0].why == f"HTTP {status}, and redirects are not followed"
    assert {received.path for received in receiver.received} == {"/hook?token=secret-of-the-url"}


def test_the_proxies_of_the_environment_are_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert post(receiver.url())[0].why == ""


def test_a_receiver_that_never_answers_times_out(receiver: Receiver) -> None:
    receiver.answer = receiver.hangs
    [answer] = post(receiver.url(), webhook_timeout_seconds=0.3)
    assert answer.why == "no answer in time"
    assert 0.3 <= answer.seconds < 3


def test_the_time_out_is_of_the_whole_exchange(receiver: Receiver) -> None:
    def drips(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not receiver.stopped.wait(0.05):
            handler.wfile.write(b"x")

    receiver.answer = drips
    [answer] = post(receiver.url(), webhook_timeout_seconds=0.5)
    assert answer.why == "no answer in time"
    assert 0.5 <= answer.seconds < 3


def test_a_connection_is_closed_when_the_time_is_up_in_its_handshake() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as other:

        def read_to_the_end() -> bool:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(20)
                while connection.recv(4096):
                    pass
            return True

        ended = other.submit(read_to_the_end)

        async def send() -> Answer:
            client = WebhookClient(settings_with(webhook_timeout_seconds=0.5))
            try:
                answer = await client.post(f"https://127.0.0.1:{listener.getsockname()[1]}/", "1-0", BODY)
                assert await asyncio.to_thread(ended.result, 20), "while the loop goes on"
                return answer
            finally:
                client.close()

        assert asyncio.run(send()).why == "no answer in time"


def test_a_huge_body_is_cut(receiver: Receiver) -> None:
    written = 0

    def floods(handler: BaseHTTPRequestHandler) -> None:
        nonlocal written
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while not receiver.stopped.is_set():
            handler.wfile.write(b"x" * 8192)
            written += 8192

    receiver.answer = floods
    begun = time.monotonic()
    assert post(receiver.url())[0].why == ""
    assert time.monotonic() - begun < 3
    # What the buffers of both sockets hold is written, too.
    assert written < 100 * MAX_BODY_BYTES


def test_an_endless_body_is_cut_and_the_webhook_was_taken(receiver: Receiver) -> None:
    def drips(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not receiver.stopped.wait(0.05):
            handler.wfile.write(b"1\r\nx\r\n")

    receiver.answer = drips
    begun = time.monotonic()
    assert post(receiver.url())[0].why == ""
    assert time.monotonic() - begun < 4


def test_whatever_goes_wrong_is_one_short_line(receiver: Receiver, closed_port: int) -> None:
    def garbles(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"\x1b[31m\r\n" * 1000)
        handler.close_connection = True

    receiver.answer = garbles
    refused = f"http://127.0.0.1:{closed_port}/"
    for url in (receiver.url(), refused, "http://", "gopher://127.0.0.1/", "https://\u00e9.example/", "no url", ""):
        [answer] = post(url)
        assert answer.why.isprintable()
        assert 0 < len(answer.why) < 400
        assert answer.status is None


def test_a_url_is_shown_without_what_may_be_secret() -> None:
    assert shown("https://user:secret@example.com:8443/hook?token=secret#secret") == "https://example.com:8443/hook"
    assert len(shown("https://example.com/" + "x" * 5000)) <= 200


def test_secrets_are_in_no_text(receiver: Receiver) -> None:
    receiver.answer = receiver.answers(500)

    async def texts() -> str:
        client = WebhookClient(settings_with())
        try:
            return f"{client!r} {client} {await client.post(receiver.url(), '1-0', BODY)!r}"
        finally:
            client.close()

    text = asyncio.run(texts())
    assert "secret" not in text
    assert SECRET[6:] not in text


def test_a_receiver_that_is_gone_is_named_in_words(closed_port: int) -> None:
    [answer] = post(f"http://127.0.0.1:{closed_port}/")
    assert answer.why == "the connection was refused"
